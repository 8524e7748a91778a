//! What template targets share: a content stored once, by its number.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;

use super::super::error::Done;
use super::super::pool::{Durability, begin, commit, execute, query, retrying};
use super::super::{Parts, StoreError};
use super::base::Needs;
use super::transaction;
use super::working_set::WorkingSet;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, HubId, Seq};
use crate::model::template::{TemplateContent, TemplateId};
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::registration::{self, HubCommit, key, keys_of, same_number};

/// Templates that one slice of the sweep looks at.
const SLICE: i64 = 256;

/// The contents of those that are there.
pub(super) async fn contents(
    parts: &Parts,
    hub: HubId,
    ids: &[TemplateId],
) -> Done<Vec<(TemplateId, TemplateContent)>> {
    let wanted: Vec<i64> = ids.iter().map(|id| id.0.cast_signed()).collect();
    let rows = retrying(|| async {
        let client = parts.pool.get().await?;
        let sql = "SELECT id, content FROM template WHERE hub = $1 AND id = ANY ($2)";
        query(&client, sql, &[&hub.0.cast_signed(), &wanted]).await
    })
    .await?;
    let mut contents = Vec::with_capacity(rows.len());
    for row in rows {
        let id = TemplateId(row.try_get::<_, i64>(0)?.cast_unsigned());
        let content = TemplateContent::decode(row.try_get(1)?)
            .map_err(|error| StoreError::Corrupt(format!("template {id} of hub {hub}: {error}")))?;
        contents.push((id, content));
    }
    Ok(contents)
}

/// Stores contents that are not there, inside a registry commit: nobody removes one meanwhile ([`sweep`]).
pub(super) async fn keep(tx: &Transaction<'_>, hub: HubId, templates: &BTreeMap<TemplateId, Vec<u8>>) -> Done<()> {
    if templates.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = templates.keys().map(|id| id.0.cast_signed()).collect();
    let contents: Vec<&[u8]> = templates.values().map(|content| &**content).collect();
    // The last part sees what was there before.
    let sql = "WITH kept AS (SELECT * FROM unnest($2::bigint[], $3::bytea[]) AS n (id, content)), \
               put AS (INSERT INTO template (hub, id, content) SELECT $1, id, content FROM kept ON CONFLICT DO NOTHING) \
               SELECT t.id FROM kept n JOIN template t ON t.hub = $1 AND t.id = n.id WHERE t.content <> n.content";
    match query(tx, sql, &[&hub.0.cast_signed(), &ids, &contents]).await?.first() {
        None => Ok(()),
        Some(row) => Err(same_number(hub, TemplateId(row.try_get::<_, i64>(0)?.cast_unsigned())).into()),
    }
}

/// Has rows name their template again.
pub(super) async fn relink(parts: &Parts, hub: HubId, chunk: ChunkNo, set: &ChunkSet) -> Done<()> {
    let seqs: Vec<Seq> = set.iter().map(|offset| Seq::at(chunk, offset)).collect();
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Relaxed).await?;
        let turn = match transaction::turn(&tx, &parts.time, hub).await {
            Err(fault) if matches!(fault.error, StoreError::NoHub) => return Ok(()),
            turn => turn?,
        };
        let needs = Needs { targets: seqs.iter().map(|seq| key(hub, *seq)).collect(), ..Needs::default() };
        let rules = |rows: &mut WorkingSet<'_>, _: &mut HubCommit, _| -> Result<()> {
            seqs.iter().try_for_each(|seq| registration::relink(rows, hub, *seq))
        };
        Box::pin(transaction::run(&tx, &parts.registry, &turn, needs, rules)).await?;
        commit(tx).await
    })
    .await
}

/// Removes templates that no target has, a slice at a time. What looks unused is looked at again in the hub's turn, in
/// which nobody registers.
pub(super) async fn sweep(parts: &Parts, now: Timestamp) -> Done<bool> {
    let Some((after_hub, after_id)) = parts.registry.unused_templates.lock().next(now) else { return Ok(false) };
    let client = parts.pool.get().await?;
    let after_hub = i32::try_from(after_hub).unwrap_or(i32::MAX);
    let slice = "SELECT hub, id, EXISTS (SELECT 1 FROM target WHERE template = t.id) FROM \
                 (SELECT hub, id FROM template WHERE (hub, id) > ($1, $2) ORDER BY hub, id LIMIT $3) AS t";
    let rows = query(&client, slice, &[&after_hub, &after_id, &SLICE]).await?;
    drop(client);
    let mut last = None;
    let mut unused: BTreeMap<HubId, Vec<i64>> = BTreeMap::new();
    for row in &rows {
        let (hub, id) = (HubId(row.try_get::<_, i32>(0)?.cast_unsigned()), row.try_get::<_, i64>(1)?);
        if !row.try_get::<_, bool>(2)? {
            unused.entry(hub).or_default().push(id);
        }
        last = last.max(Some((hub, id)));
    }
    for (hub, ids) in unused {
        retrying(|| remove(parts, hub, &ids)).await?;
    }
    let is_full = rows.len() as i64 == SLICE;
    let to = last.filter(|_| is_full).map(|(hub, id)| (hub, TemplateId(id.cast_unsigned())));
    parts.registry.unused_templates.lock().went(to, now);
    Ok(is_full)
}

async fn remove(parts: &Parts, hub: HubId, ids: &[i64]) -> Done<()> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Relaxed).await?;
    let turn = transaction::turn(&tx, &parts.time, hub).await;
    // Nobody registers with a hub that is gone.
    if let Err(fault) = turn
        && !matches!(fault.error, StoreError::NoHub)
    {
        return Err(fault);
    }
    let (from, below) = keys_of(hub);
    let sql = "DELETE FROM template AS t WHERE hub = $1 AND id = ANY ($2) AND NOT EXISTS \
               (SELECT 1 FROM target WHERE template = t.id AND key >= $3 AND key < $4)";
    execute(&tx, sql, &[&hub.0.cast_signed(), &ids, &from, &below]).await?;
    commit(tx).await
}
