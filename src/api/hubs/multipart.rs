//! The two parts of a batch (`notification-hubs.md` 2.5.5; RFC 2046 section 5.1), as loosely as clients write them: blanks
//! and quotes around a boundary, names with and without quotes, lines that end in LF alone, no line end after the last
//! delimiter. Nothing is copied, and what is looked at is bounded.

use crate::model::field::FieldError;

/// Parts of one body.
const MOST_PARTS: usize = 8;
/// Bytes of one part's header.
const LONGEST_HEADER: usize = 4_096;
/// Longest boundary (RFC 2046 section 5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// A part by its name.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Of `Content-Disposition`; empty when it has none.
    pub name: String,
    pub body: &'a [u8],
}

fn fault(rule: &'static str) -> FieldError {
    FieldError::new("body", rule)
}

/// The boundary that a content type names.
pub fn boundary(content_type: &str) -> Result<String, FieldError> {
    let rule = || FieldError::new("Content-Type", "must be multipart/mixed with a boundary");
    let mut parameters = content_type.split(';');
    let kind = parameters.next().unwrap_or_default().trim();
    if !kind.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/")) {
        return Err(rule());
    }
    let named = parameters.filter_map(|parameter| parameter.split_once('='));
    let found = named.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"));
    let boundary = found.map(|(_, value)| unquoted(value)).ok_or_else(rule)?;
    let is_one = (1..=LONGEST_BOUNDARY).contains(&boundary.len())
        && boundary.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_one { Ok(boundary.to_owned()) } else { Err(rule()) }
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value)
}

/// Takes a body apart.
pub fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, FieldError> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let missing = || fault("must begin its parts with the boundary that Content-Type names, and end with it");
    // Before the first delimiter stands what nobody reads.
    let (_, mut rest) = cut(body, &delimiter).ok_or_else(missing)?;
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == MOST_PARTS {
            return Err(fault("must not have more than 8 parts"));
        }
        let (padding, content) = line(rest).ok_or_else(missing)?;
        if !padding.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(missing());
        }
        let (part, after) = cut(content, &delimiter).ok_or_else(missing)?;
        parts.push(read(part)?);
        rest = after;
    }
}

/// What is before a delimiter at the beginning of a line, without that line's own end, and what is after it.
fn cut<'a>(text: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.windows(delimiter.len()).position(|window| window == delimiter)?;
        let (before, after) = (&text[..at], &text[at + delimiter.len()..]);
        // A boundary may be the beginning of a longer word: then it is none.
        let ends = after.is_empty() || after.starts_with(b"--") || matches!(after[0], b'\r' | b'\n' | b' ' | b'\t');
        match before {
            [] if ends => return Some((before, after)),
            [before @ .., b'\r', b'\n'] | [before @ .., b'\n'] if ends => return Some((before, after)),
            _ => from = at + 1,
        }
    }
}

/// The first line without its end, and the rest.
fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let line = &text[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &text[end + 1..]))
}

