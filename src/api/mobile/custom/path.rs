//! The address of a custom API below its upstream. No name leads out of the upstream's folder, however often the upstream
//! decodes it: a name whose segments would be a step, or hold a slash, at any depth of decoding is refused.

use http::Uri;

use super::super::refusal::Refused;
use crate::model::registration::filter::percent_decoded;

/// What stands before the name.
const PREFIX: &str = "/api/";
/// Decodings that are looked at: servers that decode twice exist.
const DEPTH: usize = 4;

/// `{base}/{name}?{query}` of a request to `/api/{name}?{query}`, both as they were written.
pub(super) fn below(base: &str, asked: &Uri) -> Result<Uri, Refused> {
    let name = asked.path().strip_prefix(PREFIX).ok_or_else(Refused::no_route)?;
    if !name.split('/').all(is_name) {
        return Err(Refused::bad("the name of an API must not hold empty, '.' or '..' segments or encoded slashes"));
    }
    let query = asked.query().map_or_else(String::new, |query| format!("?{query}"));
    let uri = format!("{base}/{name}{query}").parse();
    uri.map_err(|_| Refused::bad("the address must not be longer than 65,000 characters"))
}

/// Whether a segment is one at every depth of decoding.
fn is_name(segment: &str) -> bool {
    let mut text = segment.to_owned();
    for _ in 0..DEPTH {
        // Some servers cut off what follows a semicolon before they look at dots.
        let bare = text.split(';').next().unwrap_or_default();
        if matches!(bare, "" | "." | "..") || text.contains(['/', '\\']) || text.chars().any(char::is_control) {
            return false;
        }
        match percent_decoded(&text) {
            Some(decoded) if decoded == text => return true,
            Some(decoded) => text = decoded,
            // No encoding any more: it stands for itself.
            None => return text != segment,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    fn below(path: &str) -> Option<String> {
        super::below("http://h:9000/functions", &path.parse().unwrap()).ok().map(|uri| uri.to_string())
    }

    #[test]
    fn a_name_goes_below_the_upstream_as_it_was_written() {
        for (path, expected) in [
            ("/api/echo", "http://h:9000/functions/echo"),
            ("/api/orders/42?p=a%20b&q", "http://h:9000/functions/orders/42?p=a%20b&q"),
            ("/api/caf%C3%A9%20x", "http://h:9000/functions/caf%C3%A9%20x"),
            ("/api/100%25", "http://h:9000/functions/100%25"),
            ("/api/a..b/.hidden/...", "http://h:9000/functions/a..b/.hidden/..."),
            ("/api/a;v=1", "http://h:9000/functions/a;v=1"),
        ] {
            assert_eq!(below(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn no_name_leads_out_of_it() {
        for path in [
            "/api/..",
            "/api/../admin",
            "/api/a/../../admin",
            "/api/.",
            "/api//admin",
            "/api/a//b",
            "/api/%2e%2e/admin",
            "/api/%2E%2E%2Fadmin",
            "/api/.%2e",
            "/api/a%2fb",
            "/api/a%5Cb",
            "/api/..%5c..",
            "/api/%252e%252e/admin",
            "/api/%25252e%25252e",
            "/api/a%252fb",
            "/api/..;/admin",
            "/api/..;x=1/admin",
            "/api/%2e%2e%3b/admin",
            "/api/a%00",
            "/api/a%0d%0ab",
            "/api/%ff",
            "/api/%zz",
            "/api/",
        ] {
            assert_eq!(below(path), None, "{path}");
        }
    }
}
