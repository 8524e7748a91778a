//! What template targets share: a content stored once, by its number.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::engine::Precedence;
use super::super::{Parts, Result, StoreError};
use super::Shared;
use super::rows::{TxRows, unsigned};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, HubId, Seq};
use crate::model::template::{TemplateContent, TemplateId};
use crate::model::time::Timestamp;
use crate::store::registration::{self, TemplateLink, keys_of, same_number};

/// Templates that one slice of the sweep looks at.
const SLICE: usize = 256;

/// The contents of those that are there.
pub(super) fn contents(
    connection: &Connection,
    hub: HubId,
    ids: &[TemplateId],
) -> Result<Vec<(TemplateId, TemplateContent)>> {
    let mut contents = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(stored) = stored(connection, hub, *id)? {
            let content = TemplateContent::decode(&stored)
                .map_err(|error| StoreError::Corrupt(format!("template {id} of hub {hub}: {error}")))?;
            contents.push((*id, content));
        }
    }
    Ok(contents)
}

fn stored(connection: &Connection, hub: HubId, id: TemplateId) -> Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached("SELECT content FROM template WHERE hub = ?1 AND id = ?2")?;
    Ok(statement.query_row(params![hub.0, id.0.cast_signed()], |row| row.get(0)).optional()?)
}

/// Stores a content unless it is there.
pub(super) fn keep(tx: &Connection, hub: HubId, link: &TemplateLink) -> Result<()> {
    match stored(tx, hub, link.id)? {
        Some(stored) if stored == link.content => Ok(()),
        Some(_) => Err(same_number(hub, link.id)),
        None => {
            tx.prepare_cached("INSERT INTO template (hub, id, content) VALUES (?1, ?2, ?3)")?.execute(params![
                hub.0,
                link.id.0.cast_signed(),
                link.content
            ])?;
            Ok(())
        }
    }
}

/// Has rows name their template again. It is not in the way of registrations for long: a worker asks for a page of rows.
pub(super) async fn relink(parts: &Parts, hub: HubId, chunk: ChunkNo, set: &ChunkSet) -> Result<()> {
    let (registry, set) = (parts.registry.clone(), set.clone());
    let weight = set.len() as usize;
    let relink = move |tx: &Connection| {
        let mut rows = TxRows { tx, registry: &registry };
        set.iter().try_for_each(|offset| registration::relink(&mut rows, hub, Seq::at(chunk, offset)))
    };
    parts.engine.write(Precedence::Checkpoint, weight, relink).await
}

/// Removes templates that no target has, a slice at a time. Nobody registers meanwhile: this is the writer.
pub(super) fn sweep(tx: &Connection, registry: &Shared, now: Timestamp) -> Result<bool> {
    let mut round = registry.unused_templates.lock();
    let Some((hub, id)) = round.next(now) else { return Ok(false) };
    let looked_at: Vec<(HubId, TemplateId)> = tx
        .prepare_cached("SELECT hub, id FROM template WHERE (hub, id) > (?1, ?2) ORDER BY hub, id LIMIT ?3")?
        .query_map(params![hub, id, SLICE as i64], |row| Ok((HubId(row.get(0)?), TemplateId(unsigned(row, 1)?))))?
        .collect::<rusqlite::Result<_>>()?;
    let mut used = tx.prepare_cached("SELECT 1 FROM target WHERE template = ?1 AND key >= ?2 AND key < ?3 LIMIT 1")?;
    let mut delete = tx.prepare_cached("DELETE FROM template WHERE hub = ?1 AND id = ?2")?;
    for (hub, id) in &looked_at {
        let (from, below) = keys_of(*hub);
        if !used.exists(params![id.0.cast_signed(), from, below])? {
            delete.execute(params![hub.0, id.0.cast_signed()])?;
        }
    }
    let is_full = looked_at.len() == SLICE;
    round.went(looked_at.last().copied().filter(|_| is_full), now);
    Ok(is_full)
}
