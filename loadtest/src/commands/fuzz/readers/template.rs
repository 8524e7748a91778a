//! Templates, with the template itself as the value of all that it reads.
use fanfare::model::template::fuzz;

use super::texts;
use crate::commands::fuzz::{mutation::Seeds, reading::Reader};

const WORDS: &[&str] = &[
    "$(",
    "$(a)",
    "$(a, 3)",
    ".(a)",
    ".(a, 10)",
    "%(a)",
    "#(a)",
    "%(a, 5)",
    "{",
    "}",
    "{'a' + $(b)}",
    " + ",
    "'",
    "\"",
    "\\\"",
    "\\u0000",
    "\\ud800",
    "$(a.b[0])",
    "99999999999999999999",
    "-1",
    "<a>",
    "</a>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?x?>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "&b;",
    "&amp;",
    "&#0;",
    " b=\"$(c)\"",
    "[",
    "]",
    ":",
    ",",
    "null",
    "1e999",
    "\u{1}",
    "\r\n",
    "\u{fffe}",
    "{{",
    "}}",
    "$$(",
    "#(b)",
];

pub(crate) fn reader() -> Reader {
    let samples = texts([
        r##"{"aps":{"alert":"$(message)","badge":"#(count)"}}"##,
        r#"{"data":{"m":"{'Hello, ' + .(name, 10) + '!'}","n":"%(n)"},"list":["$(a)",{"b":"$(b)"}]}"#,
        r#"<toast><visual><binding template="ToastText01"><text id="1">$(msg)</text><text>{$(a) + ' of ' + $(b)}</text></binding></visual></toast>"#,
        r#"<?xml version="1.0"?><tile a="$(b)"><![CDATA[$(c)]]><!-- x --></tile>"#,
        "\"$(whole)\"",
    ]);
    Reader { name: "template", seeds: Seeds { samples, words: WORDS }, read: fuzz::exercise }
}
