//! Pages for people and tools (`mobile-apps.md` 6.2), each where the configuration wants it: `/` says what runs here,
//! `/swagger` describes the tables for programs, `/swagger/ui` for readers.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};

use super::Mobile;
use super::here::Here;
use super::refusal::{JSON, Refused};
use crate::api::docs::STYLE;
use crate::api::error::ApiError;
use crate::api::{App, Route};

mod swagger;

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/", get(home)),
        ("/swagger", get(description)),
        // Where the server of .NET had it.
        ("/swagger/docs/v1", get(description)),
        ("/swagger/ui", get(table_page)),
    ]
}

/// The face, where the configuration wants its description shown.
fn shown(app: &App) -> Result<&Arc<Mobile>, Refused> {
    app.mobile.as_ref().filter(|mobile| mobile.config.swagger).ok_or_else(Refused::no_route)
}

async fn home(State(app): State<Arc<App>>) -> Result<Response, Refused> {
    let mobile = app.mobile.as_ref().filter(|mobile| mobile.config.home_page).ok_or_else(Refused::no_route)?;
    let described = if mobile.config.swagger {
        "<p>Its tables are described at <a href=\"/swagger/ui\">/swagger/ui</a>, for programs at \
         <a href=\"/swagger\">/swagger</a>.</p>"
    } else {
        ""
    };
    Ok(page("Fanfare", &format!("<p>This service for mobile apps is running.</p>{described}")))
}

async fn description(State(app): State<Arc<App>>, here: Here) -> Result<Response, Refused> {
    let described = swagger::describe(&shown(&app)?.config, &here);
    let bytes = serde_json::to_vec(&described).map_err(ApiError::internal)?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, JSON)], bytes).into_response())
}

async fn table_page(State(app): State<Arc<App>>, here: Here) -> Result<Response, Refused> {
    let described = swagger::describe(&shown(&app)?.config, &here);
    Ok(page("Tables", &swagger::as_html(&described)))
}

/// A page without scripts; its policy admits its own style and nothing else.
fn page(title: &str, body: &str) -> Response {
    let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    );
    (headers, html).into_response()
}
