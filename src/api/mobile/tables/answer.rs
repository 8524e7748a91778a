//! Rows as clients read them (2.1), and what is refused (7).

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value as Json};

use super::ask::{Ask, no_row};
use super::dialect::Dialect;
use crate::api::error::ApiError;
use crate::api::mobile::refusal::{JSON, Refused};
use crate::store::TableError;
use crate::tables::definition::Definition;
use crate::tables::row::Row;
use crate::tables::schema::Schema;
use crate::tables::write::{Refusal, Resolved, Written};

/// What was done about another version than the client had seen; ours alone.
const CONFLICT: HeaderName = HeaderName::from_static("x-fanfare-conflict");

/// A row: the server's properties, then the app's columns. The newest clients refuse null for members that have no
/// null, and take a missing one for its default; the older ones keep what they had for a missing one (2.1).
pub(super) fn item(dialect: Dialect, definition: &Definition, schema: &Schema, row: &Row) -> Map<String, Json> {
    let mut item = Map::new();
    item.insert("id".to_owned(), row.id.value().to_json());
    item.insert("createdAt".to_owned(), Json::String(row.created.to_string()));
    item.insert("updatedAt".to_owned(), Json::String(row.updated.to_string()));
    item.insert("version".to_owned(), Json::String(row.version()));
    if definition.soft_delete {
        item.insert("deleted".to_owned(), Json::Bool(row.deleted));
    }
    for (column, value) in schema.columns().iter().zip(&row.fields) {
        if dialect != Dialect::Ct || !value.is_null() {
            item.insert(column.name.clone(), value.to_json());
        }
    }
    item
}

/// A body of JSON. Its length is known: some clients take none without (8.3).
pub(super) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, JSON)], bytes).into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}

/// One row with its version, and when it changed.
pub(super) fn one(ask: &Ask, status: StatusCode, schema: &Schema, row: &Row) -> Response {
    let mut response = json(status, &item(ask.dialect, ask.definition(), schema, row));
    let headers = response.headers_mut();
    tag(headers, row);
    if !ask.dialect.is_v2()
        && let Some(value) = modified(row)
    {
        headers.insert(header::LAST_MODIFIED, value);
    }
    response
}

fn tag(headers: &mut HeaderMap, row: &Row) {
    if let Ok(value) = HeaderValue::try_from(format!("\"{}\"", row.version())) {
        headers.insert(header::ETAG, value);
    }
}

/// RFC 9110 5.6.7.
fn modified(row: &Row) -> Option<HeaderValue> {
    let time = jiff::Timestamp::from_millisecond(row.updated.millis()).ok()?;
    let utc = jiff::tz::TimeZone::UTC.to_datetime(time);
    HeaderValue::try_from(utc.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

/// What was written, and what was done about a conflict.
pub(super) fn written(ask: &Ask, status: StatusCode, written: &Written) -> Response {
    let mut response = one(ask, status, &written.schema, &written.row);
    resolved(response.headers_mut(), &written.resolved);
    response
}

pub(super) fn resolved(headers: &mut HeaderMap, resolved: &Resolved) {
    let text = match resolved {
        Resolved::NoConflict => return,
        Resolved::ClientWins => "client_wins".to_owned(),
        Resolved::ServerWins => "server_wins".to_owned(),
        Resolved::Merged(stayed) => format!("merge; kept={}", stayed.join(",")),
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(CONFLICT, value);
    }
}

/// Why a row is not to be had.
pub(super) fn refused(ask: &Ask, error: TableError) -> Response {
    let refusal = match error {
        TableError::Refused(refusal) => refusal,
        TableError::Field(error) => return ask.no(error).into_response(),
        TableError::Store(error) => return ask.no(error).into_response(),
        error @ TableError::Definition(_) => return ask.no(ApiError::internal(error)).into_response(),
    };
    match refusal {
        Refusal::NoRow => ask.no(no_row()).into_response(),
        Refusal::Deleted(_) => gone(ask),
        Refusal::Exists(Some(item)) => one(ask, StatusCode::CONFLICT, &item.0, &item.1),
        // Those that see none of it learn no more than that the id cannot be had (OBS 170).
        Refusal::Exists(None) if ask.dialect.is_v2() => StatusCode::CONFLICT.into_response(),
        Refusal::Exists(None) => StatusCode::BAD_REQUEST.into_response(),
        Refusal::Stale(item) => one(ask, StatusCode::PRECONDITION_FAILED, &item.0, &item.1),
        Refusal::Field(error) => ask.no(error).into_response(),
        Refusal::NoUndelete => ask.no(Refused::disabled("Method undelete is not allowed")).into_response(),
    }
}

/// A row that is deleted and marked so.
pub(super) fn gone(ask: &Ask) -> Response {
    if ask.dialect.is_v2() { ask.no(no_row()).into_response() } else { StatusCode::GONE.into_response() }
}
