//! How two of the field's clients read XML: what they insist on (`notification-hubs.md` 2.3.2, Q21, Q23, Q34).

use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event};

/// An element as a reader meets it that knows no namespaces.
#[derive(Debug, Default)]
pub struct Node {
    /// With its prefix, if it has one.
    pub name: String,
    pub text: String,
    pub children: Vec<Node>,
    /// Whether anything but an element stood in it before its first element.
    blank_first: bool,
}

/// Reads a document that is nothing but its root element: no declaration, no blanks around it.
pub fn document(text: &str) -> Node {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut open = vec![Node::default()];
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {text}")) {
            Event::Start(start) => open.push(node(&start)),
            Event::Empty(start) => {
                open.push(node(&start));
                close(&mut open);
            }
            Event::End(_) => close(&mut open),
            Event::Text(found) => put(&mut open, &found.xml10_content()),
            Event::CData(found) => put(&mut open, &found.xml10_content()),
            Event::GeneralRef(reference) => {
                let told = match reference.resolve_char_ref().unwrap() {
                    Some(told) => told.to_string(),
                    None => {
                        let name: &str = &reference.into_inner();
                        quick_xml::escape::resolve_xml_entity(name).unwrap_or_else(|| panic!("&{name};")).to_owned()
                    }
                };
                put(&mut open, &told);
            }
            Event::Eof => break,
            other => panic!("{other:?} in {text}"),
        }
    }
    let mut around = open.pop().unwrap();
    assert!(open.is_empty() && around.children.len() == 1 && around.text.is_empty(), "{text}");
    around.children.remove(0)
}

fn node(start: &BytesStart<'_>) -> Node {
    Node { name: start.name().as_ref().to_owned(), ..Node::default() }
}

fn close(open: &mut Vec<Node>) {
    let ended = open.pop().unwrap();
    open.last_mut().unwrap().children.push(ended);
}

fn put(open: &mut [Node], text: &str) {
    let node = open.last_mut().unwrap();
    node.blank_first |= node.children.is_empty();
    node.text.push_str(text);
}

impl Node {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> &Self {
        let found = self.children.iter().find(|child| child.name == name);
        found.unwrap_or_else(|| panic!("{name} in {self:?}"))
    }

    /// The children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Names of the children, in order.
    pub fn names(&self) -> Vec<&str> {
        self.children.iter().map(|child| child.name.as_str()).collect()
    }
}

// The .NET client.

/// What belongs to every description, and then to each type: of its channel, and of its templates. In a contract's order,
/// without which members are lost.
const BASE: [&str; 5] = ["ETag", "ExpirationTime", "RegistrationId", "Tags", "PushVariables"];
const TYPES: [(&str, &[&str], &[&str]); 9] = [
    ("Apple", &["DeviceToken"], &["BodyTemplate", "Expiry", "TemplateName", "Priority", "ApnsHeaders"]),
    ("FcmV1", &["FcmV1RegistrationId"], &["BodyTemplate", "TemplateName"]),
    ("Gcm", &["GcmRegistrationId"], &["BodyTemplate", "TemplateName"]),
    ("Windows", &["ChannelUri", "SecondaryTileName"], &["BodyTemplate", "WnsHeaders", "TemplateName"]),
    ("Mpns", &["ChannelUri", "SecondaryTileName"], &["BodyTemplate", "MpnsHeaders", "TemplateName"]),
    ("Adm", &["AdmRegistrationId"], &["BodyTemplate", "TemplateName"]),
    ("Baidu", &["BaiduUserId", "BaiduChannelId"], &["BodyTemplate", "TemplateName", "MessageType"]),
    ("Browser", &["Endpoint", "P256DH", "Auth"], &["BodyTemplate", "TemplateName"]),
    ("Xiaomi", &["XiaomiRegistrationId"], &["BodyTemplate", "TemplateName"]),
];
const REQUIRED: [&str; 14] = [
    "DeviceToken",
    "FcmV1RegistrationId",
    "GcmRegistrationId",
    "ChannelUri",
    "AdmRegistrationId",
    "BaiduUserId",
    "BaiduChannelId",
    "Endpoint",
    "P256DH",
    "Auth",
    "XiaomiRegistrationId",
    "BodyTemplate",
    "WnsHeaders",
    "MpnsHeaders",
];

/// Members as a data contract has them. One that stands too early or too late is passed over, and so lost: here that is
/// an error, as is one that is missing and required.
pub fn contract<'a>(node: &'a Node, order: &[&str], required: &[&str]) -> BTreeMap<&'a str, &'a Node> {
    let mut members = BTreeMap::new();
    let mut rest = order;
    for child in &node.children {
        let at = rest.iter().position(|name| *name == child.name);
        let at = at.unwrap_or_else(|| panic!("{} stands where it is not read: {node:?}", child.name));
        rest = &rest[at + 1..];
        members.insert(child.name.as_str(), child);
    }
    for name in required {
        assert!(members.contains_key(name), "{name} is required: {node:?}");
    }
    members
}

/// The description in an entry: the very first node within `content`, known by its qualified name.
pub fn described(entry: &Node) -> (&str, BTreeMap<&str, &Node>) {
    let content = entry.child("content");
    assert!(!content.blank_first, "something stands before the description: {content:?}");
    let description = &content.children[0];
    let stem = description.name.strip_suffix("RegistrationDescription").unwrap_or_else(|| panic!("{description:?}"));
    let (stem, is_template) = stem.strip_suffix("Template").map_or((stem, false), |stem| (stem, true));
    let known = TYPES.into_iter().find(|(known, ..)| *known == stem);
    let (_, handles, template) = known.unwrap_or_else(|| panic!("unknown entity type {}", description.name));
    let order = [&BASE[..], handles, if is_template { template } else { &[] }].concat();
    let required: Vec<&str> = order.iter().copied().filter(|name| REQUIRED.contains(name)).collect();
    (&description.name, contract(description, &order, &required))
}

/// Status and message of an error: `Error`, then `Code`, then `Detail`.
pub fn error(text: &str) -> (u16, String) {
    let error = document(text);
    assert_eq!((error.name.as_str(), error.names()), ("Error", vec!["Code", "Detail"]), "{text}");
    (error.child("Code").text.parse().unwrap(), error.child("Detail").text.clone())
}

// The Java client.

/// The texts of every element of this name, wherever it stands.
pub fn anywhere(node: &Node, name: &str) -> Vec<String> {
    let own = (node.name == name).then(|| node.text.clone());
    own.into_iter().chain(node.children.iter().flat_map(|child| anywhere(child, name))).collect()
}
