//! One received request.
use std::fmt;

/// A request as it arrived. All names and values stand in one buffer, so that a request costs no allocation once its
/// connection has warmed up (see `Connection::recycle`).
#[derive(Default)]
pub struct Request {
    pub stream: u32,
    /// The stream ended with the headers' or the last body frame.
    pub body: Vec<u8>,
    text: Vec<u8>,
    /// Ends of name and value in `text`.
    fields: Vec<(u32, u32)>,
}

impl Request {
    /// The fields in the order of arrival, pseudo-headers first, names in lower case.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.fields.iter().map(move |&(name, value)| {
            let field = (&self.text[start..name as usize], &self.text[name as usize..value as usize]);
            start = value as usize;
            field
        })
    }

    /// The first field of that name.
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find_map(|(found, value)| (found == name).then_some(value))
    }

    /// Bytes of all names and values.
    pub fn head_bytes(&self) -> usize {
        self.text.len()
    }

    #[expect(clippy::cast_possible_truncation, reason = "a header list is cut at Settings::max_header_list, a u32")]
    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        self.text.extend_from_slice(name);
        let name_end = self.text.len() as u32;
        self.text.extend_from_slice(value);
        self.fields.push((name_end, self.text.len() as u32));
    }

    pub(super) fn clear(&mut self) {
        self.stream = 0;
        self.body.clear();
        self.text.clear();
        self.fields.clear();
    }
}

impl fmt::Debug for Request {
    /// Names, but no values: they carry device tokens and credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.fields().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
        f.debug_struct("Request")
            .field("stream", &self.stream)
            .field("fields", &names)
            .field("body", &self.body.len())
            .finish()
    }
}
