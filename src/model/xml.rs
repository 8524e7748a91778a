//! XML of strangers as a small tree: what the ATOM documents of hubs, registrations and jobs are read from.
//!
//! Nothing in a document makes the reader do more than its length: no document type is taken, so there are no entities
//! but the five that XML itself has, and depth and number of elements are bounded. Names are told without their prefix,
//! because clients differ in the prefixes that they use and never in what they mean.

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::field::FieldError;

/// How deep elements may lie in each other: an entry with a template's headers has six levels.
const DEEPEST: usize = 32;
/// Elements of one document. A registration has some dozens.
const MOST: usize = 8_192;

/// One element.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Element {
    /// Without its prefix.
    pub name: String,
    /// The attribute `type` of whatever prefix, and what stands in it behind a prefix: `i:type="AppleRegistration…"`.
    pub kind: Option<String>,
    /// The attribute `nil` says true: as if the element were not there.
    pub nil: bool,
    /// All text that is directly in it, CDATA included.
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of that name, nil ones left out.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name && !child.nil)
    }

    /// The text of the first child of that name, without blanks around it.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

/// Reads a whole document. The error's field is `body`.
///
/// # Errors
/// What is not UTF-8, not well-formed, holds a character that XML cannot, has a document type, an unknown entity or more than
/// one root, or goes beyond the bounds.
pub fn parse(document: &[u8]) -> Result<Element, FieldError> {
    let text = std::str::from_utf8(document).map_err(|_| rule("must be UTF-8"))?;
    parse_text(text.trim_start_matches('\u{feff}'))
}

/// The same for text.
///
/// # Errors
/// As for [`parse`].
pub fn parse_text(text: &str) -> Result<Element, FieldError> {
    // Else what was read could not be written again.
    if !text.chars().all(is_character) {
        return Err(rule("must be well-formed XML: it holds a character that XML cannot"));
    }
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0;
    loop {
        let event = reader.read_event().map_err(|_| rule("must be well-formed XML"))?;
        match event {
            Event::Start(_) | Event::Empty(_) if root.is_some() => {
                return Err(rule("must be XML with one root element"));
            }
            Event::Start(_) | Event::Empty(_) if open.len() == DEEPEST => {
                return Err(rule("must not have elements more than 32 deep"));
            }
            Event::Start(start) => open.push(element(&start, &mut elements)?),
            Event::Empty(start) => {
                let empty = element(&start, &mut elements)?;
                close(empty, &mut open, &mut root);
            }
            Event::End(_) => {
                let ended = open.pop().ok_or_else(|| rule("must be well-formed XML"))?;
                close(ended, &mut open, &mut root);
            }
            Event::Text(found) => put(&mut open, &found.xml10_content())?,
            Event::CData(found) => put(&mut open, &found.xml10_content())?,
            Event::GeneralRef(reference) => {
                let told = match reference.resolve_char_ref() {
                    Ok(Some(told)) if is_character(told) => told,
                    Ok(None) => predefined(&reference.into_inner())
                        .ok_or_else(|| rule("must not have entities but those of XML itself"))?,
                    _ => return Err(rule("must be well-formed XML: a character reference names no character")),
                };
                put(&mut open, told.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err(rule("must not have a document type")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => {
                return root
                    .filter(|_| open.is_empty())
                    .ok_or_else(|| rule("must be a well-formed XML document: it is not whole"));
            }
        }
    }
}

fn rule(text: &'static str) -> FieldError {
    FieldError::new("body", text)
}

fn element(start: &BytesStart<'_>, elements: &mut usize) -> Result<Element, FieldError> {
    *elements += 1;
    if *elements > MOST {
        return Err(rule("must not have more than 8192 elements"));
    }
    let mut element = Element { name: start.local_name().as_ref().to_owned(), ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| rule("must be well-formed XML: an attribute is broken"))?;
        let name = attribute.key.local_name();
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|_| rule("must be well-formed XML: an attribute is broken"))?;
        match name.as_ref() {
            "type" => {
                let bare = value.rsplit_once(':').map_or(&*value, |(_, bare)| bare);
                element.kind = Some(bare.trim().to_owned());
            }
            "nil" => element.nil = matches!(value.trim(), "true" | "1"),
            _ => {}
        }
    }
    Ok(element)
}

fn close(ended: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(ended),
        None => *root = Some(ended),
    }
}

fn put(open: &mut [Element], text: &str) -> Result<(), FieldError> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(rule("must be XML without text outside its root element")),
    }
    Ok(())
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}

/// What XML 1.0 can hold: the rest of Unicode cannot be written, not even as a reference.
fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Text as it may stand between tags or in an attribute. What XML cannot hold is left out.
pub fn escaped(text: &str) -> Cow<'_, str> {
    with_returns(quick_xml::escape::escape(legal(text)))
}

/// The same between tags alone, where quotes stand as they are.
pub fn escaped_text(text: &str) -> Cow<'_, str> {
    with_returns(quick_xml::escape::partial_escape(legal(text)))
}

/// A reader makes a line feed of a carriage return that is no reference (XML 1.0 section 2.11).
fn with_returns(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.contains('\r') {
        true => text.replace('\r', "&#13;").into(),
        false => text,
    }
}

fn legal(text: &str) -> Cow<'_, str> {
    match text.chars().all(is_character) {
        true => text.into(),
        false => text.chars().filter(|c| is_character(*c)).collect(),
    }
}

/// Appends `<name>text</name>`.
pub fn push(out: &mut String, name: &str, text: &str) {
    out.extend(["<", name, ">", &escaped(text), "</", name, ">"]);
}

/// Appends `<name><![CDATA[text]]></name>`, in two sections where the text holds the end of one, or a carriage return,
/// which can only stand outside of them.
pub fn push_cdata(out: &mut String, name: &str, text: &str) {
    out.extend(["<", name, "><![CDATA["]);
    let mut first = true;
    for part in text.split("]]>") {
        if !std::mem::take(&mut first) {
            out.push_str("]]]]><![CDATA[>");
        }
        for c in part.chars().filter(|c| is_character(*c)) {
            match c {
                '\r' => out.push_str("]]>&#13;<![CDATA["),
                c => out.push(c),
            }
        }
    }
    out.extend(["]]></", name, ">"]);
}

#[cfg(test)]
mod tests;
