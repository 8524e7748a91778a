//! What became of each target: one bit in one of the broadcast's sets, whichever form its plan has.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::Parts;
use super::super::registry;
use super::inline::of_runs;
use super::rows::{fetch_broadcast, inline_plan, request, time};
use super::sets::{self, load_reasons};
use crate::model::hash;
use crate::model::id::{BroadcastId, ChunkNo, HubId, InstallationId, Seq};
use crate::model::platform::Platform;
use crate::model::registration::Registrant;
use crate::model::target::TargetKind;
use crate::store::life::codec;
use crate::store::life::ledger::Ledger;
use crate::store::life::outcomes::{self as rules, Found, Gather};
use crate::store::life::reasons::Reasons;
use crate::store::{OutcomeItem, OutcomePage, OutcomeQuery, Result, StoreError, Tally};

pub(in super::super) async fn outcomes(
    parts: &Arc<Parts>,
    hub: HubId,
    id: BroadcastId,
    query: OutcomeQuery,
) -> Result<Option<OutcomePage>> {
    let mut running = of_runs(parts, Some(id), copy).await;
    let read = move |connection: &Connection| {
        let Some(row) = fetch_broadcast(connection, id)?.filter(|row| row.hub == hub) else { return Ok(None) };
        let request = request(connection, id)?;
        let handles = request.content.handles();
        if handles.is_some() && query.installation.is_some() {
            return Ok(Some(OutcomePage::default()));
        }
        let chosen = query.installation.as_ref().map(|id| seqs_of(connection, hub, id)).transpose()?;
        let mut gather = Gather::new(&query);
        let reasons = if row.inline {
            let (reasons, ledgers) = match running.remove(&id).filter(|_| row.is_running_inline()) {
                Some(copy) => copy,
                None => codec::decode_inline(&inline_plan(connection, id)?.unwrap_or_default())?,
            };
            match &chosen {
                Some(seqs) => rules::some_of_inline(&mut gather, &ledgers, seqs),
                None => rules::all_of_inline(&mut gather, &ledgers),
            }
            reasons
        } else {
            match &chosen {
                Some(seqs) => some(connection, id, &mut gather, seqs)?,
                None => all(connection, id, &mut gather)?,
            }
            load_reasons(connection, id)?
        };
        let (found, next) = gather.page();
        let item = |found: Found| match handles {
            Some(handles) => Ok(found.direct(&reasons, handles)),
            None => item(connection, hub, &reasons, found),
        };
        let items = found.into_iter().map(item).collect::<Result<_>>()?;
        Ok(Some(OutcomePage { items, next }))
    };
    parts.engine.read(read).await
}

pub(in super::super) async fn tally(parts: &Arc<Parts>, hub: HubId, id: BroadcastId) -> Result<Option<Tally>> {
    let mut running = of_runs(parts, Some(id), copy).await;
    let read = move |connection: &Connection| {
        let Some(row) = fetch_broadcast(connection, id)?.filter(|row| row.hub == hub) else { return Ok(None) };
        if row.inline {
            let (reasons, ledgers) = match running.remove(&id).filter(|_| row.is_running_inline()) {
                Some(copy) => copy,
                None => codec::decode_inline(&inline_plan(connection, id)?.unwrap_or_default())?,
            };
            return Ok(Some(rules::count_inline(&reasons, &ledgers)));
        }
        let reasons = load_reasons(connection, id)?;
        let mut tally = Tally::new();
        let mut query = connection.prepare_cached(
            "SELECT platform, place, detail, due, at, seqs FROM outcome_chunk \
             WHERE broadcast = ? AND platform = ? AND place = 3",
        )?;
        for platform in Platform::ALL {
            let mut rows = query.query(params![id.as_bytes(), platform.code()])?;
            while let Some(row) = rows.next()? {
                let place = sets::place(row, 1)?;
                let cell = codec::decode_cell(place, time(row, 4)?, sets::blob(row, 5)?, None)?;
                rules::count(&mut tally, &reasons, platform, place, &cell.set);
            }
        }
        Ok(Some(tally))
    };
    parts.engine.read(read).await
}

/// The sets of a run as they stand.
fn copy(run: &super::inline::Run) -> Inline {
    let ledgers = run.shares.platforms.iter().map(|(platform, share)| (*platform, share.ledger.clone()));
    (run.shares.reasons.clone(), ledgers.collect())
}

/// An inline plan's sets in memory.
type Inline = (Reasons, BTreeMap<Platform, Ledger>);

