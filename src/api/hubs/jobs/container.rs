//! Containers that Fanfare serves itself: `/{hub}/jobs/containers/{container}`, whose files lie in the store, so that
//! every node has them.
//!
//! The address is the key: whoever has it may list, read and write the container until it expires. It is signed with the
//! admin key, which every process of a service shares.
//!
//! ```text
//! {path}?se={expiry, Unix seconds}&sig={base64url(HMAC-SHA256(admin key, "fanfare container" \n path \n se))}
//! ```
//!
//! | request | does |
//! |---|---|
//! | `POST /{hub}/jobs/containers` | makes an address (Manage); 201 with it in `Location` and as the body |
//! | `PUT {address}/{name}` | writes a file, as a blob is put; 201 |
//! | `GET {address}/{name}` | reads one |
//! | `GET {address}` | lists them, as a blob container lists its blobs |

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, StatusCode, Uri, header};

use super::super::here::{Here, Query, on};
use super::KEPT;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::request::{Visit, check_is_plain};
use crate::directory::Hub;
use crate::identity::keys::{AdminKey, Rights};
use crate::model::field::FieldError;
use crate::model::xml::{escaped, push};
use crate::store::{FileInfo, StoreError};

/// How long an address holds.
const LIFE: Duration = KEPT;

/// Bytes of a piece. A row that large is still written and read in a few milliseconds.
pub(super) const PIECE: usize = 256 * 1024;

/// Bytes of a file.
const LARGEST: u64 = 1 << 32;

/// Keeps these signatures apart from whatever else the key signs.
const PURPOSE: &str = "fanfare container";

/// Characters of a file's name.
const LONGEST_NAME: usize = 512;

fn path_of(hub: &str, container: &str) -> String {
    format!("/{hub}/jobs/containers/{container}").to_ascii_lowercase()
}

fn signed(key: &AdminKey, path: &str, expiry: i64) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.secret().expose().as_bytes());
    hmac::sign(&key, format!("{PURPOSE}\n{path}\n{expiry}").as_bytes())
}

/// Whether a query's parts open the container at this path now.
fn opens(app: &App, path: &str, query: &Query) -> bool {
    let (Some(text), Some(signature)) = (query.get("se"), query.get("sig")) else { return false };
    let Ok(expiry) = text.parse::<i64>() else { return false };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, app.admin.secret().expose().as_bytes());
    let message = format!("{PURPOSE}\n{path}\n{expiry}");
    // Compares in constant time.
    hmac::verify(&key, message.as_bytes(), &signature).is_ok() && expiry > app.clock.now().millis().div_euclid(1_000)
}

/// What of an address is ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) container: String,
    /// The file, where the address names one.
    pub(super) name: Option<String>,
}

/// The container of this hub that an address opens, whatever host it names; `None` when it is none of ours.
pub(super) fn place(app: &App, hub: &Hub, address: &str) -> Option<Place> {
    let uri: Uri = address.parse().ok()?;
    let segments: Vec<&str> = uri.path().trim_start_matches('/').splitn(5, '/').collect();
    let [named, jobs, containers, container, rest @ ..] = &segments[..] else { return None };
    let ours = named.eq_ignore_ascii_case(hub.name.as_str())
        && jobs.eq_ignore_ascii_case("jobs")
        && containers.eq_ignore_ascii_case("containers")
        && opens(app, &path_of(hub.name.as_str(), container), &Query::of(&uri));
    let name = rest.first().map(|name| crate::model::registration::filter::percent_decoded(name).unwrap_or_default());
    let name = name.map(|name| bare(&name).to_owned()).filter(|name| !name.is_empty());
    ours.then(|| Place { container: container.to_ascii_lowercase(), name })
}

/// A name as files have it. The paths that a job tells begin with a namespace and two slashes.
fn bare(name: &str) -> &str {
    name.rsplit_once("//").map_or(name, |(_, name)| name).trim_start_matches('/')
}

/// Makes a container. Nothing is kept of it before a file is written.
pub(super) async fn make(State(app): State<Arc<App>>, visit: Visit, here: Here) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::MANAGE)?;
    let container = format!("{:032x}", fastrand::u128(..));
    let path = path_of(hub.name.as_str(), &container);
    let expiry = app.clock.now().plus(LIFE).millis().div_euclid(1_000);
    let signature = URL_SAFE_NO_PAD.encode(signed(&app.admin, &path, expiry));
    let address = format!("{}?se={expiry}&sig={signature}", here.bare(&path));
    let location = HeaderValue::try_from(&address).map_err(ApiError::internal)?;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok((StatusCode::CREATED, [(header::LOCATION, location), (header::CONTENT_TYPE, text)], address).into_response())
}

