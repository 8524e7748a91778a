//! Where a request of the Notification Hubs face leads (`notification-hubs.md` 1.3).
//!
//! Clients agree on the path words but not on their case, nor on a slash at the end, nor on whether a `/` within an id is
//! escaped. [`canonical`] writes a path the one way that the router knows; hub names, ids and tags stay as they came.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

/// The words that may follow a hub's name.
const WORDS: [&str; 9] = [
    "installations",
    "registrations",
    "registrationids",
    "tags",
    "messages",
    "schedulednotifications",
    "feedbackcontainer",
    "feedback",
    "jobs",
];

/// The first segment of the native API, which is no hub here.
const NATIVE: &str = "v1";

/// The list of all hubs, whole.
pub const RESOURCES: &str = "/$resources/notificationhubs";

/// Whose path it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    /// The face's own, written as the router knows it.
    Operation(String),
    /// `/` or `/{hub}`: the face's own where the request says so in another way.
    Namespace(String),
    /// None of the face's.
    Other,
}

/// Writes a path as the router knows it.
pub fn canonical(path: &str) -> Form {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.trim_end_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    match segments[..] {
        [NATIVE, ..] => Form::Other,
        [""] => Form::Namespace("/".to_owned()),
        [hub] => Form::Namespace(format!("/{hub}")),
        [first, second] if is(first, "$resources") && is(second, "notificationhubs") => {
            Form::Operation(RESOURCES.to_owned())
        }
        [hub, word, ref rest @ ..] if !hub.is_empty() => match WORDS.into_iter().find(|known| is(word, known)) {
            Some(word) => Form::Operation(format!("/{hub}/{word}{}", below(word, rest))),
            None => Form::Other,
        },
        _ => Form::Other,
    }
}

fn below(word: &str, rest: &[&str]) -> String {
    let joined = |segments: &[&str]| segments.join("%2F");
    match (word, rest) {
        (_, []) => String::new(),
        ("messages", [batch]) if is(batch, "$batch") => "/$batch".to_owned(),
        // Of a broadcast's id nothing has to be kept together, and `/errors` follows it.
        ("messages" | "feedback" | "jobs", rest) => format!("/{}", rest.join("/")),
        ("tags", [tag @ .., last]) if !tag.is_empty() && is(last, "registrations") => {
            format!("/{}/registrations", joined(tag))
        }
        (_, id) => format!("/{}", joined(id)),
    }
}

fn is(segment: &str, word: &str) -> bool {
    let segment = match segment.strip_prefix("%24") {
        Some(rest) => Cow::Owned(format!("${rest}")),
        None => Cow::Borrowed(segment),
    };
    segment.eq_ignore_ascii_case(word)
}

/// The same URI with another path.
pub fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{path}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_written_one_way() {
        for (path, expected) in [
            ("/Hub1/messages", "/Hub1/messages"),
            ("/hub1/Messages/", "/hub1/messages"),
            ("/hub1/messages//", "/hub1/messages"),
            ("/hub1/messages/%24Batch", "/hub1/messages/$batch"),
            ("/hub1/MESSAGES/$batch/", "/hub1/messages/$batch"),
            ("/hub1/messages/n-1/errors", "/hub1/messages/n-1/errors"),
            ("/hub1/registrationIDs", "/hub1/registrationids"),
            ("/hub1/Registrations/1-2-3", "/hub1/registrations/1-2-3"),
            ("/hub1/installations/A/b", "/hub1/installations/A%2Fb"),
            ("/hub1/installations/a%23b", "/hub1/installations/a%23b"),
            ("/hub1/Tags/a/b/Registrations", "/hub1/tags/a%2Fb/registrations"),
            ("/hub1/scheduledNotifications/x/", "/hub1/schedulednotifications/x"),
            ("/$Resources/NotificationHubs/", RESOURCES),
            ("/%24resources/notificationhubs", RESOURCES),
        ] {
            assert_eq!(canonical(path), Form::Operation(expected.to_owned()), "{path}");
        }
        for (path, expected) in [("/", "/"), ("", "/"), ("/hub1", "/hub1"), ("/Hub1/", "/Hub1")] {
            assert_eq!(canonical(path), Form::Namespace(expected.to_owned()), "{path}");
        }
        for path in ["/v1/hubs/x/y", "/v1/messages", "//messages", "/hub1/other", "/hub1/other/messages", "/$other/x"] {
            assert_eq!(canonical(path), Form::Other, "{path}");
        }
    }

    #[test]
    fn a_path_changes_and_the_rest_stays() {
        let uri: Uri = "https://h:8443/Hub/Messages/?api-version=1&direct".parse().unwrap();
        assert_eq!(with_path(&uri, "/Hub/messages").unwrap(), "https://h:8443/Hub/messages?api-version=1&direct");
        let uri: Uri = "/Hub".parse().unwrap();
        assert_eq!(with_path(&uri, "/Hub").unwrap(), "/Hub");
    }

    proptest! {
        #[test]
        fn what_was_written_is_written_the_same_again(path in "(/[a-zA-Z$%0-9]{0,6}|/messages|/tags|/Installations|/){0,5}") {
            if let Form::Operation(once) | Form::Namespace(once) = canonical(&path) {
                let again = canonical(&once);
                prop_assert!(again == Form::Operation(once.clone()) || again == Form::Namespace(once.clone()), "{path} {once}");
            }
        }
    }
}
