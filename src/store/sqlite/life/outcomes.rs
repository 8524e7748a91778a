//! What became of each target: one bit in one of the broadcast's sets, whichever form its plan has.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::Parts;
use super::super::registry;
use super::codec;
use super::inline::{is_running, of_runs};
use super::ledger::Ledger;
use super::reasons::Reasons;
use super::rows::{BroadcastRow, inline_plan};
use super::sets;
use crate::model::chunk_set::ChunkSet;
use crate::model::hash;
use crate::model::id::{BroadcastId, ChunkNo, HubId, InstallationId, Seq};
use crate::model::outcome::Place;
use crate::model::platform::Platform;
use crate::model::target::TargetKind;
use crate::model::time::Timestamp;
use crate::store::{OutcomeItem, OutcomePage, OutcomeQuery, Result, StoreError};

pub(in super::super) async fn outcomes(
    parts: &Arc<Parts>,
    hub: HubId,
    id: BroadcastId,
    query: OutcomeQuery,
) -> Result<Option<OutcomePage>> {
    let copy = |run: &super::inline::Run| -> Inline {
        let ledgers = run.platforms.iter().map(|(platform, share)| (*platform, share.ledger.clone()));
        (run.reasons.clone(), ledgers.collect())
    };
    let mut running = of_runs(parts, Some(id), copy).await;
    let read = move |connection: &Connection| {
        let Some(row) = BroadcastRow::fetch(connection, id)?.filter(|row| row.hub == hub) else { return Ok(None) };
        let (reasons, sets) = if row.inline {
            let (reasons, ledgers) = match running.remove(&id).filter(|_| is_running(&row)) {
                Some(copy) => copy,
                None => codec::decode_inline(&inline_plan(connection, id)?.unwrap_or_default())?,
            };
            (reasons, Sets::Inline(ledgers))
        } else {
            (Reasons::load(connection, id)?, Sets::Rows { connection, broadcast: id })
        };
        let page = match &query.installation {
            Some(installation) => of_installation(connection, hub, &sets, installation, &query)?,
            None => all(&sets, &query)?,
        };
        page.into_items(connection, hub, &reasons).map(Some)
    };
    parts.engine.read(read).await
}

/// An inline plan's sets in memory.
type Inline = (Reasons, BTreeMap<Platform, Ledger>);

/// Where the sets of a broadcast are.
enum Sets<'a> {
    Inline(BTreeMap<Platform, Ledger>),
    Rows { connection: &'a Connection, broadcast: BroadcastId },
}

