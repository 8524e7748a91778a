//! The expression language (`notification-hubs.md` 4.2, 4.3). A value is an expression as a whole or not at all; its first
//! character decides.

use super::values::Values;

/// The longest name of a property, in characters.
const LONGEST_NAME: usize = 120;

/// What is wrong with a text that begins like an expression; reads on after it.
pub(super) type Fault = &'static str;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    parts: Box<[Part]>,
    /// `#(…)` alone and without braces: in JSON a bare number where the text is one.
    pub(super) is_number: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Property { name: Box<str>, default: Option<Box<str>>, form: Form },
}

/// What is made of a property's text. Lengths count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    /// `$(p, n)`.
    First(usize),
    /// `.(p, n)`: as is, or cut with three dots at the end.
    Shortened(usize),
    /// `%(p)`: percent-encoded.
    Encoded,
}

/// Whether a value is an expression, by its first character (4.1).
pub(super) fn begins(value: &str) -> bool {
    value.starts_with(['$', '.', '%', '#', '{'])
}

impl Expression {
    /// Reads a whole value.
    pub(super) fn parse(value: &str) -> Result<Self, Fault> {
        let (inner, is_braced) = match value.strip_prefix('{') {
            Some(rest) => (rest.strip_suffix('}').ok_or("must end with }")?, true),
            None => (value, false),
        };
        let mut cursor = Cursor { rest: inner };
        let (mut parts, mut has_number) = (Vec::new(), false);
        loop {
            cursor.skip_space();
            let (part, is_number) = operand(&mut cursor)?;
            has_number |= is_number;
            parts.push(part);
            cursor.skip_space();
            if cursor.rest.is_empty() {
                break;
            }
            if !cursor.eat('+') {
                return Err("may join its parts only with +");
            }
        }
        if has_number && parts.len() > 1 {
            return Err("must not hold # in a composition");
        }
        Ok(Self { parts: parts.into(), is_number: has_number && !is_braced })
    }

    /// The properties that it reads, in lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Property { name, .. } => Some(&**name),
        })
    }

    /// Evaluates it, piece by piece.
    pub(super) fn evaluate(&self, values: &Values<'_>, put: &mut impl FnMut(&str)) {
        for part in &self.parts {
            match part {
                Part::Text(text) => put(text),
                Part::Property { name, default, form } => {
                    let text = values.get(name).or(default.as_deref()).unwrap_or_default();
                    form.write(text, put);
                }
            }
        }
    }
}

impl Form {
    fn write(self, text: &str, put: &mut impl FnMut(&str)) {
        let first = |n: usize| text.char_indices().nth(n).map_or(text, |(end, _)| &text[..end]);
        match self {
            Self::Whole => put(text),
            Self::First(n) => put(first(n)),
            Self::Shortened(n) if first(n).len() == text.len() => put(text),
            Self::Shortened(n) => {
                put(first(n.saturating_sub(3)));
                put(&"..."[..n.min(3)]);
            }
            Self::Encoded => encode(text, put),
        }
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986 section 2.3.
fn encode(text: &str, put: &mut impl FnMut(&str)) {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble & 15)];
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !is_unreserved(byte)) {
        put(&rest[..at]);
        let character = rest[at..].chars().next().map_or(1, char::len_utf8);
        for byte in rest[at..at + character].bytes() {
            let triple = [b'%', digit(byte >> 4), digit(byte)];
            put(std::str::from_utf8(&triple).unwrap_or_default());
        }
        rest = &rest[at + character..];
    }
    put(rest);
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, wanted: char) -> bool {
        let after = self.rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Takes the longest beginning of such characters.
    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// One operand, and whether it is `#(…)`.
fn operand(cursor: &mut Cursor<'_>) -> Result<(Part, bool), Fault> {
    let Some(first) = cursor.rest.chars().next() else { return Err("must hold an operand where one is missing") };
    cursor.rest = &cursor.rest[first.len_utf8()..];
    match first {
        '\'' | '"' => Ok((Part::Text(quoted(cursor, first)?), false)),
        '$' if cursor.rest.starts_with("body") => Err("must not hold $body, which is not supported"),
        '$' | '.' | '%' | '#' => Ok((property(cursor, first)?, first == '#')),
        _ => Err("must consist of $( ), .( ), %( ), #( ) or quoted texts"),
    }
}

/// The text up to the closing quote; a doubled quote stands for itself.
fn quoted(cursor: &mut Cursor<'_>, quote: char) -> Result<Box<str>, Fault> {
    let mut text = String::new();
    loop {
        text.push_str(cursor.take_while(|c| c != quote));
        if !cursor.eat(quote) {
            return Err("must close its quotes");
        }
        if !cursor.eat(quote) {
            return Ok(text.into());
        }
        text.push(quote);
    }
}

fn property(cursor: &mut Cursor<'_>, sign: char) -> Result<Part, Fault> {
    if !cursor.eat('(') {
        return Err("must have ( after $, ., % or #");
    }
    cursor.skip_space();
    let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err("must name a property of 1 to 120 letters, digits and _");
    }
    cursor.skip_space();
    let default = if cursor.rest.starts_with(":{") { Some(default(cursor)?) } else { None };
    cursor.skip_space();
    let length = if cursor.eat(',') {
        cursor.skip_space();
        let digits = cursor.take_while(|c| c.is_ascii_digit());
        let length: u32 = digits.parse().map_err(|_| "must have a whole number after the comma")?;
        cursor.skip_space();
        Some(usize::try_from(length).unwrap_or(usize::MAX))
    } else {
        None
    };
    if !cursor.eat(')') {
        return Err("must close its parentheses after the property");
    }
    let form = match (sign, length) {
        ('$', None) | ('#', None) => Form::Whole,
        ('$', Some(length)) => Form::First(length),
        ('.', Some(length)) => Form::Shortened(length),
        ('.', None) => return Err("must have a length in .( , )"),
        ('%', None) => Form::Encoded,
        _ => return Err("must not have a length in %( ) or #( )"),
    };
    Ok(Part::Property { name: name.to_ascii_lowercase().into(), default, form })
}

/// `:{text}`; a backslash lets the next character stand for itself.
fn default(cursor: &mut Cursor<'_>) -> Result<Box<str>, Fault> {
    cursor.rest = &cursor.rest[2..];
    let mut text = String::new();
    let mut characters = cursor.rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '}' => {
                cursor.rest = &cursor.rest[at + 1..];
                return Ok(text.into());
            }
            '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => text.push(character),
        }
    }
    Err("must close its default with }")
}