/// The next chunk from `chunk` on that any platform has targets in.
fn next_chunk(connection: &Connection, broadcast: BroadcastId, chunk: ChunkNo) -> Result<Option<ChunkNo>> {
    let mut query = connection
        .prepare_cached("SELECT min(chunk) FROM outcome_chunk WHERE broadcast = ? AND platform = ? AND chunk >= ?")?;
    let mut next = None;
    for platform in Platform::ALL {
        let bind = params![broadcast.as_bytes(), platform.code(), chunk.0];
        let found: Option<u32> = query.query_row(bind, |row| row.get(0))?;
        next = [next, found.map(ChunkNo)].into_iter().flatten().min();
    }
    Ok(next)
}

/// Gathers a page of all targets.
fn all(connection: &Connection, broadcast: BroadcastId, gather: &mut Gather) -> Result<()> {
    let mut next = Some(gather.first_chunk());
    while let Some(chunk) = next.map_or(Ok(None), |from| next_chunk(connection, broadcast, from))? {
        for platform in Platform::ALL {
            sets::of_chunk(connection, broadcast, platform, chunk, |place, cell| {
                gather.add(chunk, platform, place, &cell.set, cell.at);
                Ok(())
            })?;
        }
        gather.end_chunk();
        if gather.is_full() {
            break;
        }
        next = chunk.0.checked_add(1).map(ChunkNo);
    }
    Ok(())
}

/// Gathers a page of chosen targets, ascending.
fn some(connection: &Connection, broadcast: BroadcastId, gather: &mut Gather, seqs: &[Seq]) -> Result<()> {
    for seq in seqs {
        for platform in Platform::ALL {
            sets::of_chunk(connection, broadcast, platform, seq.chunk(), |place, cell| {
                gather.add_one(*seq, platform, place, &cell.set, cell.at);
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// Every seq that the installation or registration has or had, ascending: those of its row and those of its tombstones.
fn seqs_of(connection: &Connection, hub: HubId, id: &InstallationId) -> Result<Vec<Seq>> {
    let mut seqs = Vec::new();
    for key in rules::keys_of_id(id.as_str()) {
        seqs.extend(seqs_of_key(connection, hub, &key)?);
    }
    seqs.sort_unstable();
    seqs.dedup();
    Ok(seqs)
}

fn seqs_of_key(connection: &Connection, hub: HubId, id: &str) -> Result<Vec<Seq>> {
    let mut seqs = Vec::new();
    let mut query = connection.prepare_cached("SELECT no, document, seqs FROM installation WHERE id_hash = ?")?;
    let mut rows = query.query([hash::installation(hub, id).cast_signed()])?;
    while let Some(row) = rows.next()? {
        if registry::of_key(row.get(0)?).0 == hub && registry::registrant(sets::blob(row, 1)?)?.key() == id {
            let (stored, _) = sets::blob(row, 2)?.as_chunks::<8>();
            seqs.extend(stored.iter().map(|seq| Seq(u64::from_le_bytes(*seq))).filter(|seq| seq.0 < Seq::END));
        }
    }
    let mut query = connection.prepare_cached("SELECT key FROM target WHERE gone_id = ? AND key BETWEEN ? AND ?")?;
    let mut rows = query.query(params![id, registry::key(hub, Seq(0)), registry::key(hub, Seq(Seq::END - 1))])?;
    while let Some(row) = rows.next()? {
        seqs.push(registry::of_key(row.get(0)?).1);
    }
    Ok(seqs)
}

fn item(connection: &Connection, hub: HubId, reasons: &Reasons, found: Found) -> Result<OutcomeItem> {
    let mut query = connection.prepare_cached(
        "SELECT target.name, target.gone_id, installation.document FROM target \
         LEFT JOIN installation ON installation.no = target.installation AND target.gone_why IS NULL \
         WHERE target.key = ?",
    )?;
    let mut rows = query.query([registry::key(hub, found.seq)])?;
    let (mut target, mut registrant) = (TargetKind::Native, None);
    if let Some(row) = rows.next()? {
        if let Some(name) = row.get::<_, Option<String>>(0)? {
            target = TargetKind::parse(&name)
                .ok_or_else(|| StoreError::Corrupt(format!("target {} has no kind", found.seq)))?;
        }
        registrant = match (row.get::<_, Option<String>>(1)?, row.get_ref(2)?.as_blob_or_null()) {
            (Some(gone), _) => Registrant::of_key(&gone),
            (None, Ok(Some(document))) => Some(registry::registrant(document)?),
            (None, _) => None,
        };
    }
    Ok(found.item(reasons, target, registrant))
}
