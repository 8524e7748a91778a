//! What the API says of itself: `GET /v1/openapi.json`, and `GET /docs`, a page that shows it.
//!
//! The description is gathered from the handlers' annotations. The page is one answer from the binary: style and script
//! stand in it, its policy admits exactly these two by their digests, and it asks nobody but this service.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{Route, native, ops, refusals};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const PAGE: &str = include_str!("page.html");

/// Both are the same for every service of this build, so they are made once.
static DESCRIPTION: LazyLock<Result<Bytes, String>> = LazyLock::new(|| describe().map(Bytes::from));
static SHOWN: LazyLock<(Bytes, String)> = LazyLock::new(|| (page().into(), policy()));

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
    vec![("/v1/openapi.json", get(openapi)), ("/docs", get(docs))]
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
async fn openapi() -> Result<impl IntoResponse, super::error::ApiError> {
    let text = DESCRIPTION.as_ref().map_err(super::error::ApiError::internal)?;
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
async fn docs() -> impl IntoResponse {
    let (page, policy) = &*SHOWN;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, page.clone())
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