/// The hub, container and name of a request whose address opens them.
async fn opened(
    app: &App,
    params: &HashMap<String, String>,
    query: &Query,
) -> Result<(Arc<Hub>, String, String), ApiError> {
    let param = |name: &str| params.get(name).map_or("", String::as_str);
    let (hub, container) = (param("hub"), param("container").to_ascii_lowercase());
    if !opens(app, &path_of(hub, &container), query) {
        let message = "InvalidSignature: the address is signed for something else, or it has expired";
        return Err(ApiError::unauthorised(message));
    }
    if app.directory.hub(hub).is_none() {
        app.directory.look().await?;
    }
    let hub = app.directory.hub(hub).ok_or_else(ApiError::no_hub)?;
    Ok((hub, container, bare(param("name")).to_owned()))
}

/// The files of a container.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(params): Path<HashMap<String, String>>,
    query: Query,
    here: Here,
) -> Result<Response, ApiError> {
    let (hub, container, _) = opened(&app, &params, &query).await?;
    let address = here.bare(&path_of(hub.name.as_str(), &container));
    let mut out = format!("<EnumerationResults ContainerName=\"{}\"><Blobs>", escaped(&address));
    for file in app.store.files(hub.id, &container).await? {
        out.push_str("<Blob>");
        push(&mut out, "Name", &file.name);
        out.push_str("<Properties>");
        push(&mut out, "Content-Length", &file.bytes.to_string());
        out.push_str("<BlobType>BlockBlob</BlobType></Properties></Blob>");
    }
    out.push_str("</Blobs><NextMarker/></EnumerationResults>");
    let kind = HeaderValue::from_static("application/xml; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], out).into_response())
}

/// Writes a file. One of its name stands until this one is whole.
pub(super) async fn write(
    State(app): State<Arc<App>>,
    Path(params): Path<HashMap<String, String>>,
    query: Query,
    request: Request,
) -> Result<Response, ApiError> {
    let (hub, container, name) = opened(&app, &params, &query).await?;
    check_is_plain(request.headers())?;
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(FieldError::new("name", "must have 1 to 512 characters, none of them a control character").into());
    }
    let file = app.store.begin_file(hub.id, &container, &name, KEPT).await?;
    let mut pieces = request.into_body().into_data_stream();
    let (mut gathered, mut number, mut bytes) = (Vec::with_capacity(PIECE), 0, 0_u64);
    loop {
        let piece = tokio::time::timeout(app.patience, pieces.next()).await;
        let piece = piece.map_err(|_| ApiError::slow_body(app.patience))?;
        let piece: Option<Bytes> = piece.transpose().map_err(|_| ApiError::broken_body())?;
        let ended = piece.is_none();
        let mut piece = piece.unwrap_or_default();
        bytes += piece.len() as u64;
        if bytes > LARGEST {
            return Err(ApiError::too_large(usize::try_from(LARGEST).unwrap_or(usize::MAX)));
        }
        while gathered.len() + piece.len() >= PIECE {
            gathered.extend_from_slice(&piece.split_to(PIECE - gathered.len()));
            let full = std::mem::replace(&mut gathered, Vec::with_capacity(PIECE));
            app.store.append_file(file, number, full).await?;
            number += 1;
        }
        gathered.extend_from_slice(&piece);
        if ended {
            break;
        }
    }
    if !gathered.is_empty() {
        app.store.append_file(file, number, gathered).await?;
    }
    app.store.finish_file(file).await?;
    Ok(StatusCode::CREATED.into_response())
}

/// Reads a file, a piece at a time.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(params): Path<HashMap<String, String>>,
    query: Query,
) -> Result<Response, ApiError> {
    let (hub, container, name) = opened(&app, &params, &query).await?;
    let missing = || ApiError::not_found("no_file", "there is no such file in this container");
    let file = app.store.file(hub.id, &container, &name).await?.ok_or_else(missing)?;
    let length = HeaderValue::from(file.bytes);
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    let body = Body::from_stream(pieces(app, file));
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_LENGTH, length)], body).into_response())
}

/// The pieces of a file, each read when the one before it was taken.
pub(super) fn pieces(
    app: Arc<App>,
    file: FileInfo,
) -> impl futures_util::Stream<Item = Result<Bytes, StoreError>> + Send {
    stream::try_unfold((app, file, 0), |(app, file, number)| async move {
        if number == file.pieces {
            return Ok(None);
        }
        let gone = || StoreError::Engine("a piece of a file is gone".to_owned());
        let piece = app.store.file_piece(file.id, number).await?.ok_or_else(gone)?;
        Ok(Some((piece.into(), (app, file, number + 1))))
    })
}
