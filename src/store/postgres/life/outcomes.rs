//! What became of each target: one bit in one of the broadcast's sets, whichever form its plan has.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;

use super::super::error::Done;
use super::super::pool::{query, retrying, snapshot};
use super::super::{Parts, StoreError};
use super::rows::{fetch_broadcast, number, platform, request, shares, time, uuid};
use crate::model::hash;
use crate::model::id::{BroadcastId, ChunkNo, HubId, InstallationId, Seq};
use crate::model::registration::Registrant;
use crate::model::target::TargetKind;
use crate::store::life::codec;
use crate::store::life::outcomes::{self as rules, Found, Gather};
use crate::store::life::reasons::Reasons;
use crate::store::registration::{decode_seqs, key, of_key, registrant};
use crate::store::{OutcomeItem, OutcomePage, OutcomeQuery, Tally};

/// Chunks whose sets are read together for a page of all targets.
const CHUNKS: i64 = 8;

pub(in super::super) async fn outcomes(
    parts: &Parts,
    hub: HubId,
    id: BroadcastId,
    wanted: OutcomeQuery,
) -> Done<Option<OutcomePage>> {
    let wanted = &wanted;
    retrying(|| async move {
        let mut client = parts.pool.get().await?;
        let tx = snapshot(&mut client).await?;
        let Some(row) = fetch_broadcast(&tx, id).await?.filter(|row| row.hub == hub) else { return Ok(None) };
        let request = request(&tx, id).await?;
        let handles = request.content.handles();
        if handles.is_some() && wanted.installation.is_some() {
            return Ok(Some(OutcomePage::default()));
        }
        let chosen = match &wanted.installation {
            Some(installation) => Some(seqs_of(&tx, hub, installation).await?),
            None => None,
        };
        let mut gather = Gather::new(wanted);
        let reasons = if row.inline {
            let shares = shares(&tx, &row).await?;
            let ledgers = shares.platforms.into_iter().map(|(platform, share)| (platform, share.ledger)).collect();
            match &chosen {
                Some(seqs) => rules::some_of_inline(&mut gather, &ledgers, seqs),
                None => rules::all_of_inline(&mut gather, &ledgers),
            }
            shares.reasons
        } else {
            match &chosen {
                Some(seqs) => some(&tx, id, &mut gather, seqs).await?,
                None => all(&tx, id, &mut gather).await?,
            }
            super::reasons::load(&tx, id).await?
        };
        let (found, next) = gather.page();
        let items = match handles {
            Some(handles) => found.into_iter().map(|found| found.direct(&reasons, handles)).collect(),
            None => items(&tx, hub, &reasons, found).await?,
        };
        Ok(Some(OutcomePage { items, next }))
    })
    .await
}

pub(in super::super) async fn tally(parts: &Parts, hub: HubId, id: BroadcastId) -> Done<Option<Tally>> {
    retrying(|| async move {
        let mut client = parts.pool.get().await?;
        let tx = snapshot(&mut client).await?;
        let Some(row) = fetch_broadcast(&tx, id).await?.filter(|row| row.hub == hub) else { return Ok(None) };
        if row.inline {
            let shares = shares(&tx, &row).await?;
            let ledgers = shares.platforms.into_iter().map(|(platform, share)| (platform, share.ledger)).collect();
            return Ok(Some(rules::count_inline(&shares.reasons, &ledgers)));
        }
        let reasons = super::reasons::load(&tx, id).await?;
        let sql = "SELECT chunk, platform, place, detail, due, at, seqs FROM outcome_chunk \
                   WHERE broadcast = $1 AND place = 3";
        let mut tally = Tally::new();
        for row in query(&tx, sql, &[&uuid(id)]).await? {
            let SetRow { platform, place, cell } = set_row(&row)?;
            rules::count(&mut tally, &reasons, platform, place, &cell.set);
        }
        Ok(Some(tally))
    })
    .await
}

/// Gathers a page of all targets.
async fn all(on: &impl GenericClient, broadcast: BroadcastId, gather: &mut Gather) -> Done<()> {
    let mut from = Some(gather.first_chunk());
    while let Some(first) = from {
        let sql = "SELECT DISTINCT chunk FROM outcome_chunk WHERE broadcast = $1 AND chunk >= $2 ORDER BY 1 LIMIT $3";
        let found = query(on, sql, &[&uuid(broadcast), &first.0.cast_signed(), &CHUNKS]).await?;
        let chunks = found.iter().map(|row| number(row, 0).map(ChunkNo)).collect::<Done<Vec<_>>>()?;
        let mut open: Option<ChunkNo> = None;
        for (chunk, row) in sets(on, broadcast, &chunks).await? {
            if open.is_some_and(|open| open != chunk) {
                gather.end_chunk();
                if gather.is_full() {
                    return Ok(());
                }
            }
            open = Some(chunk);
            gather.add(chunk, row.platform, row.place, &row.cell.set, row.cell.at);
        }
        gather.end_chunk();
        from = chunks.last().filter(|_| !gather.is_full()).and_then(|last| last.0.checked_add(1)).map(ChunkNo);
    }
    Ok(())
}

