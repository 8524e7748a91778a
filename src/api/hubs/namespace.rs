//! H1 to H4: hubs (`notification-hubs.md` 2.10).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::description;
use super::fresh_id;
use super::here::{Here, Query, Whole, number, on, on_namespace};
use super::xml::{ATOM, Xml};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::request::Visit;
use crate::directory::{ChangeError, Changed, Hub};
use crate::identity::keys::Rights;
use crate::model::field::FieldError;
use crate::model::id::HubName;
use crate::model::time::Timestamp;

const ENTRY: HeaderValue = HeaderValue::from_static("application/atom+xml; type=entry; charset=utf-8");
const FEED: HeaderValue = HeaderValue::from_static("application/atom+xml; type=feed; charset=utf-8");

/// Answers may hold access keys.
const UNSTORED: (header::HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

fn feed(body: Xml) -> Response {
    ([(header::CONTENT_TYPE, FEED), UNSTORED], body.into_string()).into_response()
}

/// H1: makes a hub, or with `If-Match` replaces the settings of one.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    on_namespace(&visit)?;
    let name = HubName::parse(visit.param("hub"))?;
    let described = description::of_body(&body)?;
    let opened = app.unpacking.open(description::certificate(&described)?).await?;
    let updates = headers.contains_key(header::IF_MATCH);
    let decide = |current: Option<&_>| match (current, updates) {
        (Some(_), false) => Err(ChangeError::Field(FieldError::new("If-Match", EXISTS))),
        (None, true) => Err(ChangeError::NoHub),
        (current, _) => description::read(&described, opened.as_ref(), current),
    };
    let changed = match app.directory.put(&name, decide).await {
        Err(ChangeError::Field(error)) if error.rule == EXISTS => {
            return Err(ApiError::exists("there is a hub of this name already"));
        }
        other => other?,
    };
    let Changed { hub, created, reopened } = changed;
    for platform in reopened {
        app.fanout.renew_sender(hub.id, platform).await;
    }
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let mut entry = Xml::new();
    write_entry(&mut entry, &here, &hub, app.clock.now(), visit.is_admin(), created);
    Ok((status, [(header::CONTENT_TYPE, ENTRY), UNSTORED], entry.into_string()).into_response())
}

/// What `If-Match` would have to say.
const EXISTS: &str = "must be given to replace a hub";

/// H2. A hub that is not there is an empty feed, which is what a client's look before it creates one wants (Q30).
pub(super) async fn get(State(app): State<Arc<App>>, visit: Visit, here: Here) -> Result<Response, ApiError> {
    if visit.is_admin() && visit.known_hub().is_none() {
        let mut body = Xml::new();
        begin_listing(&mut body, app.clock.now()).close("feed");
        return Ok(feed(body));
    }
    let hub = on(&visit, Rights::MANAGE)?;
    let mut entry = Xml::new();
    write_entry(&mut entry, &here, hub, app.clock.now(), visit.is_admin(), true);
    Ok(([(header::CONTENT_TYPE, ENTRY), UNSTORED], entry.into_string()).into_response())
}

/// H3.
pub(super) async fn delete(State(app): State<Arc<App>>, visit: Visit) -> Result<StatusCode, ApiError> {
    on_namespace(&visit)?;
    app.directory.delete(visit.param("hub")).await?;
    Ok(StatusCode::OK)
}

/// H4 at `/`: names alone.
pub(super) async fn listed(State(app): State<Arc<App>>, visit: Visit, here: Here) -> Result<Response, ApiError> {
    on_namespace(&visit)?;
    let now = app.clock.now();
    let mut body = Xml::new();
    begin_listing(&mut body, now);
    for hub in app.directory.hubs() {
        body.open("entry")
            .leaf("id", &format!("uuid:{}", fresh_id()))
            .open_with("title", &[("type", "text")])
            .text(hub.name.as_str())
            .close("title")
            .leaf("updated", &now.to_string())
            .empty("link", &[("rel", "alternate"), ("href", &format!("http://{}/{}", here.authority, hub.name))])
            .close("entry");
    }
    body.close("feed");
    Ok(feed(body))
}

/// H4 at `/$Resources/NotificationHubs`: whole descriptions, by `$skip` and `$top` as a client goes through them.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    query: Query,
) -> Result<Response, ApiError> {
    on_namespace(&visit)?;
    let (skip, top) = (number(&query, "$skip")?.unwrap_or(0), number(&query, "$top")?.unwrap_or(usize::MAX));
    let now = app.clock.now();
    let mut body = Xml::new();
    body.open_with("feed", &[("xmlns", ATOM)])
        .open_with("title", &[("type", "text")])
        .text("NotificationHubs")
        .close("title")
        .leaf("id", &here.address("/$Resources/NotificationHubs"))
        .leaf("updated", &now.to_string());
    for hub in app.directory.hubs().into_iter().skip(skip).take(top) {
        write_entry(&mut body, &here, &hub, now, true, true);
    }
    body.close("feed");
    Ok(feed(body))
}

fn begin_listing(body: &mut Xml, now: Timestamp) -> &mut Xml {
    body.open_with("feed", &[("xmlns", ATOM)])
        .open_with("title", &[("type", "text")])
        .text("Publicly Listed Services")
        .close("title")
        .open_with("subtitle", &[("type", "text")])
        .text("This is the list of publicly-listed services currently available.")
        .close("subtitle")
        .leaf("id", &format!("uuid:{};id=1", fresh_id()))
        .leaf("updated", &now.to_string())
        .leaf("generator", "Service Bus 1.1")
}

/// An entry; that of an update has no time of publication.
fn write_entry(xml: &mut Xml, here: &Here, hub: &Hub, now: Timestamp, with_keys: bool, published: bool) {
    let address = here.address(&format!("/{}", hub.name));
    let now = now.to_string();
    xml.open_with("entry", &[("xmlns", ATOM)])
        .leaf("id", &address)
        .open_with("title", &[("type", "text")])
        .text(hub.name.as_str())
        .close("title")
        .leaf_if("published", published.then_some(now.as_str()))
        .leaf("updated", &now)
        .open("author")
        .leaf("name", here.host())
        .close("author")
        .empty("link", &[("rel", "self"), ("href", &address)])
        .open_with("content", &[("type", "application/xml")]);
    description::write(xml, &hub.settings, with_keys);
    xml.close("content").close("entry");
}
