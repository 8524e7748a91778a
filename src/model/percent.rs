//! Percent-encoding as URLs and signatures have it.

/// Text with every byte percent-encoded but the unreserved characters (RFC 3986 section 2.3): for one segment of a path,
/// a value of a query, a fragment. A space is `%20`.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_encoded() {
        assert_eq!(encoded("contoso.com-1_~"), "contoso.com-1_~");
        assert_eq!(encoded("a b+/ü"), "a%20b%2B%2F%C3%BC");
    }
}
