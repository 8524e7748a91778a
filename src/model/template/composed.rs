//! Text with expressions in it, taken apart: pieces that are copied and pieces that are evaluated and escaped.

use super::expression::Expression;
use super::values::Values;
use super::{LONGEST_RENDERED, Mode};
use crate::model::field::FieldError;

/// Where evaluated text lands, which says how it is escaped (4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// A JSON value: a string with its quotes, or the bare number of `#(…)`.
    Json,
    XmlText,
    /// Within double quotes.
    XmlAttribute,
    /// A header's value: nothing that could end its line.
    Header,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    Insert(Expression, Context),
}

/// Text with expressions in it.
#[derive(Clone, Debug)]
pub(super) struct Composed(Box<[Piece]>);

impl Composed {
    /// A header's or expiry's text: an expression as a whole, or literal. Either way nothing in it ends the line.
    pub(super) fn of_header(text: &str, mode: Mode) -> Result<Self, String> {
        let mut builder = Builder::default();
        match expression(text, mode)? {
            Some(expression) => builder.insert(expression, Context::Header),
            None if mode == Mode::Strict && text.trim().contains(char::is_control) => {
                return Err("must not hold control characters".to_owned());
            }
            None => builder.escaped(text, Context::Header),
        }
        Ok(builder.finish())
    }

    /// The text when nothing in it is an expression.
    pub(super) fn literal(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The properties that it reads, in lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let expressions = self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Insert(expression, _) => Some(expression),
        });
        expressions.flat_map(Expression::names)
    }

    /// Evaluates and joins it. The error's field is `template`: longer than anything that could be sent.
    pub(super) fn render(&self, values: &Values<'_>) -> Result<String, FieldError> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Insert(expression, context) => context.write(expression, values, &mut out),
            }
            if out.len() > LONGEST_RENDERED {
                return Err(FieldError::new("template", "must not become longer than any service takes"));
            }
        }
        Ok(out)
    }
}

/// The expression that a whole value is. What begins like one and is none is an error, or literal (4.1).
pub(super) fn expression(value: &str, mode: Mode) -> Result<Option<Expression>, String> {
    if !super::expression::begins(value) {
        return Ok(None);
    }
    match (Expression::parse(value), mode) {
        (Ok(expression), _) => Ok(Some(expression)),
        (Err(_), Mode::Lenient) => Ok(None),
        (Err(fault), Mode::Strict) => {
            let shown: String = value.chars().take(60).collect();
            Err(format!("must hold only values that are expressions where they begin like one: {shown:?} {fault}"))
        }
    }
}

/// Puts pieces together.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pieces: Vec<Piece>,
    text: String,
}

impl Builder {
    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn character(&mut self, character: char) {
        self.text.push(character);
    }

    /// A value or a text that is written anew.
    pub(super) fn escaped(&mut self, text: &str, context: Context) {
        context.escape(text, &mut self.text);
    }

    pub(super) fn insert(&mut self, expression: Expression, context: Context) {
        self.end_text();
        self.pieces.push(Piece::Insert(expression, context));
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text).into()));
        }
    }

    pub(super) fn finish(mut self) -> Composed {
        self.end_text();
        Composed(self.pieces.into())
    }
}

impl Context {
    /// Writes no further once the whole is too long: one expression may name a long property a thousand times.
    fn write(self, expression: &Expression, values: &Values<'_>, out: &mut String) {
        let escaped = |out: &mut String| {
            expression.evaluate(values, &mut |text| {
                if out.len() <= LONGEST_RENDERED {
                    self.escape(text, out);
                }
            });
        };
        if self != Self::Json {
            return escaped(out);
        }
        let start = out.len();
        if expression.is_number {
            expression.evaluate(values, &mut |text| out.push_str(text));
            if is_number(&out[start..]) {
                return;
            }
            out.truncate(start);
        }
        out.push('"');
        escaped(out);
        out.push('"');
    }

    fn escape(self, text: &str, out: &mut String) {
        let mut rest = text;
        while let Some(at) = rest.find(|c| self.is_special(c)) {
            out.push_str(&rest[..at]);
            let mut after = rest[at..].chars();
            if let Some(character) = after.next() {
                self.replace(character, out);
            }
            rest = after.as_str();
        }
        out.push_str(rest);
    }

    fn is_special(self, c: char) -> bool {
        match self {
            Self::Json => matches!(c, '"' | '\\') || c < ' ',
            Self::XmlText => matches!(c, '&' | '<' | '>' | '\r') || !is_xml(c),
            Self::XmlAttribute => matches!(c, '&' | '<' | '>' | '"' | '\t' | '\n' | '\r') || !is_xml(c),
            Self::Header => c.is_control(),
        }
    }

    fn replace(self, c: char, out: &mut String) {
        use std::fmt::Write as _;
        match (self, c) {
            (Self::Json, '"') => out.push_str("\\\""),
            (Self::Json, '\\') => out.push_str("\\\\"),
            (Self::Json, '\n') => out.push_str("\\n"),
            (Self::Json, '\r') => out.push_str("\\r"),
            (Self::Json, '\t') => out.push_str("\\t"),
            // Writing to a text does not fail.
            (Self::Json, c) => drop(write!(out, "\\u{:04x}", u32::from(c))),
            (Self::Header, _) => {}
            (_, '&') => out.push_str("&amp;"),
            (_, '<') => out.push_str("&lt;"),
            (_, '>') => out.push_str("&gt;"),
            (_, '"') => out.push_str("&quot;"),
            // As they are, a reader would make a blank or a line feed of them (XML 1.0 sections 2.11, 3.3.3).
            (_, '\t' | '\n' | '\r') => drop(write!(out, "&#{};", u32::from(c))),
            // What XML 1.0 cannot carry is left out.
            (..) => {}
        }
    }
}

/// A character that XML 1.0 allows (section 2.2).
pub(super) fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

/// Whether a text may stand as a bare number: the pattern of 4.3 in full, and within what readers of JSON can hold.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text.starts_with('0')) {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let length = digits(exponent);
        if length == 0 {
            return false;
        }
        rest = &exponent[length..];
    }
    rest.is_empty() && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::super::Properties;
    use super::*;

    #[test]
    fn one_expression_that_names_a_long_text_often_stops_at_the_bound() {
        let long = "x".repeat(60_000);
        let many = format!("{{{}}}", vec!["$(a)"; 2_000].join(" + "));
        let properties = Properties::new(&[("a".to_owned(), long.clone())].into());
        let values = Values { properties: &properties, variables: None };
        for context in [Context::Json, Context::XmlText, Context::XmlAttribute, Context::Header] {
            let expression = expression(&many, Mode::Strict).unwrap().unwrap();
            let mut out = String::new();
            context.write(&expression, &values, &mut out);
            assert!((LONGEST_RENDERED..=LONGEST_RENDERED + long.len()).contains(&out.len()), "{}", out.len());
        }
    }
}
