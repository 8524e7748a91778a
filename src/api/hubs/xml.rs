//! XML as the face writes it: without declaration, prefixes and blanks between elements, because some clients look at
//! qualified names, some at the node right after another (`notification-hubs.md` 2.3.3). [`model::xml`](crate::model::xml)
//! reads it.

use crate::model::xml::{escaped, escaped_text};

pub const ATOM: &str = "http://www.w3.org/2005/Atom";
pub const CONNECT: &str = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
pub const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

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
            self.0.push_str(&escaped(value));
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
        self.0.push_str(&escaped_text(text));
        self
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::xml::parse;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_escaped_and_has_no_blanks() {
        let mut xml = Xml::new();
        xml.open_with("a", &[("x", "1\"<")]).leaf("b", "c & \u{1}d").leaf_if("e", None).empty("f", &[]).close("a");
        assert_eq!(xml.into_string(), "<a x=\"1&quot;&lt;\"><b>c &amp; d</b><f/></a>");
    }

    proptest! {
        #[test]
        fn text_comes_back(text in "\\PC{0,40}") {
            let mut xml = Xml::new();
            xml.leaf("a", &text);
            prop_assert_eq!(parse(xml.into_string().as_bytes()).unwrap().text, text);
        }
    }
}