fn read(part: &[u8]) -> Result<Part<'_>, FieldError> {
    let (mut name, mut rest) = (String::new(), part);
    loop {
        let Some((line, after)) = line(rest) else {
            // A part that is a header alone, its blank line taken for the delimiter's.
            return if rest.is_empty() {
                Ok(Part { name, body: rest })
            } else {
                Err(fault("must have a blank line after each part's header"))
            };
        };
        rest = after;
        if line.is_empty() {
            return Ok(Part { name, body: rest });
        }
        if part.len() - rest.len() > LONGEST_HEADER {
            return Err(fault("must not have a part with a header over 4096 bytes"));
        }
        let text = std::str::from_utf8(line).map_err(|_| fault("must have parts with headers in ASCII"))?;
        if let Some((field, value)) = text.split_once(':')
            && field.trim().eq_ignore_ascii_case("content-disposition")
        {
            let parameters = value.split(';').filter_map(|parameter| parameter.split_once('='));
            let found = parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("name"));
            name = found.map_or(String::new(), |(_, value)| unquoted(value).to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn boundaries_as_clients_write_them() {
        for (content_type, expected) in [
            ("multipart/mixed; boundary=nh-batch-multipart-boundary", "nh-batch-multipart-boundary"),
            ("multipart/mixed; boundary = \"nh-boundary-7d1e\"", "nh-boundary-7d1e"),
            ("Multipart/Mixed;charset=utf-8;Boundary=\"a b\"", "a b"),
        ] {
            assert_eq!(boundary(content_type).unwrap(), expected, "{content_type}");
        }
        for bad in [
            "",
            "application/json; boundary=x",
            "multipart/mixed",
            "multipart/mixed; boundary=",
            "multipart/mixed; boundary=\"\"",
        ] {
            assert_eq!(boundary(bad).unwrap_err().field, "Content-Type", "{bad}");
        }
        assert!(boundary(&format!("multipart/mixed; boundary={}", "x".repeat(71))).is_err());
    }

    const BATCH: &str = "--b\r\nContent-type: application/json;charset=utf-8\r\nContent-Disposition: inline; name=notification\r\n\r\n{\"aps\":{}}\r\n--b\r\nContent-type: application/json\r\nContent-Disposition: inline; name=\"devices\"\r\n\r\n[\"AABB\"]\r\n--b--";

    fn read(body: &str) -> Result<Vec<(String, String)>, FieldError> {
        let text = |part: &Part<'_>| (part.name.clone(), String::from_utf8_lossy(part.body).into_owned());
        parts(body.as_bytes(), "b").map(|parts| parts.iter().map(text).collect())
    }

    #[test]
    fn parts_as_clients_write_them() {
        let expected = [("notification", "{\"aps\":{}}"), ("devices", "[\"AABB\"]")];
        let expected = expected.map(|(name, body)| (name.to_owned(), body.to_owned()));
        for body in [
            BATCH.to_owned(),
            format!("{BATCH}\r\n"),
            BATCH.replace("\r\n", "\n"),
            format!("preamble\r\n{BATCH}\r\nepilogue"),
        ] {
            assert_eq!(read(&body).unwrap(), expected, "{body}");
        }
        assert_eq!(read("--b  \r\n\r\nx--b\r\n--bc\r\n--b--").unwrap(), [(String::new(), "x--b\r\n--bc".to_owned())]);
        assert_eq!(read("--b--").unwrap(), []);
    }

    #[test]
    fn a_broken_body_says_what_is_missing() {
        for body in ["", "--c--", "--b", "--b\r\n", "--b\r\n\r\nx", "--b\r\nheader\r\n--b--", "x--b--"] {
            assert_eq!(read(body).unwrap_err().field, "body", "{body:?}");
        }
        let many = format!("{}--b--", "--b\r\n\r\nx\r\n".repeat(9));
        assert!(read(&many).unwrap_err().to_string().contains("8 parts"));
        let long = format!("--b\r\n{}\r\nx\r\n--b--", "a: b\r\n".repeat(800));
        assert!(read(&long).unwrap_err().to_string().contains("4096"));
    }

    proptest! {
        #[test]
        fn what_was_put_together_comes_apart(bodies in prop::collection::vec("[a-z\\-\\r\\n{}]{0,30}", 0..4)) {
            let boundary = "=nobody-writes-this";
            let mut whole = String::new();
            for (at, body) in bodies.iter().enumerate() {
                whole += &format!("--{boundary}\r\nContent-Disposition: inline; name=p{at}\r\n\r\n{body}\r\n");
            }
            whole += &format!("--{boundary}--");
            let read = parts(whole.as_bytes(), boundary).unwrap();
            let texts: Vec<&[u8]> = read.iter().map(|part| part.body).collect();
            prop_assert_eq!(texts, bodies.iter().map(|body| body.as_bytes()).collect::<Vec<_>>());
        }

        #[test]
        fn nothing_panics(body in "[\\-b\\r\\n: ;=\"a]{0,60}", content_type in "[mM]ultipart/[\"a; =boundary]{0,30}") {
            let _ = parts(body.as_bytes(), "b");
            let _ = boundary(&content_type);
        }
    }
}
