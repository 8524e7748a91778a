//! Audiences: what is taken keeps its limits and reads back from its canonical text, and what is refused points into it.
use fanfare::model::audience::{Audience, AudienceLimits, Program};

use super::texts;
use crate::commands::fuzz::{mutation::Seeds, reading::Reader};

const WORDS: &[&str] = &[
    "&&",
    "||",
    "!",
    "(",
    ")",
    "((",
    "))",
    "!!",
    "&",
    "|",
    " ",
    "a",
    "b:c",
    "_@#.:-",
    "$UserId:{",
    "$userid:",
    "$InstallationId:{",
    "}",
    "{",
    "$",
    "$UserId:{a}",
    "\u{e9}",
    "\u{130}",
    "\u{1f600}",
    "=",
    ",",
    "\t",
    "\n",
    "true",
];

pub(crate) fn reader() -> Reader {
    let samples = texts([
        "news && !muted",
        "(a || b) && (c || !(d && e))",
        "$UserId:{a b} || $InstallationId:{x-y} && !$userid:u1",
        "follows_RedSox || follows_Cardinals && location_Boston",
        "!!(!(a)) && b:c@d#e.f_g-h",
        "",
    ]);
    Reader { name: "audience", seeds: Seeds { samples, words: WORDS }, read }
}

fn read(bytes: &[u8]) -> Result<(), String> {
    let (text, limits) = (String::from_utf8_lossy(bytes), AudienceLimits::default());
    let audience = match Audience::parse(&text, &limits) {
        Ok(audience) => audience,
        Err(error) => {
            if error.position == 0 || error.position > text.chars().count() + 1 {
                return Err(format!("{error} is outside of its text"));
            }
            // For a terminal: as long as one is wide, whatever the text.
            return match error.render(&text).chars().count() {
                ..1_000 => Ok(()),
                length => Err(format!("an error of {length} characters")),
            };
        }
    };
    if audience.terms().count() > limits.terms {
        return Err("more terms than the limit".to_owned());
    }
    let canonical = audience.to_string();
    match Audience::parse(&canonical, &limits) {
        Ok(again) if again == audience => {}
        other => return Err(format!("{canonical} reads as {other:?}")),
    }
    drop(Program::compile(&audience));
    Ok(())
}
