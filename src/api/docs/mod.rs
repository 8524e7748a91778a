//! What the API says of itself: `GET /v1/openapi.json`, and `GET /docs`, a page that shows it.
//!
//! The description is gathered from the handlers' annotations. The page is one answer from the binary: style and script
//! stand in it, its policy admits exactly these two by their digests, and it asks nobody but this service.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error::ApiError;
use super::{Route, native, ops, refusals};

pub(super) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const PAGE: &str = include_str!("page.html");

/// What is answered: made once, when the router is.
struct Shown {
    description: Result<Bytes, String>,
    page: Bytes,
    /// The page's `Content-Security-Policy`.
    policy: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Fanfare",
        description = "The native API of Fanfare, a push broadcast service. Every answer that refuses says which field breaks \
                       which rule. A colon in the last segment of a path is an action.",
    ),
    paths(openapi, docs),
    components(schemas(refusals::Error)),
    security(("key" = []), ("sas" = [])),
    modifiers(&Keys),
    tags(
        (name = "hubs", description = "Settings, access keys, senders"),
        (name = "installations", description = "The registry of devices"),
        (name = "audience", description = "How many targets a tag expression has"),
        (name = "broadcasts", description = "Send, follow, control, look at outcomes"),
        (name = "users", description = "Those who sign in through the Mobile Apps face"),
        (name = "operations", description = "For those who run the service"),
    ),
)]
struct Described;

/// The two ways to say who is calling.
struct Keys;

impl Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The admin key or a hub's key"));
        components.add_security_scheme("key", SecurityScheme::Http(key.build()));
        let sas = "A signed token: `SharedAccessSignature sr=…&sig=…&se=…&skn=…`";
        let sas = ApiKey::Header(ApiKeyValue::with_description("Authorization", sas));
        components.add_security_scheme("sas", SecurityScheme::ApiKey(sas));
    }
}

pub(super) fn routes() -> Vec<Route> {
    let shown = Arc::new(Shown { description: describe().map(Bytes::from), page: page().into(), policy: policy() });
    let described = shown.clone();
    vec![("/v1/openapi.json", get(async move || openapi(&described))), ("/docs", get(async move || docs(&shown)))]
}

/// The description of the whole API, as text.
pub fn describe() -> Result<String, String> {
    let mut described = Described::openapi();
    described.merge(native::Described::openapi());
    described.merge(ops::Described::openapi());
    described.to_pretty_json().map(|text| text + "\n").map_err(|error| error.to_string())
}

#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "operations",
    operation_id = "openapi",
    summary = "This description",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
    security(()),
)]
fn openapi(shown: &Shown) -> Result<impl IntoResponse + use<>, ApiError> {
    let text = shown.description.as_ref().map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text.clone()))
}

#[utoipa::path(
    get,
    path = "/docs",
    tag = "operations",
    operation_id = "docs",
    summary = "This description as a page",
    responses((status = 200, description = "A page for people", body = String, content_type = "text/html")),
    security(()),
)]
fn docs(shown: &Shown) -> impl IntoResponse + use<> {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, shown.policy.clone()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, shown.page.clone())
}

fn page() -> String {
    PAGE.replacen("{{style}}", STYLE, 1).replacen("{{script}}", SCRIPT, 1)
}

/// Nothing but the page's own style and script, and requests to this service.
fn policy() -> String {
    let digest = |text: &str| STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        digest(STYLE),
        digest(SCRIPT),
    )
}
