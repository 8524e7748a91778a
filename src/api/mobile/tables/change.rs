//! Broadcasts when rows change (`[mobile.tables.*.on_change]`).
//!
//! A write notes in its own transaction which audiences are owed a broadcast, so none is lost however the process ends,
//! and no write waits for one. This takes what is due, sends it as anybody's broadcast is sent, and lets the audience rest
//! for the interval: what changes meanwhile is one broadcast more. A broadcast that went out before its note was settled
//! is known by its key, which several nodes that look at once share as well.

use std::sync::Arc;
use std::time::Duration;

use super::Table;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::mobile::Mobile;
use crate::config::OnChange;
use crate::model::audience::Audience;
use crate::model::broadcast::{BroadcastRequest, Content, Lane, Priority};
use crate::store::{NewBroadcast, Note, TableError};

/// How often is looked for what comes due, or was noted on another node.
const LOOK: Duration = Duration::from_secs(1);
/// Notes of one look.
const AT_ONCE: u32 = 64;
/// A device that was off for longer pulls anyway.
const TTL_SECONDS: u32 = 3_600;
/// How long a note waits that no broadcast can be made of.
const AWAY: Duration = Duration::from_secs(60);

/// Tells of changes until the process drains.
pub async fn work(app: Arc<App>) {
    let Some(mobile) = app.mobile.clone() else { return };
    if !mobile.tables.by_key.values().any(|table| table.config.on_change.is_some()) {
        return;
    }
    while !app.draining.is_cancelled() {
        let full = tell(&app, &mobile).await;
        if full {
            continue;
        }
        tokio::select! {
            () = app.draining.cancelled() => {}
            () = mobile.tables.changed.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Sends what is due; answers whether more may be.
async fn tell(app: &App, mobile: &Mobile) -> bool {
    let notes = match app.store.tables().due_notes(AT_ONCE).await {
        Ok(notes) => notes,
        Err(error) => {
            log(app, error);
            return false;
        }
    };
    let full = notes.len() == AT_ONCE as usize;
    for note in notes {
        let table = mobile.tables.by_key.get(&note.table);
        let change = table.and_then(|table: &Arc<Table>| table.config.on_change.as_ref());
        let rest = match change {
            Some(change) => match send(app, mobile, change, &note).await {
                Ok(()) => Duration::from_secs(u64::from(change.min_interval_seconds)),
                Err(error) => {
                    let fault = error.fault();
                    // Ours, and passing: it is tried again with the next look.
                    if let Some(fault) = fault {
                        fault.log(app.fanout.trouble());
                        return false;
                    }
                    tracing::warn!(table = note.table, error = ?error, "cannot tell of changes in a table");
                    AWAY
                }
            },
            // Nobody is told of this table any more.
            None => Duration::ZERO,
        };
        if let Err(error) = app.store.tables().settle_note(note, rest).await {
            log(app, error);
            return false;
        }
    }
    full
}

async fn send(app: &App, mobile: &Mobile, change: &OnChange, note: &Note) -> Result<(), ApiError> {
    let name = mobile.config.hub.as_deref().unwrap_or_default();
    let hub = app.directory.hub(name).ok_or_else(ApiError::no_hub)?;
    let audience = Audience::parse(&note.audience, &app.limits.audience)?;
    let request = BroadcastRequest {
        audience: note.audience.clone(),
        content: Content::Template(change.template.clone()),
        ttl_seconds: TTL_SECONDS,
        collapse_key: None,
        priority: Priority::High,
        lane: Lane::Transactional,
        weight: 1,
        rate_per_second: 0,
        schedule_at: None,
    };
    let key = format!("on_change/{}/{}/{}", note.table, note.number, hash(&note.audience));
    let idempotency = Some((key, hash_bytes(&note.audience)));
    let begun = app.clock.boot();
    let accepted =
        app.fanout.accept(NewBroadcast { hub: hub.id, request, audience, idempotency, sample: None }).await?;
    if !accepted.replayed {
        app.metrics.accepted(hub.id, app.clock.boot().after(begun));
    }
    Ok(())
}

fn hash_bytes(text: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

fn hash(text: &str) -> String {
    hex::encode(&hash_bytes(text)[..16])
}

fn log(app: &App, error: TableError) {
    let error = match error {
        TableError::Store(error) => ApiError::from(error),
        other => ApiError::internal(other),
    };
    if let Some(fault) = error.fault() {
        fault.log(app.fanout.trouble());
    }
}
