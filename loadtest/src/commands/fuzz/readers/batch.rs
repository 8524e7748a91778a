//! Direct sends in batches: a line with the content type, then the body.
use fanfare::api::hubs::fuzz;

use super::texts;
use crate::commands::fuzz::{mutation::Seeds, reading::Reader};

const WORDS: &[&str] = &[
    "--b",
    "\r\n--b\r\n",
    "\r\n--b--",
    "\n--b",
    "--b--",
    "--b ",
    "--bb",
    "--",
    "\r\n\r\n",
    "\n\n",
    "Content-Disposition: inline; name=devices\r\n",
    "Content-Disposition: inline; name=\"notification\"\r\n",
    "name=",
    "multipart/mixed; boundary=b\n",
    "multipart/mixed; boundary=\"b\"\n",
    "boundary=",
    "['a', 'b']",
    "[\"AABB\"]",
    "\"\\ud800\"",
    "[[[[[[[[",
    "]]]]]]]]",
    "{\"a\":",
    "1e999",
    "\0",
    "\u{e9}",
    "{\"endpoint\":\"https://push.example/x\",\"p256dh\":\"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4\",\"auth\":\"BTBZMqHH6r4Tts7J_aSIgg\"}",
];

pub(crate) fn reader() -> Reader {
    let samples = texts([
        "multipart/mixed; boundary=b\n--b\r\nContent-type: application/json;charset=utf-8\r\nContent-Disposition: inline; name=notification\r\n\r\n{\"aps\":{\"alert\":\"x\"}}\r\n--b\r\nContent-type: application/json\r\nContent-Disposition: inline; name=\"devices\"\r\n\r\n[\"AABB\",\"CCDD\"]\r\n--b--",
        "Multipart/Mixed;charset=utf-8; boundary = \"b b\"\npreamble\n--b b\nContent-Disposition: inline; name=devices\n\n['a:b','c:d']\n--b b  \nContent-Disposition: inline; name=notification\n\n{\"message\":{\"data\":{\"k\":\"v\"}}}\n--b b--\nepilogue",
        "multipart/mixed; boundary=b\n--b\r\nContent-Disposition: inline; name=notification\r\n\r\n<toast><visual/></toast>\r\n--b\r\nContent-Disposition: inline; name=devices\r\n\r\n[\"https://w.example/?token=x\"]\r\n--b--\r\n",
        "multipart/mixed; boundary=b\n--b\r\nContent-Disposition: inline; name=notification\r\n\r\nhello\r\n--b\r\nContent-Disposition: inline; name=devices\r\n\r\n[{\"endpoint\":\"https://push.example/x\",\"p256dh\":\"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4\",\"auth\":\"BTBZMqHH6r4Tts7J_aSIgg\"}]\r\n--b--",
    ]);
    Reader { name: "batch", seeds: Seeds { samples, words: WORDS }, read: fuzz::exercise_batch }
}
