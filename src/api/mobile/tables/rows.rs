//! One row: read, insert, change, delete, undelete (2.5 – 2.8).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value as Json};

use super::answer::{gone, json, one, refused, resolved, written};
use super::ask::{Ask, AskWith, Body, Operation, no_row};
use super::dialect::Dialect;
use crate::api::mobile::refusal::Refused;
use crate::model::percent::encoded;
use crate::store::{StoreError, TableError};
use crate::tables::definition::OWNER;
use crate::tables::row::{Row, RowId};
use crate::tables::value::{Kind, Value};
use crate::tables::write::{Change, Missing, Refusal, Seen, Write, Written};

/// GET of a row.
pub(super) async fn read(ask: Ask) -> Result<Response, Refused> {
    let owner = ask.allow(Operation::Read)?;
    let found = ask.app.store.tables().table_row(ask.definition(), ask.id()?, owner).await;
    let (schema, row) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Err(ask.no(no_row())),
        Err(error) => return Ok(refused(&ask, error)),
    };
    if row.deleted && ask.definition().soft_delete && !ask.with_deleted() {
        return Ok(gone(&ask));
    }
    // The older clients take a 304 for an error (2.6).
    if !ask.dialect.is_v2() && is_known(&ask, &row) {
        let mut response = one(&ask, StatusCode::NOT_MODIFIED, &schema, &row);
        *response.body_mut() = axum::body::Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
        return Ok(response);
    }
    Ok(one(&ask, StatusCode::OK, &schema, &row))
}

/// Whether the client has the row as it stands.
fn is_known(ask: &Ask, row: &Row) -> bool {
    let text = |name| ask.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(tags) = text(header::IF_NONE_MATCH) {
        let own = format!("\"{}\"", row.version());
        return tags.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim() == own);
    }
    // The row's own date, which has no fraction, is before its stamp: a change within that second is not passed over.
    ask.date(&header::IF_MODIFIED_SINCE).is_some_and(|since| since >= row.updated)
}

/// POST to a table.
pub(super) async fn insert(ask: Ask, body: Body) -> Result<Response, Refused> {
    let owner = ask.allow(Operation::Insert)?;
    let AskWith { ask, item } = body.item(ask).await?;
    let id = new_id(&ask, &item)?;
    let write = Write { id, owner: owner.clone(), seen: Seen::Any, change: Change::Insert(item.clone()) };
    let made = match put(&ask, write).await {
        Ok(made) => made,
        // Somebody else's row: V2 is shown its own item and no more (OBS 170).
        Err(TableError::Refused(Refusal::Exists(None))) if ask.dialect.is_v2() => {
            let mut item = item;
            item.retain(|name, _| !name.eq_ignore_ascii_case(OWNER));
            item.extend(owner.map(|owner| (OWNER.to_owned(), Json::String(owner))));
            return Ok(json(StatusCode::CONFLICT, &item));
        }
        Err(error) => return Ok(refused(&ask, error)),
    };
    let mut response = written(&ask, StatusCode::CREATED, &made);
    let place = format!("{}/{}", ask.uri.path(), encoded(&made.row.id.to_string()));
    if let Ok(value) = HeaderValue::try_from(ask.here.address(&place)) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

/// The id that a new row gets; `None` where the server numbers rows.
fn new_id(ask: &Ask, item: &Map<String, Json>) -> Result<Option<RowId>, Refused> {
    if ask.definition().auto_increment {
        return Ok(None);
    }
    let given = match named(item, "id") {
        None | Some(Json::Null) => return Ok(Some(RowId::random())),
        Some(Json::String(text)) if text.is_empty() => return Ok(Some(RowId::random())),
        Some(Json::String(text)) => RowId::given(text),
        Some(Json::Number(number)) => RowId::given(&decimal(number)),
        Some(_) => return Err(ask.no(Refused::bad("The id must be a string"))),
    };
    given.map(Some).map_err(|error| ask.no(Refused::bad(format!("The id {}", error.rule))))
}

/// A number as an id (2.5): a whole one is written without a fraction, however the client wrote it.
fn decimal(number: &serde_json::Number) -> String {
    match Value::from_json(Kind::Number, &Json::Number(number.clone())) {
        Ok(Value::Int(whole)) => whole.to_string(),
        _ => number.to_string(),
    }
}

fn named<'a>(item: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    item.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, json)| json)
}

/// Writes, and tells of it where the table does.
async fn put(ask: &Ask, write: Write) -> Result<Written, TableError> {
    // As many as the store can be waited for by; the rest come again.
    let busy = |_| StoreError::Unavailable("too many writes are waiting for their commit".to_owned());
    let _slot = ask.app.registrations.try_acquire().map_err(busy)?;
    let made = ask.app.store.tables().write_row(ask.definition(), write).await?;
    if ask.definition().notice.is_some() {
        ask.mobile.tables.changed.notify_one();
    }
    Ok(made)
}

/// PATCH of a row.
pub(super) async fn merge(ask: Ask, body: Body) -> Result<Response, Refused> {
    let owner = ask.allow(Operation::Update)?;
    let AskWith { ask, item } = body.item(ask).await?;
    let id = ask.id()?;
    update(&ask, id, owner, item, false).await
}

/// PATCH of a table, with the id in the item (OBS 108).
pub(super) async fn merge_by_body(ask: Ask, body: Body) -> Result<Response, Refused> {
    let owner = ask.allow(Operation::Update)?;
    let AskWith { ask, item } = body.item(ask).await?;
    let id = match named(&item, "id") {
        Some(Json::String(text)) => RowId::of_path(ask.definition(), text),
        Some(Json::Number(number)) => RowId::of_path(ask.definition(), &decimal(number)),
        _ => return Err(ask.no(Refused::bad("The item must have an id"))),
    };
    let id = id.ok_or_else(|| ask.no(no_row()))?;
    update(&ask, id, owner, item, false).await
}

