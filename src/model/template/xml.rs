//! An XML body: every text node and every attribute's value may be an expression as a whole; names never are (4.1).
//!
//! Documents with a type declaration are refused, so there are no entities but the five of the language and nothing can
//! be expanded. Declaration and comments are left out: what is sent is UTF-8.

use std::fmt::Display;

use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::composed::{Builder, Composed, Context, expression, is_xml};
use super::{DEEPEST, Mode};
use crate::model::field::FieldError;

/// What the platforms ask of a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// The root's name without its prefix.
    pub(super) root: String,
    /// The root is in the namespace `WPNotification`.
    pub(super) is_phone: bool,
    /// The name of the root's first child, without its prefix.
    pub(super) first_child: Option<String>,
}

fn rule(rule: impl Into<std::borrow::Cow<'static, str>>) -> FieldError {
    FieldError::new("body", rule)
}

fn broken(error: impl Display) -> FieldError {
    rule(format!("must be a well-formed XML document: {error}"))
}

/// The body, and what it is.
pub(super) fn compile(body: &str, mode: Mode) -> Result<(Composed, Shape), FieldError> {
    if !body.chars().all(is_xml) {
        return Err(rule("must not hold control characters, which XML cannot carry"));
    }
    let mut reader = Reader::from_str(body);
    let mut walk =
        Walk { mode, builder: Builder::default(), node: Node::default(), depth: 0, roots: 0, shape: Shape::default() };
    loop {
        match reader.read_event().map_err(broken)? {
            Event::Text(text) => walk.node.add(&text, &text),
            Event::CData(text) => walk.node.add(&format!("<![CDATA[{}]]>", &*text), &text),
            Event::GeneralRef(name) => {
                let character = match name.resolve_char_ref().map_err(broken)? {
                    Some(character) => Some(character).filter(|c| is_xml(*c)),
                    None => predefined(&name),
                };
                let character = character.ok_or_else(|| {
                    rule(format!(
                        "must not hold &{};: only &amp; &lt; &gt; &quot; &apos; and numbers are known",
                        &*name
                    ))
                })?;
                walk.node.add(&format!("&{};", &*name), character.encode_utf8(&mut [0; 4]));
            }
            Event::Start(element) => walk.open(&element, false)?,
            Event::Empty(element) => walk.open(&element, true)?,
            Event::End(element) => {
                walk.end_node()?;
                walk.depth = walk.depth.saturating_sub(1);
                let name: &str = element.name().into_inner();
                walk.builder.text("</");
                walk.builder.text(name);
                walk.builder.character('>');
            }
            Event::Comment(_) | Event::Decl(_) => {}
            Event::PI(_) => return Err(rule("must not hold processing instructions")),
            Event::DocType(_) => return Err(rule("must not hold a document type declaration")),
            Event::Eof => break,
        }
    }
    walk.end_node()?;
    if walk.depth > 0 || walk.roots != 1 {
        return Err(broken("one root element that is closed is wanted"));
    }
    Ok((walk.builder.finish(), walk.shape))
}

fn predefined(name: &str) -> Option<char> {
    let known = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];
    known.into_iter().find(|(known, _)| *known == name).map(|(_, character)| character)
}

/// A text node so far: as it was written, and what it says.
#[derive(Default)]
struct Node {
    written: String,
    says: String,
}

impl Node {
    fn add(&mut self, written: &str, says: &str) {
        self.written.push_str(written);
        self.says.push_str(says);
    }
}

struct Walk {
    mode: Mode,
    builder: Builder,
    node: Node,
    depth: usize,
    roots: usize,
    shape: Shape,
}

impl Walk {
    /// The text node before the next tag is whole.
    fn end_node(&mut self) -> Result<(), FieldError> {
        let Node { written, says } = std::mem::take(&mut self.node);
        if self.depth == 0 {
            return if says.trim().is_empty() {
                Ok(())
            } else {
                Err(broken("text stands outside of the root element"))
            };
        }
        match expression(&says, self.mode).map_err(rule)? {
            Some(expression) => self.builder.insert(expression, Context::XmlText),
            None => self.builder.text(&written),
        }
        Ok(())
    }

    fn open(&mut self, element: &BytesStart<'_>, is_empty: bool) -> Result<(), FieldError> {
        self.end_node()?;
        let name: &str = element.name().into_inner();
        check_name(name)?;
        let local = name.rsplit(':').next().unwrap_or(name);
        match self.depth {
            0 => {
                self.roots += 1;
                local.clone_into(&mut self.shape.root);
            }
            1 if self.shape.first_child.is_none() => self.shape.first_child = Some(local.to_owned()),
            _ => {}
        }
        self.builder.character('<');
        self.builder.text(name);
        for attribute in element.attributes() {
            let attribute = attribute.map_err(broken)?;
            let key: &str = attribute.key.into_inner();
            check_name(key)?;
            let blank = attribute.value.replace(['\t', '\n', '\r'], " ");
            let value = unescape(&blank).map_err(broken)?;
            if !value.chars().all(is_xml) {
                return Err(rule("must not hold control characters, which XML cannot carry"));
            }
            if self.depth == 0 && value == "WPNotification" {
                let prefix = name.strip_suffix(local).unwrap_or_default().trim_end_matches(':');
                self.shape.is_phone |= key.strip_prefix("xmlns").is_some_and(|of| of.trim_start_matches(':') == prefix);
            }
            self.builder.character(' ');
            self.builder.text(key);
            self.builder.text("=\"");
            match expression(&value, self.mode).map_err(rule)? {
                Some(expression) => self.builder.insert(expression, Context::XmlAttribute),
                None => self.builder.escaped(&value, Context::XmlAttribute),
            }
            self.builder.character('"');
        }
        self.builder.text(if is_empty { "/>" } else { ">" });
        self.depth += usize::from(!is_empty);
        if self.depth > DEEPEST {
            return Err(rule(format!("must not be nested deeper than {DEEPEST}")));
        }
        Ok(())
    }
}

/// The reader takes anything for a name; XML 1.0 section 2.3 does not.
fn check_name(name: &str) -> Result<(), FieldError> {
    let starts = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':') || !c.is_ascii();
    let goes_on = |c: char| starts(c) || c.is_ascii_digit() || matches!(c, '-' | '.');
    if name.starts_with(starts) && name.chars().all(goes_on) {
        Ok(())
    } else {
        Err(broken(format!("{:?} is no name", name.chars().take(60).collect::<String>())))
    }
}
