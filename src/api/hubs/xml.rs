//! XML as the face writes it and reads it.
//!
//! Written without declaration, prefixes and blanks between elements: some clients look at qualified names, some at the
//! node right after another (`notification-hubs.md` 2.3.3). Read into a small tree: documents are a screen long. No entity
//! but the five of XML and characters by number is known, a document type is refused, and depth and size are bounded, so
//! that no document costs more than its own length.

use std::borrow::Cow;

use quick_xml::escape::{escape, partial_escape, resolve_predefined_entity};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::model::field::FieldError;

pub const ATOM: &str = "http://www.w3.org/2005/Atom";
pub const CONNECT: &str = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
pub const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Elements around one another.
const DEEPEST: usize = 32;
/// Elements of one document.
const MOST: usize = 10_000;

/// A document being written.
#[derive(Debug, Default)]
pub struct Xml(String);

impl Xml {
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins an element.
    pub fn open(&mut self, name: &str) -> &mut Self {
        self.open_with(name, &[])
    }

    /// Begins an element with attributes.
    pub fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) -> &mut Self {
        self.begin(name, attributes);
        self.0.push('>');
        self
    }

    /// An element with nothing in it.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> &mut Self {
        self.begin(name, attributes);
        self.0.push_str("/>");
        self
    }

    fn begin(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.0.push_str(&escape(legal(value)));
            self.0.push('"');
        }
    }

    /// Ends an element.
    pub fn close(&mut self, name: &str) -> &mut Self {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
        self
    }

    /// An element with text.
    pub fn leaf(&mut self, name: &str, text: &str) -> &mut Self {
        self.open(name).text(text).close(name)
    }

    /// The same, unless there is no text.
    pub fn leaf_if(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        if let Some(text) = text {
            self.leaf(name, text);
        }
        self
    }

    /// Text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&partial_escape(legal(text)));
        self
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

/// Text without the control characters that XML 1.0 cannot hold.
fn legal(text: &str) -> Cow<'_, str> {
    let illegal = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    if text.contains(illegal) { Cow::Owned(text.replace(illegal, "")) } else { Cow::Borrowed(text) }
}

/// An element that was read. Names are without their prefixes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Self>,
    /// All text within it, without that of its children.
    pub text: String,
}

impl Element {
    /// Reads a document.
    pub fn parse(document: &[u8]) -> Result<Self, FieldError> {
        let broken = |rule: &str| FieldError::new("body", format!("must be a well-formed XML document: {rule}"));
        let text = std::str::from_utf8(document).map_err(|_| broken("it is not UTF-8"))?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut open: Vec<Self> = Vec::new();
        let mut root = None;
        let mut read = 0;
        loop {
            match reader.read_event().map_err(|error| broken(&error.to_string()))? {
                Event::Start(start) => {
                    read += 1;
                    if open.len() == DEEPEST || read > MOST || root.is_some() {
                        return Err(broken("it is too deep, too large, or has two roots"));
                    }
                    open.push(Self::begin(&start)?);
                }
                Event::Empty(start) => {
                    read += 1;
                    if read > MOST || root.is_some() {
                        return Err(broken("it is too large, or has two roots"));
                    }
                    let element = Self::begin(&start)?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => root = Some(element),
                    }
                }
                Event::End(_) => {
                    let element = open.pop().ok_or_else(|| broken("an element ends that did not begin"))?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => root = Some(element),
                    }
                }
                Event::Text(text) => add(&mut open, &text, &broken)?,
                Event::CData(text) => add(&mut open, &text, &broken)?,
                Event::GeneralRef(reference) => {
                    let number = reference.resolve_char_ref().map_err(|error| broken(&error.to_string()))?;
                    let known = || resolve_predefined_entity(&reference).map(Cow::Borrowed);
                    let text = number.map(|c| Cow::Owned(c.to_string())).or_else(known);
                    let text = text.ok_or_else(|| broken("it has an entity of its own"))?;
                    add(&mut open, &text, &broken)?;
                }
                Event::DocType(_) => return Err(broken("it has a document type")),
                Event::Eof if open.is_empty() => return root.ok_or_else(|| broken("it has no element")),
                Event::Eof => return Err(broken("it ends too early")),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    fn begin(start: &BytesStart<'_>) -> Result<Self, FieldError> {
        let rule = || FieldError::new("body", "must be a well-formed XML document: an attribute is broken");
        let local = |name: &str| name.rsplit(':').next().unwrap_or_default().to_owned();
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| rule())?;
            let value = quick_xml::escape::unescape(&attribute.value).map_err(|_| rule())?.into_owned();
            attributes.push((local(attribute.key.as_ref()), value));
        }
        Ok(Self { name: local(start.name().as_ref()), attributes, ..Self::default() })
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name, without blanks around it; `None` when there is none, or it is nil.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).filter(|child| !child.is_nil()).map(|child| child.text.trim())
    }

    /// Whether it says that it has no value.
    pub fn is_nil(&self) -> bool {
        self.attributes.iter().any(|(name, value)| name == "nil" && matches!(value.as_str(), "true" | "1"))
    }
}

fn add(open: &mut [Element], text: &str, broken: &impl Fn(&str) -> FieldError) -> Result<(), FieldError> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(broken("it has text outside of its root")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_escaped_and_has_no_blanks() {
        let mut xml = Xml::new();
        xml.open_with("a", &[("x", "1\"<")]).leaf("b", "c & \u{1}d").leaf_if("e", None).empty("f", &[]).close("a");
        assert_eq!(xml.into_string(), "<a x=\"1&quot;&lt;\"><b>c &amp; d</b><f/></a>");
    }

    #[test]
    fn prefixes_declarations_and_cdata_are_read() {
        let text = "<?xml version = '1.0'?>\n<p:entry xmlns:p = \"x\" i:type='T&amp;'><c> a<![CDATA[<b>]]>&lt;&#65;</c><d i:nil=\"true\"/></p:entry>";
        let read = Element::parse(text.as_bytes()).unwrap();
        assert_eq!((read.name.as_str(), read.attributes[1].1.as_str()), ("entry", "T&"));
        assert_eq!((read.text_of("c"), read.text_of("d"), read.text_of("e")), (Some("a<b><A"), None, None));
    }

    #[test]
    fn a_document_that_could_cost_more_than_its_length_is_refused() {
        let deep = "<a>".repeat(DEEPEST + 1) + &"</a>".repeat(DEEPEST + 1);
        let wide = format!("<a>{}</a>", "<b/>".repeat(MOST));
        for document in [
            "",
            "<a>",
            "<a></b>",
            "<a/><a/>",
            "x<a/>",
            "<a>&own;</a>",
            "<!DOCTYPE a [<!ENTITY own 'x'>]><a>&own;</a>",
            "<a x='1' x='2'/>",
            "<a x='&own;'/>",
            &deep,
            &wide,
        ] {
            assert!(Element::parse(document.as_bytes()).is_err(), "{}", &document[..document.len().min(60)]);
        }
        assert!(Element::parse(b"<a>\xff</a>").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(document in "[<>/a-c&;=' \"!\\[\\]A-D?]{0,60}") {
            let _ = Element::parse(document.as_bytes());
        }

        #[test]
        fn text_comes_back(text in "\\PC{0,40}") {
            let mut xml = Xml::new();
            xml.leaf("a", &text);
            prop_assert_eq!(Element::parse(xml.into_string().as_bytes()).unwrap().text, legal(&text));
        }
    }
}
