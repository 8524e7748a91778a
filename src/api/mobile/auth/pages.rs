//! What a browser sees when it is done (4.4, 4.5).
//!
//! The session stands in the fragment, which no server sees. The page leaves it there, for the apps that read it from
//! the address, and tells it to the page that opened this window where that page may have it: its origin was asked for at
//! the beginning and is held against the list here, when the page is written, again.
//!
//! No page runs any script but its own, is shown in a frame of strangers, or loads anything.

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};

use super::{Ask, end};
use crate::api::mobile::refusal::Refused;
use crate::identity::flow::Completion;
use crate::identity::pkce::sha256;
use crate::model::xml::escaped;

const STYLE: &str =
    "body{font:1rem/1.5 system-ui,sans-serif;margin:4rem auto;max-width:30rem;padding:0 1rem;text-align:center}";
const DONE: &str = include_str!("done.js");
const RECEIVER: &str = include_str!("receiver.js");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// GET `/.auth/login/done`.
pub(super) async fn done(ask: Ask) -> Result<Response, Refused> {
    let waiting = end::page(&ask)?;
    let data = waiting.map(|(completion, origin)| match completion {
        Completion::PostMessage => (origin, "postMessage"),
        Completion::Iframe => (origin, "iframe"),
    });
    page("Signing in …", data.as_ref().map(|(origin, kind)| (origin.as_str(), *kind)), Some(DONE), None)
}

/// GET `/.auth/login/complete`: where a browser with a cookie ends that was not told where to go.
pub(super) async fn complete(_: Ask) -> Result<Response, Refused> {
    page("You are signed in.", None, None, None)
}

/// GET `/.auth/logout/done`.
pub(super) async fn logged_out(_: Ask) -> Result<Response, Refused> {
    page("You are signed out.", None, None, None)
}

/// GET `/.auth/login/iframereceiver`: a frame in the page that waits, for browsers whose windows cannot speak to it.
pub(super) async fn receiver(ask: Ask) -> Result<Response, Refused> {
    let origin = end::page_origin(&ask)?;
    page("", Some((&origin, "iframe")), Some(RECEIVER), Some(&origin))
}

/// A page that says one thing; `data`: the origin and the kind of whoever waits; `frame`: who may show it in a frame.
fn page(
    said: &str,
    data: Option<(&str, &str)>,
    script: Option<&str>,
    frame: Option<&str>,
) -> Result<Response, Refused> {
    let data = data.map(|(origin, kind)| format!(" data-origin=\"{}\" data-kind=\"{kind}\"", escaped(origin)));
    let element = script.map(|script| format!("<script>{script}</script>")).unwrap_or_default();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"{}>\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Sign-in</title><style>{STYLE}</style></head>\n\
         <body><p id=\"said\">{}</p>{element}</body>\n</html>\n",
        data.unwrap_or_default(),
        escaped(said),
    );
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(sha256(text.as_bytes())));
    let policy = format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src {}; script-src {}; frame-ancestors {}",
        hash(STYLE),
        script.map_or_else(|| "'none'".to_owned(), hash),
        frame.unwrap_or("'none'"),
    );
    let policy = HeaderValue::from_str(&policy).map_err(|_| Refused::unable())?;
    let nosniff = HeaderValue::from_static("nosniff");
    let headers = [
        (header::CONTENT_TYPE, HTML),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, nosniff),
    ];
    Ok((StatusCode::OK, headers, html).into_response())
}
