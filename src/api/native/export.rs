//! `GET …/installations:export`: the installations of an audience as one stream, in the form that an import takes.
//!
//! A page is read when the one before it was handed to the connection, so memory holds one page whatever the stream's
//! length. The last line of each page has a `next_cursor` besides the document (an import ignores it): a caller whose
//! stream broke asks again from the last one it saw. A stream that cannot go on is broken off, never ended as if it
//! were whole.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header;

use super::installation_schema::ShownInstallation;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::refusals::Refused;
use crate::api::request::{Params, Visit};
use crate::identity::keys::Rights;
use crate::model::audience::Audience;
use crate::model::id::{HubId, Seq};
use crate::store::{InstallationPage, StoreError};

/// Documents that are read at once.
const PAGE: usize = 500;

struct Export {
    app: Arc<App>,
    hub: HubId,
    audience: Audience,
}

/// What the stream does next.
enum Next {
    Write(InstallationPage),
    Read(Seq),
}

#[utoipa::path(
    get,
    path = "/v1/hubs/{hub}/installations:export",
    tag = "installations",
    operation_id = "export_installations",
    summary = "Streams installations, one line each (manage)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("audience" = Option<String>, Query, description = "A tag expression; everybody when left out"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page that arrived whole"),
    ),
    responses(
        (
            status = 200,
            description = "NDJSON that an import takes; the last line of each page carries `next_cursor`",
            body = ShownInstallation,
            content_type = "application/x-ndjson",
        ),
        Refused,
    ),
)]
pub(super) async fn export(
    State(app): State<Arc<App>>,
    visit: Visit,
    mut params: Params,
) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::MANAGE)?.id;
    let audience = Audience::parse(&params.take("audience").unwrap_or_default(), &app.limits.audience)?;
    let from = params.cursor(|text| text.parse().ok().map(Seq))?.unwrap_or_default();
    params.finish()?;
    let export = Export { app, hub, audience };
    // Before the answer begins, so that what is wrong from the start has a status.
    let first = Next::Write(export.read(from).await?);
    let pages = stream::try_unfold(Some((export, first)), |state| async move {
        let Some((export, next)) = state else { return Ok::<_, StoreError>(None) };
        let page = match next {
            Next::Write(page) => page,
            Next::Read(from) => export.read(from).await.inspect_err(|error| {
                if let Some(fault) = ApiError::from(error.clone()).fault() {
                    fault.log(export.app.fanout.trouble());
                }
            })?,
        };
        let text = lines(&page).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(Some((text, page.next.map(|from| (export, Next::Read(from))))))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pages)).into_response())
}

impl Export {
    async fn read(&self, from: Seq) -> Result<InstallationPage, StoreError> {
        if self.app.draining.is_cancelled() {
            return Err(StoreError::Unavailable("the service is stopping".to_owned()));
        }
        self.app.store.installations(self.hub, &self.audience, from, PAGE).await
    }
}

fn lines(page: &InstallationPage) -> Result<Bytes, serde_json::Error> {
    let mut text = Vec::with_capacity(page.items.len() * 256);
    for (at, stored) in page.items.iter().enumerate() {
        serde_json::to_writer(&mut text, &stored.installation.shown_form(stored.channel_expired))?;
        if let Some(next) = page.next.filter(|_| at + 1 == page.items.len())
            && text.pop().is_some()
        {
            text.extend_from_slice(format!(r#","next_cursor":"{next}"}}"#).as_bytes());
        }
        text.push(b'\n');
    }
    Ok(text.into())
}
