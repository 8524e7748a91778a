//! Refusals as the API's description shows them: the shape of an error's body, and which statuses a handler may refuse
//! with. What they mean at run time is [`super::error`]'s.
#![expect(dead_code, reason = "shapes for the description: the answers themselves are written by `error`")]

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// What every refusal says.
#[derive(ToSchema)]
pub(super) struct Error {
    error: ErrorDetail,
}

/// What is wrong, where, and by which rule.
#[derive(ToSchema)]
pub(super) struct ErrorDetail {
    /// A word for programs.
    #[schema(examples("invalid", "unauthorized", "forbidden", "no_hub"))]
    code: String,
    /// A sentence for people: the field and the rule that it breaks.
    message: String,
    /// The member, parameter or header at fault, with a path of dots and indexes; absent when none is.
    #[schema(examples("tags[0]", "apns.topic"))]
    field: Option<String>,
}

/// Statuses that refuse, with what each means here.
const MEANINGS: [(&str, &str); 9] = [
    ("400", "Something in the request breaks a rule; `field` names it. Nothing was changed."),
    ("401", "No key, an unknown key, or a token that is broken, expired or for another resource."),
    ("403", "The key is known and lacks the right that this needs."),
    ("404", "The hub, or what the path names in it, does not exist."),
    ("409", "What is to be changed is in a state that does not allow it."),
    ("413", "The body is longer than `limits.body_bytes`."),
    ("415", "The body is not JSON, or it is compressed."),
    ("500", "A fault of the service; its log says what."),
    ("503", "The store is away or too much is under way; `Retry-After` says when to come back."),
];

fn refusals(statuses: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let known = MEANINGS.iter().filter(|(status, _)| statuses.contains(status));
    known
        .map(|(status, meaning)| {
            let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
            let response = ResponseBuilder::new().description(*meaning).content("application/json", body).build();
            ((*status).to_owned(), response.into())
        })
        .collect()
}

/// Of a request without a body.
pub(super) struct Refused;

impl IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["400", "401", "403", "404", "500", "503"])
    }
}

/// Of a request with a JSON body.
pub(super) struct BodyRefused;

impl IntoResponses for BodyRefused {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["400", "401", "403", "404", "413", "415", "500", "503"])
    }
}

/// Of a change that another state of things may forbid.
pub(super) struct Conflict;

impl IntoResponses for Conflict {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["409"])
    }
}

/// Of a stream, which has no length that is too long.
pub(super) struct Unpacked;

impl IntoResponses for Unpacked {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["415"])
    }
}
