//! Literals of every dialect (spec 2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::expr::Literal;
use crate::tables::value::{Value, instant};

const DATE: &str = "a date and time such as 2020-01-01T00:00:00.000Z was expected";

/// `WORD'text'`: a literal that says what it is.
pub(super) fn of_word(word: &str, text: &str) -> Result<Literal, &'static str> {
    match word.to_ascii_lowercase().as_str() {
        "datetime" | "datetimeoffset" => instant(text).map(Literal::Time).ok_or(DATE),
        "guid" => guid(text).ok_or("a GUID was expected"),
        // A byte array is its base64 text in JSON.
        "x" | "binary" => {
            hex::decode(text).map(|bytes| Literal::Text(STANDARD.encode(bytes))).map_err(|_| "hex digits were expected")
        }
        _ => Err("datetime'…', datetimeoffset'…', guid'…' and X'…' are the literals with a word before them"),
    }
}

/// `cast(text, Edm.TYPE)` (V3 and CT).
pub(super) fn of_type(text: &str, edm: &str) -> Result<Literal, &'static str> {
    let text = text.trim();
    match edm.trim().strip_prefix("Edm.").unwrap_or_default() {
        "DateTimeOffset" | "DateTime" => instant(text).map(Literal::Time).ok_or(DATE),
        "Date" => day(text).ok_or("a date such as 2020-01-01 was expected"),
        // Compared with the text that the client's own field has in JSON.
        "TimeOfDay" | "String" => Ok(Literal::Text(text.to_owned())),
        "Guid" => guid(text).ok_or("a GUID was expected"),
        "Boolean" => text.parse().map(Literal::Bool).map_err(|_| "true or false was expected"),
        "Byte" | "SByte" | "Int16" | "Int32" | "Int64" | "Decimal" | "Double" | "Single" => {
            number(text).ok_or("a number was expected")
        }
        _ => Err("this type cannot be cast to"),
    }
}

/// A literal without quotes or a word: a number with its suffix, two hex digits, a GUID, a day, a point in time.
pub(super) fn of_bare(text: &str) -> Option<Literal> {
    number(text).or_else(|| byte(text)).or_else(|| guid(text)).or_else(|| day(text)).or_else(|| {
        let begins = text.get(..11).is_some_and(|head| day(&head[..10]).is_some());
        begins.then(|| instant(text).map(Literal::Time)).flatten()
    })
}

/// Digits are decimal; `L`, `f`, `d`, `m` in either case say the client's type.
fn number(text: &str) -> Option<Literal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (text, suffix) = match text.char_indices().last() {
        Some((at, suffix @ ('L' | 'l' | 'f' | 'F' | 'd' | 'D' | 'm' | 'M'))) => (&text[..at], Some(suffix)),
        _ => (text, None),
    };
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return match text.parse() {
            Ok(number) => Some(Literal::Int(number)),
            Err(_) if suffix.is_some_and(|s| s.eq_ignore_ascii_case(&'l')) => None,
            Err(_) => float(text),
        };
    }
    let known = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let integer = suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(&'l'));
    (known && !integer).then(|| float(text)).flatten()
}

fn float(text: &str) -> Option<Literal> {
    let number: f64 = text.parse().ok()?;
    match Value::number(number) {
        Value::Int(number) => Some(Literal::Int(number)),
        _ => number.is_finite().then_some(Literal::Float(number)),
    }
}

/// A `byte` constant of the .NET clients; two digits without a letter are a decimal number. One that begins with a letter
/// could be a name, and is one where there is a column of it ([`of_name`]).
fn byte(text: &str) -> Option<Literal> {
    text.starts_with(|c: char| c.is_ascii_digit()).then(|| of_name(text)).flatten()
}

/// The `byte` constant that a name is which no column has.
pub fn of_name(text: &str) -> Option<Literal> {
    let is_one = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'A'..=b'F'));
    is_one.then(|| u8::from_str_radix(text, 16).ok().map(|byte| Literal::Int(i64::from(byte)))).flatten()
}

fn guid(text: &str) -> Option<Literal> {
    let is_one = text.len() == 36;
    let id = is_one.then(|| uuid::Uuid::try_parse(text).ok()).flatten()?;
    Some(Literal::Guid(id.as_hyphenated().to_string()))
}

fn day(text: &str) -> Option<Literal> {
    (text.len() == 10 && text.is_ascii()).then(|| instant(text).map(Literal::Day)).flatten()
}
