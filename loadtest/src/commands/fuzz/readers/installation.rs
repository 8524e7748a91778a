//! Installations as JSON: what is taken reads back from its stored form, and stands for as many targets.
use fanfare::model::installation::{Installation, InstallationLimits};

use super::texts;
use crate::commands::fuzz::{mutation::Seeds, reading::Reader};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "1e999",
    "\"\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"\u{e9}\"",
    "\"pushChannel\"",
    "\"https:/\u{e9}x\"",
    "\"platform\":\"wns\"",
    "\"platform\":\"browser\"",
    "\"tags\":[\"a\",\"a\"]",
    "\"templates\":{}",
    "\"expirationTime\":\"9999-12-31T23:59:59Z\"",
    "\"expirationTime\":\"2031-01-01T00:00:00+01:00\"",
    "\"userId\":\"u\"",
    "\"pushVariables\":{\"A\":\"b\"}",
    "$(a)",
];

pub(crate) fn reader() -> Reader {
    let samples = texts([
        r#"{"installationId":"a-1","platform":"apns","pushChannel":"00FC13ADFF785122B4AD28809A3420982341241421348097878E577C991DE8F0","tags":["news","city:oslo"],"userId":"u1","expirationTime":"2031-01-01T00:00:00.123Z"}"#,
        r#"{"installationId":"b","platform":"apns","pushChannel":"00FC13ADFF785122B4AD28809A3420982341241421348097878E577C991DE8F0","pushVariables":{"name":"x"},"templates":{"t":{"body":"{\"aps\":{\"alert\":\"$(m)\"}}","headers":{"apns-push-type":"alert"},"expiry":"$(until)","tags":["c"]}}}"#,
        r#"{"InstallationId":"c","Platform":"wns","PushChannel":"https://w.example/?token=x","secondaryTiles":{"tile":{"pushChannel":"https://w.example/?token=y","tags":["d"],"templates":{"t":{"body":"<toast><visual><binding template=\"ToastText01\"><text id=\"1\">$(m)</text></binding></visual></toast>","headers":{"X-WNS-Type":"wns/toast"}}}}}}"#,
        r#"{"installationId":"d","platform":"browser","pushChannel":{"endpoint":"https://push.example/x","p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}}"#,
        r#"{"installationId":"e","platform":"fcmv1","pushChannel":"abc:def","tags":null,"templates":{"t":{"body":"{\"message\":{\"data\":{\"k\":\"$(m)\"}}}"}}}"#,
    ]);
    Reader { name: "installation", seeds: Seeds { samples, words: WORDS }, read }
}

fn read(bytes: &[u8]) -> Result<(), String> {
    let Ok(taken) = Installation::parse(bytes, None, &InstallationLimits::default()) else { return Ok(()) };
    let stored = taken.stored_form();
    match Installation::from_stored(&stored, taken.expires) {
        Ok(again) if again == taken && again.targets().len() == taken.targets().len() => Ok(()),
        other => Err(format!("{taken:?} is stored as {} and reads as {other:?}", String::from_utf8_lossy(&stored))),
    }
}
