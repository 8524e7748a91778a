//! S1 to S4: sends, direct and in batches, and those that tell at once what became of them (`notification-hubs.md` 2.5).

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::here::{Here, Query, Whole, on, text};
use super::notification::{self, Asked};
use super::refusal::XML;
use super::{direct, multipart, test_send};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::request::Visit;
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::NewBroadcast;

/// The longest body of a send to one audience or handle, in bytes (2.5.3); a batch has the service's own limit.
pub const LONGEST: usize = 64 * 1024;

/// The same on every attempt of one call of the JavaScript client (1.8).
const CALL: &str = "x-ms-client-request-id";

/// S1, S2 and S4.
pub(super) async fn send(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    query: Query,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::SEND)?;
    check_length(&body)?;
    let handles = direct::asked(&query, &headers)?;
    let asked = notification::read(&headers, &body, handles, None, app.clock.now(), &app.limits.audience)?;
    answer(&app, hub, &here, &query, call(&headers, &[&body]), asked).await
}

/// S3.
pub(super) async fn batch(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    query: Query,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::SEND)?;
    if !query.has("direct") {
        return Err(FieldError::new("direct", "must stand in the query of a batch").into());
    }
    let (payload, devices) = batched(&headers, &body)?;
    check_length(payload)?;
    let handles = Some(direct::many(&headers, devices)?);
    let asked = notification::read(&headers, payload, handles, None, app.clock.now(), &app.limits.audience)?;
    answer(&app, hub, &here, &query, call(&headers, &[payload, devices]), asked).await
}

/// The payload of a batch, and the part with its handles.
pub(super) fn batched<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), FieldError> {
    let boundary = multipart::boundary(text(headers, "Content-Type")?.unwrap_or_default())?;
    let parts = multipart::parts(body, &boundary)?;
    let part = |name: &'static str| {
        let found = parts.iter().find(|part| part.name.eq_ignore_ascii_case(name));
        let missing = || FieldError::new(name, "is missing: could not find a part of the multipart content supplied");
        found.map(|part| part.body).ok_or_else(missing)
    };
    Ok((part("notification")?, part("devices")?))
}

pub(super) fn check_length(body: &[u8]) -> Result<(), ApiError> {
    if body.len() > LONGEST { Err(ApiError::too_large(LONGEST)) } else { Ok(()) }
}

/// One call of a client, however often it is sent: its id together with what is asked, so that an id that is used for
/// another request is another call.
pub(super) fn call(headers: &HeaderMap, bodies: &[&[u8]]) -> Option<(String, [u8; 32])> {
    let id = headers.get(CALL)?.to_str().ok().filter(|id| (1..=128).contains(&id.len()))?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let varies =
        |name: &str| ["servicebusnotification-", "apns-", "x-wns-", "x-baidu-"].iter().any(|own| name.starts_with(own));
    for (name, value) in headers.iter().filter(|(name, _)| varies(name.as_str())) {
        hash.update(name.as_str().as_bytes());
        hash.update(b"\n");
        hash.update(value.as_bytes());
        hash.update(b"\n");
    }
    for body in bodies {
        hash.update(&(body.len() as u64).to_be_bytes());
        hash.update(body);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.finish().as_ref());
    Some((format!("{CALL} {id} {}", hex::encode(digest)), digest))
}

/// Accepts, and answers where it is found; a test also what became of it.
async fn answer(
    app: &App,
    hub: &Hub,
    here: &Here,
    query: &Query,
    call: Option<(String, [u8; 32])>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let is_direct = asked.request.content.handles().is_some();
    let is_test = query.has("test");
    let sample = (is_test && !is_direct).then_some(test_send::MOST);
    let id = accept(app, hub, asked, call.filter(|_| !is_test), sample).await?;
    let mut location = here.address(&format!("/{}/messages/{id}", hub.name));
    if is_direct {
        location.push_str("&direct");
    }
    let location = [(header::LOCATION, HeaderValue::try_from(location).map_err(ApiError::internal)?)];
    if !is_test {
        return Ok((StatusCode::CREATED, location).into_response());
    }
    let outcome = test_send::outcome(app, hub, id).await?;
    Ok((StatusCode::CREATED, location, [(header::CONTENT_TYPE, XML)], outcome).into_response())
}

/// Accepts a broadcast whose payload the hub's gateways take. One for a platform that the hub has no way to is accepted
/// too: its telemetry says so (contract, "On the Notification Hubs face").
pub(super) async fn accept(
    app: &App,
    hub: &Hub,
    asked: Asked,
    idempotency: Option<(String, [u8; 32])>,
    sample: Option<usize>,
) -> Result<BroadcastId, ApiError> {
    let Asked { request, audience } = asked;
    let now = app.clock.now();
    // Only length and form matter here; the id that it will get is of the same length.
    let id = BroadcastId::new(u64::try_from(now.millis()).unwrap_or(0));
    let expires = due(request.schedule_at, now).plus(request.ttl());
    for platform in request.content.platforms().unwrap_or_default() {
        if let Some(gateway) = hub.gateway(platform) {
            gateway.prepare(id, &request, expires).map_err(of_payload)?;
        }
    }
    let begun = app.clock.boot();
    let accepted = app.fanout.accept(NewBroadcast { hub: hub.id, request, audience, idempotency, sample }).await?;
    if !accepted.replayed {
        app.metrics.accepted(hub.id, app.clock.boot().after(begun));
    }
    Ok(accepted.id)
}

fn due(schedule_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    schedule_at.filter(|at| *at > now).unwrap_or(now)
}

/// Gateways name members of the native API's request; here the payload is the body.
fn of_payload(error: FieldError) -> FieldError {
    let below = |label: &str| error.field.strip_prefix("payloads.").and_then(|rest| rest.strip_prefix(label));
    let field = Platform::ALL.into_iter().map(Platform::label).find_map(below).map(|rest| format!("body{rest}"));
    match field {
        Some(field) => error.at(field),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_id_and_what_it_asks() {
        let headers = |id: &str, tags: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CALL, HeaderValue::try_from(id).unwrap());
            headers.insert("servicebusnotification-tags", HeaderValue::try_from(tags).unwrap());
            headers.insert("authorization", HeaderValue::from_static("changes with each attempt"));
            headers
        };
        let one = call(&headers("id", "a"), &[b"body"]);
        assert_eq!(one, call(&headers("id", "a"), &[b"body"]));
        for other in [
            call(&headers("id2", "a"), &[b"body"]),
            call(&headers("id", "b"), &[b"body"]),
            call(&headers("id", "a"), &[b"body2"]),
            call(&headers("id", "a"), &[b"bo", b"dy"]),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(call(&HeaderMap::new(), &[b"body"]), None);
        assert!(one.is_some_and(|(key, _)| key.len() <= 256));
    }

    #[test]
    fn a_payload_is_called_the_body() {
        for (field, here) in [
            ("payloads.apns", "body"),
            ("payloads.fcm.data.a", "body.data.a"),
            ("payloads.web_push", "body"),
            ("payloads.xiaomi.title", "body.title"),
            ("apns-priority", "apns-priority"),
        ] {
            assert_eq!(of_payload(FieldError::new(field, "is wrong")).field, here);
        }
    }
}