/// Gathers a page of chosen targets, ascending.
async fn some(on: &impl GenericClient, broadcast: BroadcastId, gather: &mut Gather, seqs: &[Seq]) -> Done<()> {
    let mut chunks: Vec<ChunkNo> = seqs.iter().map(|seq| seq.chunk()).collect();
    chunks.sort_unstable();
    chunks.dedup();
    let sets = sets(on, broadcast, &chunks).await?;
    for seq in seqs {
        for (_, row) in sets.iter().filter(|(chunk, _)| *chunk == seq.chunk()) {
            gather.add_one(*seq, row.platform, row.place, &row.cell.set, row.cell.at);
        }
    }
    Ok(())
}

struct SetRow {
    platform: crate::model::platform::Platform,
    place: crate::model::outcome::Place,
    cell: crate::store::life::ledger::Cell,
}

/// Every set of some chunks, by chunk.
async fn sets(on: &impl GenericClient, broadcast: BroadcastId, chunks: &[ChunkNo]) -> Done<Vec<(ChunkNo, SetRow)>> {
    let chunks: Vec<i32> = chunks.iter().map(|chunk| chunk.0.cast_signed()).collect();
    let sql = "SELECT chunk, platform, place, detail, due, at, seqs FROM outcome_chunk \
               WHERE broadcast = $1 AND chunk = ANY ($2) ORDER BY chunk";
    let rows = query(on, sql, &[&uuid(broadcast), &chunks]).await?;
    rows.iter().map(|row| Ok((ChunkNo(number(row, 0)?), set_row(row)?))).collect()
}

fn set_row(row: &tokio_postgres::Row) -> Done<SetRow> {
    let place = codec::place_of(number(row, 2)?, number(row, 3)?, row.try_get(4)?)?;
    let cell = codec::decode_cell(place, time(row, 5)?, row.try_get(6)?, None)?;
    Ok(SetRow { platform: platform(row, 1)?, place, cell })
}

/// Every seq that the installation or registration has or had, ascending: those of its row and those of its tombstones.
async fn seqs_of(on: &impl GenericClient, hub: HubId, id: &InstallationId) -> Done<Vec<Seq>> {
    let mut seqs = Vec::new();
    for key in rules::keys_of_id(id.as_str()) {
        seqs.extend(seqs_of_key(on, hub, &key).await?);
    }
    seqs.sort_unstable();
    seqs.dedup();
    Ok(seqs)
}

async fn seqs_of_key(on: &impl GenericClient, hub: HubId, id: &str) -> Done<Vec<Seq>> {
    let mut seqs = Vec::new();
    let sql = "SELECT no, document, seqs FROM installation WHERE id_hash = $1";
    for row in query(on, sql, &[&hash::installation(hub, id).cast_signed()]).await? {
        if of_key(row.try_get(0)?).0 == hub && registrant(row.try_get(1)?)?.key() == id {
            seqs.extend(decode_seqs(row.try_get(2)?).into_iter().flatten());
        }
    }
    let sql = "SELECT key FROM target WHERE gone_id = $1 AND key BETWEEN $2 AND $3";
    for row in query(on, sql, &[&id, &key(hub, Seq(0)), &key(hub, Seq(Seq::END - 1))]).await? {
        seqs.push(of_key(row.try_get(0)?).1);
    }
    Ok(seqs)
}

/// Looks up whose targets they are.
async fn items(on: &impl GenericClient, hub: HubId, reasons: &Reasons, found: Vec<Found>) -> Done<Vec<OutcomeItem>> {
    let keys: Vec<i64> = found.iter().map(|found| key(hub, found.seq)).collect();
    let sql = "SELECT target.key, target.name, target.gone_id, installation.document FROM target \
               LEFT JOIN installation ON installation.no = target.installation AND target.gone_why IS NULL \
               WHERE target.key = ANY ($1)";
    let mut known = HashMap::with_capacity(found.len());
    for row in query(on, sql, &[&keys]).await? {
        let seq = of_key(row.try_get(0)?).1;
        let target = match row.try_get::<_, Option<&str>>(1)? {
            Some(name) => {
                TargetKind::parse(name).ok_or_else(|| StoreError::Corrupt(format!("target {seq} has no kind")))?
            }
            None => TargetKind::Native,
        };
        let registrant = match (row.try_get::<_, Option<&str>>(2)?, row.try_get::<_, Option<&[u8]>>(3)?) {
            (Some(gone), _) => Registrant::of_key(gone),
            (None, Some(document)) => Some(registrant(document)?),
            (None, None) => None,
        };
        known.insert(seq, (target, registrant));
    }
    let item = |found: Found| {
        let (target, registrant) = known.remove(&found.seq).unwrap_or((TargetKind::Native, None));
        found.item(reasons, target, registrant)
    };
    Ok(found.into_iter().map(item).collect())
}
