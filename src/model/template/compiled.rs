//! A template's content, taken apart once and rendered often.

use std::collections::BTreeMap;

use super::composed::Composed;
use super::values::{Properties, Values};
use super::{LONGEST_BODY, LONGEST_HEADER, MOST_HEADERS, Mode, TemplateContent, json, xml};
use crate::model::field::FieldError;

/// A content, ready to be rendered.
#[derive(Clone, Debug)]
pub struct Compiled {
    body: Composed,
    pub(super) form: Form,
    /// Names in lower case, each once.
    headers: Headers,
    expiry: Option<Composed>,
    /// What it reads, in lower case, each once.
    names: Box<[Box<str>]>,
    size: usize,
}

/// Headers by their name.
type Headers = Box<[(Box<str>, Composed)]>;

/// What a body is.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Json { is_object: bool },
    Xml(xml::Shape),
}

/// What one template made of one set of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub body: String,
    /// Names in lower case. Values hold no control characters; the empty ones are left out.
    pub headers: Vec<(String, String)>,
    /// Text of a date, if any.
    pub expiry: Option<String>,
}

impl Compiled {
    /// Takes a content apart. The error's field is `body`, `headers`, `headers.NAME` or `expiry`.
    pub fn new(content: &TemplateContent, mode: Mode) -> Result<Self, FieldError> {
        let text = content.body.trim_start_matches('\u{feff}').trim();
        if text.len() > LONGEST_BODY {
            return Err(FieldError::new("body", format!("must not have more than {LONGEST_BODY} bytes")));
        }
        let (body, form) = if text.starts_with('<') {
            let (body, shape) = xml::compile(text, mode)?;
            (body, Form::Xml(shape))
        } else {
            let (body, is_object) = json::compile(text, mode)?;
            (body, Form::Json { is_object })
        };
        let headers = headers(&content.headers, mode)?;
        let expiry = content.expiry.as_deref().map(|text| header("expiry", text, mode)).transpose()?;
        let all = [&body].into_iter().chain(headers.iter().map(|(_, value)| value)).chain(&expiry);
        let mut names: Vec<Box<str>> = all.flat_map(Composed::names).map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        let size =
            content.body.len() + content.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        Ok(Self { body, form, headers, expiry, names: names.into(), size })
    }

    /// Bytes of its content: what keeping it costs, roughly.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether it reads anything that the message does not give: only then can devices differ.
    pub fn reads_beyond(&self, properties: &Properties) -> bool {
        self.names.iter().any(|name| !properties.has(name))
    }

    /// What it reads, in lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Of a device's push variables those that it reads, as the store keeps them: JSON, names in lower case and in
    /// order. `None` when there is none.
    pub fn variables(&self, of: &BTreeMap<String, String>) -> Option<Vec<u8>> {
        let read = of.iter().filter_map(|(name, text)| {
            let name = name.to_ascii_lowercase();
            let is_read = self.names.binary_search_by(|known| (**known).cmp(&name)).is_ok();
            is_read.then_some((name, text))
        });
        let read: BTreeMap<String, &String> = read.collect();
        if read.is_empty() { None } else { serde_json::to_vec(&read).ok() }
    }

    /// Renders it. The error's field is `template`.
    pub fn render(&self, values: &Values<'_>) -> Result<Rendered, FieldError> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let value = value.render(values)?;
            if !value.trim().is_empty() {
                headers.push((name.to_string(), value.trim().to_owned()));
            }
        }
        let expiry = self.expiry.as_ref().map(|expiry| expiry.render(values)).transpose()?;
        let expiry = expiry.filter(|expiry| !expiry.trim().is_empty());
        Ok(Rendered { body: self.body.render(values)?, headers, expiry })
    }

    /// A header's text when it is no expression; the name is in lower case.
    pub(super) fn literal_header(&self, name: &str) -> Option<Option<&str>> {
        self.headers.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.literal())
    }

    /// Names of its headers, in lower case.
    pub(super) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| &**name)
    }

    /// The expiry's text when it is no expression.
    pub(super) fn literal_expiry(&self) -> Option<&str> {
        self.expiry.as_ref().and_then(Composed::literal)
    }
}

fn headers(headers: &BTreeMap<String, String>, mode: Mode) -> Result<Headers, FieldError> {
    if headers.len() > MOST_HEADERS {
        return Err(FieldError::new("headers", format!("must not be more than {MOST_HEADERS}")));
    }
    let mut compiled: Vec<(Box<str>, Composed)> = Vec::with_capacity(headers.len());
    for (name, text) in headers {
        let field = format!("headers.{name}");
        let is_token =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_token || name.len() > 120 {
            return Err(FieldError::new(field, "must have a name of 1 to 120 letters, digits, - and _"));
        }
        let lower = name.to_ascii_lowercase();
        if compiled.iter().any(|(known, _)| **known == *lower) {
            return Err(FieldError::new(field, "must not stand twice"));
        }
        let value = header(&field, text, mode)?;
        compiled.push((lower.into(), value));
    }
    Ok(compiled.into())
}

fn header(field: &str, text: &str, mode: Mode) -> Result<Composed, FieldError> {
    if text.len() > LONGEST_HEADER {
        return Err(FieldError::new(field.to_owned(), format!("must not have more than {LONGEST_HEADER} bytes")));
    }
    Composed::of_header(text, mode).map_err(|rule| FieldError::new(field.to_owned(), rule))
}