impl Sets<'_> {
    /// The next chunk from `chunk` on that any platform has targets in.
    fn next_chunk(&self, chunk: ChunkNo) -> Result<Option<ChunkNo>> {
        match self {
            Self::Inline(ledgers) => {
                let chunks = ledgers.values().flat_map(|ledger| ledger.cells().map(|((chunk, _), _)| chunk));
                Ok(chunks.filter(|found| *found >= chunk).min())
            }
            Self::Rows { connection, broadcast } => {
                let mut query = connection.prepare_cached(
                    "SELECT min(chunk) FROM outcome_chunk WHERE broadcast = ? AND platform = ? AND chunk >= ?",
                )?;
                let mut next = None;
                for platform in Platform::ALL {
                    let bind = params![broadcast.as_bytes(), platform.code(), chunk.0];
                    let found: Option<u32> = query.query_row(bind, |row| row.get(0))?;
                    next = [next, found.map(ChunkNo)].into_iter().flatten().min();
                }
                Ok(next)
            }
        }
    }

    /// Every set of a chunk.
    fn of_chunk(&self, chunk: ChunkNo, mut each: impl FnMut(Platform, Place, &ChunkSet, Timestamp)) -> Result<()> {
        match self {
            Self::Inline(ledgers) => {
                for (platform, ledger) in ledgers {
                    for ((_, place), cell) in ledger.cells().filter(|((found, _), _)| *found == chunk) {
                        each(*platform, place, &cell.set, cell.at);
                    }
                }
            }
            Self::Rows { connection, broadcast } => {
                for platform in Platform::ALL {
                    sets::of_chunk(connection, *broadcast, platform, chunk, |place, cell| {
                        each(platform, place, &cell.set, cell.at);
                        Ok(())
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// One target found in a set.
#[derive(Clone, Copy, Debug)]
struct Found {
    seq: Seq,
    platform: Platform,
    place: Place,
    at: Timestamp,
}

/// A page before its rows are looked up.
struct FoundPage {
    found: Vec<Found>,
    next: Option<Seq>,
}

fn wanted(query: &OutcomeQuery, place: Place) -> bool {
    match (query.outcome, place) {
        (None, _) => true,
        (Some(None), place) => place.is_pending(),
        (Some(Some(outcome)), place) => matches!(place, Place::Done { outcome: found, .. } if found == outcome),
    }
}

fn all(sets: &Sets<'_>, query: &OutcomeQuery) -> Result<FoundPage> {
    let from = query.from.unwrap_or_default();
    let limit = query.limit.max(1);
    let mut found: Vec<Found> = Vec::new();
    let mut next = Some(from.chunk());
    while let Some(chunk) = next.map_or(Ok(None), |chunk| sets.next_chunk(chunk))? {
        let first = if chunk == from.chunk() { from.offset() } else { 0 };
        let missing = limit + 1 - found.len();
        let before = found.len();
        sets.of_chunk(chunk, |platform, place, set, at| {
            if wanted(query, place) {
                // Sets are disjoint, so the lowest of all are among the lowest of each.
                let offsets = set.iter().skip_while(|offset| *offset < first).take(missing);
                found.extend(offsets.map(|offset| Found { seq: Seq::at(chunk, offset), platform, place, at }));
            }
        })?;
        found[before..].sort_unstable_by_key(|found| found.seq);
        if found.len() > limit {
            break;
        }
        next = Some(ChunkNo(chunk.0 + 1));
    }
    let next = found.get(limit).map(|found| found.seq);
    found.truncate(limit);
    Ok(FoundPage { found, next })
}

fn of_installation(
    connection: &Connection,
    hub: HubId,
    sets: &Sets<'_>,
    installation: &InstallationId,
    query: &OutcomeQuery,
) -> Result<FoundPage> {
    let mut found = Vec::new();
    let from = query.from.unwrap_or_default();
    for seq in seqs_of(connection, hub, installation)?.into_iter().filter(|seq| *seq >= from) {
        sets.of_chunk(seq.chunk(), |platform, place, set, at| {
            if wanted(query, place) && set.contains(seq.offset()) {
                found.push(Found { seq, platform, place, at });
            }
        })?;
    }
    let limit = query.limit.max(1);
    let next = found.get(limit).map(|found| found.seq);
    found.truncate(limit);
    Ok(FoundPage { found, next })
}

/// Every seq that the installation has or had, ascending: those of its row and those of its tombstones.
fn seqs_of(connection: &Connection, hub: HubId, installation: &InstallationId) -> Result<Vec<Seq>> {
    let id = installation.as_str();
    let mut seqs = Vec::new();
    let mut query = connection.prepare_cached("SELECT no, document, seqs FROM installation WHERE id_hash = ?")?;
    let mut rows = query.query([hash::installation(hub, id).cast_signed()])?;
    while let Some(row) = rows.next()? {
        if registry::of_key(row.get(0)?).0 == hub && registry::document_id(sets::blob(row, 1)?)? == *installation {
            let (stored, _) = sets::blob(row, 2)?.as_chunks::<8>();
            seqs.extend(stored.iter().map(|seq| Seq(u64::from_le_bytes(*seq))).filter(|seq| seq.0 < Seq::END));
        }
    }
    let mut query = connection.prepare_cached("SELECT key FROM target WHERE gone_id = ? AND key BETWEEN ? AND ?")?;
    let mut rows = query.query(params![id, registry::key(hub, Seq(0)), registry::key(hub, Seq(Seq::END - 1))])?;
    while let Some(row) = rows.next()? {
        seqs.push(registry::of_key(row.get(0)?).1);
    }
    seqs.sort_unstable();
    seqs.dedup();
    Ok(seqs)
}

impl FoundPage {
    /// Looks up whose targets they are.
    fn into_items(self, connection: &Connection, hub: HubId, reasons: &Reasons) -> Result<OutcomePage> {
        let items = self.found.into_iter().map(|found| item(connection, hub, reasons, found)).collect::<Result<_>>()?;
        Ok(OutcomePage { items, next: self.next })
    }
}

fn item(connection: &Connection, hub: HubId, reasons: &Reasons, found: Found) -> Result<OutcomeItem> {
    let mut query = connection.prepare_cached(
        "SELECT target.name, target.gone_id, installation.document FROM target \
         LEFT JOIN installation ON installation.no = target.installation AND target.gone_why IS NULL \
         WHERE target.key = ?",
    )?;
    let mut rows = query.query([registry::key(hub, found.seq)])?;
    let (outcome, reason) = match found.place {
        Place::Done { outcome, reason } => (Some(outcome), reasons.text(reason).map(str::to_owned)),
        _ => (None, None),
    };
    let mut item = OutcomeItem {
        seq: found.seq,
        installation: None,
        target: TargetKind::Native,
        platform: found.platform,
        outcome,
        reason,
        at: found.at,
    };
    if let Some(row) = rows.next()? {
        if let Some(name) = row.get::<_, Option<String>>(0)? {
            item.target = TargetKind::parse(&name)
                .ok_or_else(|| StoreError::Corrupt(format!("target {} has no kind", found.seq)))?;
        }
        item.installation = match (row.get::<_, Option<String>>(1)?, row.get_ref(2)?.as_blob_or_null()) {
            (Some(gone), _) => InstallationId::parse(&gone).ok(),
            (None, Ok(Some(document))) => Some(registry::document_id(document)?),
            (None, _) => None,
        };
    }
    Ok(item)
}
