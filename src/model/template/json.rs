//! A JSON body: every string that is a member's or element's whole value may be an expression; names never are (4.1).
//! The order stays, insignificant white space goes.

use serde_json::Value;

use super::composed::{Builder, Composed, Context, expression};
use super::{DEEPEST, Mode};
use crate::model::field::FieldError;

/// The body, and whether it is an object.
pub(super) fn compile(body: &str, mode: Mode) -> Result<(Composed, bool), FieldError> {
    // Counted first: nothing that reads it afterwards can be led deep.
    if depth(body) > DEEPEST {
        return Err(FieldError::new("body", format!("must not be nested deeper than {DEEPEST}")));
    }
    let value: Value = serde_json::from_str(body)
        .map_err(|error| FieldError::json("body", "must be a well-formed JSON document", &error))?;
    let mut builder = Builder::default();
    let (mut rest, mut depth) = (body, 0_usize);
    // The text is well-formed, so a quote outside of a string always begins one.
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (string, after) = rest.split_at(end_of_string(rest));
            let is_name = after.trim_start().starts_with(':');
            rest = after;
            match if is_name || depth == 0 { None } else { expression_in(string, mode)? } {
                Some(expression) => builder.insert(expression, Context::Json),
                None => builder.text(string),
            }
            continue;
        }
        match first {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !first.is_whitespace() {
            builder.character(first);
        }
        rest = &rest[first.len_utf8()..];
    }
    Ok((builder.finish(), value.is_object()))
}

fn expression_in(string: &str, mode: Mode) -> Result<Option<super::expression::Expression>, FieldError> {
    let inner = string.get(1..).unwrap_or_default();
    // Anything else first is literal, and is not decoded for it.
    if !inner.starts_with('\\') && !super::expression::begins(inner) {
        return Ok(None);
    }
    let text: String = serde_json::from_str(string)
        .map_err(|error| FieldError::json("body", "must be a well-formed JSON document", &error))?;
    expression(&text, mode).map_err(|rule| FieldError::new("body", rule))
}

/// Where a string that begins here is over, its quotes included.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = true; // the opening quote
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The deepest nesting of a text, well-formed or not.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