/// PUT of a row.
pub(super) async fn replace(ask: Ask, body: Body) -> Result<Response, Refused> {
    let owner = ask.allow(Operation::Update)?;
    let AskWith { ask, item } = body.item(ask).await?;
    let id = ask.id()?;
    update(&ask, id, owner, item, true).await
}

async fn update(
    ask: &Ask,
    id: RowId,
    owner: Option<String>,
    item: Map<String, Json>,
    replaces: bool,
) -> Result<Response, Refused> {
    let said = match named(&item, "id") {
        None | Some(Json::Null) => None,
        Some(Json::String(text)) => Some(text.clone()),
        Some(Json::Number(number)) => Some(decimal(number)),
        Some(other) => Some(other.to_string()),
    };
    if said.is_some_and(|said| said != id.to_string()) {
        return Err(ask.no(Refused::bad("The item ID and querystring ID did not match")));
    }
    // V2 without a header: what it has seen stands in the item, and is told with another status (OBS 102).
    let by_item = match named(&item, "version") {
        Some(Json::String(version)) if ask.dialect.is_v2() => Some(Seen::Version(version.clone())),
        _ => None,
    };
    let header = ask.if_match();
    let in_item = header.is_none() && by_item.is_some();
    let seen = header.or(by_item).or_else(|| ask.unmodified_since()).unwrap_or(Seen::Any);
    let live = matches!(named(&item, "deleted"), Some(Json::Bool(false)));
    let revives = match (ask.dialect, replaces) {
        (Dialect::V2, _) => false,
        (Dialect::V3 | Dialect::Ct, true) => ask.with_deleted() && (live || named(&item, "deleted").is_none()),
        (Dialect::V3 | Dialect::Ct, false) => live && ask.definition().soft_delete,
    };
    if revives {
        ask.allow(Operation::Undelete)?;
    }
    if ask.dialect == Dialect::V3 && !replaces {
        check_system(ask, &id, owner.clone(), &item).await?;
    }
    let change = match (revives && ask.definition().soft_delete, replaces) {
        (true, true) => Change::Revive(item, Missing::BecomeNull),
        (true, false) => Change::Revive(item, Missing::Stay),
        (false, true) => Change::Replace(item),
        (false, false) => Change::Merge(item),
    };
    match put(ask, Write { id: Some(id), owner, seen, change }).await {
        Ok(made) => Ok(written(ask, StatusCode::OK, &made)),
        Err(TableError::Refused(Refusal::Stale(item))) if in_item => {
            Ok(one(ask, StatusCode::CONFLICT, &item.0, &item.1))
        }
        Err(error) => Ok(refused(ask, error)),
    }
}

/// A patch of Datasync must leave the server's properties as they are (2.7); what it says of them may be what stands.
async fn check_system(ask: &Ask, id: &RowId, owner: Option<String>, item: &Map<String, Json>) -> Result<(), Refused> {
    let own = ["createdAt", "updatedAt", "version"];
    if !own.iter().any(|name| named(item, name).is_some()) {
        return Ok(());
    }
    let found = ask.app.store.tables().table_row(ask.definition(), id.clone(), owner).await;
    let Ok(Some((_, row))) = found else { return Ok(()) };
    for (name, stands) in own.into_iter().zip([row.created.to_string(), row.updated.to_string(), row.version()]) {
        let same = match named(item, name) {
            None => true,
            Some(Json::String(text)) if name == "version" => *text == stands,
            Some(Json::String(text)) => {
                crate::tables::value::instant(text).is_some_and(|time| time.to_string() == stands)
            }
            Some(_) => false,
        };
        if !same {
            return Err(ask.no(Refused::bad(format!("{name} is the server's and cannot be changed"))));
        }
    }
    Ok(())
}

/// DELETE of a row.
pub(super) async fn delete(ask: Ask) -> Result<Response, Refused> {
    let owner = ask.allow(Operation::Delete)?;
    let seen = ask.if_match().or_else(|| ask.unmodified_since()).unwrap_or(Seen::Any);
    // The queue of some older clients stops for ever at a delete that finds nothing to delete (3.5 P13).
    let repeats = ask.dialect.is_v2() && ask.is_offline();
    let id = match ask.id() {
        Ok(id) => id,
        Err(_) if repeats => return Ok(StatusCode::NO_CONTENT.into_response()),
        Err(refused) => return Err(refused),
    };
    match put(&ask, Write { id: Some(id), owner, seen, change: Change::Delete }).await {
        Ok(made) if ask.dialect.is_v2() => Ok(written(&ask, StatusCode::OK, &made)),
        Ok(made) => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            resolved(response.headers_mut(), &made.resolved);
            Ok(response)
        }
        Err(TableError::Refused(Refusal::Deleted(item))) if repeats => Ok(one(&ask, StatusCode::OK, &item.0, &item.1)),
        Err(TableError::Refused(Refusal::NoRow)) if repeats => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => Ok(refused(&ask, error)),
    }
}

/// POST of a row: it comes back. A body says nothing (OBS 134).
pub(super) async fn undelete(ask: Ask) -> Result<Response, Refused> {
    let owner = ask.allow(Operation::Undelete)?;
    let (id, seen) = (ask.id()?, ask.if_match().or_else(|| ask.unmodified_since()).unwrap_or(Seen::Any));
    match put(&ask, Write { id: Some(id), owner, seen, change: Change::Undelete }).await {
        Ok(made) => Ok(written(&ask, StatusCode::CREATED, &made)),
        Err(error) => Ok(refused(&ask, error)),
    }
}
