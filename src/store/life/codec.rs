//! What this half of the store keeps in blobs. Fixed-width little-endian numbers throughout.
//!
//! | blob | content |
//! |---|---|
//! | counters of one shard | nine `u64` in the order of [`Counters`]' fields |
//! | counters of a broadcast | for each platform its code and its counters |
//! | staged set | for each member ascending: `u16` offset, `i64` since, `u8` timed, `u8` reason number |
//! | inline plan | version 1; reasons: `u8` count, each `u16` length and text; for each platform its code, counters and `u32` count of cells; each cell: `u32` chunk, `u8` place, `u16` detail, `i64` due, `i64` at, `u32` length and set |

use std::collections::BTreeMap;

use super::ledger::{Cell, Evidenced, Ledger};
use super::reasons::Reasons;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::ChunkNo;
use crate::model::outcome::{Counters, Outcome, Place};
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::{Result, StoreError};

const INLINE_VERSION: u8 = 1;

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} cannot be read"))
}

/// Takes numbers off the front of a blob.
struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| corrupt(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| corrupt(self.what))
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Result<Timestamp> {
        self.array().map(|bytes| Timestamp::from_millis(i64::from_le_bytes(bytes)))
    }

    fn counters(&mut self) -> Result<Counters> {
        Ok(Counters {
            targeted: self.u64()?,
            pending: self.u64()?,
            delivered: self.u64()?,
            rejected: self.u64()?,
            dropped: self.u64()?,
            expired: self.u64()?,
            cancelled: self.u64()?,
            skipped: self.u64()?,
            retries: self.u64()?,
        })
    }

    fn platform(&mut self) -> Result<Platform> {
        Platform::from_code(self.u8()?).ok_or_else(|| corrupt(self.what))
    }
}

fn put_counters(out: &mut Vec<u8>, counters: &Counters) {
    let Counters { targeted, pending, delivered, rejected, dropped, expired, cancelled, skipped, retries } = *counters;
    for number in [targeted, pending, delivered, rejected, dropped, expired, cancelled, skipped, retries] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// Counters of one shard.
pub(in crate::store) fn encode_counters(counters: &Counters) -> Vec<u8> {
    let mut out = Vec::with_capacity(72);
    put_counters(&mut out, counters);
    out
}

/// Reads what [`encode_counters`] wrote.
pub(in crate::store) fn decode_counters(bytes: &[u8]) -> Result<Counters> {
    Reader { rest: bytes, what: "a shard's counters" }.counters()
}

/// Counters by platform.
pub(in crate::store) fn encode_sums(sums: &BTreeMap<Platform, Counters>) -> Vec<u8> {
    let mut out = Vec::with_capacity(sums.len() * 73);
    for (platform, counters) in sums {
        out.push(platform.code());
        put_counters(&mut out, counters);
    }
    out
}

/// Reads what [`encode_sums`] wrote.
pub(in crate::store) fn decode_sums(bytes: &[u8]) -> Result<BTreeMap<Platform, Counters>> {
    let mut reader = Reader { rest: bytes, what: "a broadcast's counters" };
    let mut sums = BTreeMap::new();
    while !reader.rest.is_empty() {
        sums.insert(reader.platform()?, reader.counters()?);
    }
    Ok(sums)
}

/// Place, detail and due time as columns hold them.
pub(in crate::store) fn place_columns(place: Place) -> (u8, u16, i64) {
    match place {
        Place::Pending => (0, 0, 0),
        Place::Retry { attempt, due } => (1, u16::from(attempt), due.millis()),
        Place::Staged => (2, 0, 0),
        Place::Done { outcome, reason } => (3, u16::from(outcome.code()) << 8 | u16::from(reason), 0),
    }
}

/// The place of those columns.
pub(in crate::store) fn place_of(place: u8, detail: u16, due: i64) -> Result<Place> {
    let [low, high] = detail.to_le_bytes();
    let due = Timestamp::from_millis(due);
    match place {
        0 => Some(Place::Pending),
        1 => Some(Place::Retry { attempt: low, due }),
        2 => Some(Place::Staged),
        3 => Outcome::from_code(high).map(|outcome| Place::Done { outcome, reason: low }),
        _ => None,
    }
    .ok_or_else(|| corrupt("a target's place"))
}

/// A cell's set, or the evidence of a staged one.
pub(in crate::store) fn encode_cell(place: Place, cell: &Cell) -> Vec<u8> {
    if place != Place::Staged {
        return cell.set.encode();
    }
    let mut out = Vec::with_capacity(cell.evidence.len() * 12);
    for (offset, evidence) in &cell.evidence {
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&evidence.since.millis().to_le_bytes());
        out.push(u8::from(evidence.timed));
        out.push(evidence.reason);
    }
    out
}

/// Reads what [`encode_cell`] wrote; `row` is where it is stored.
pub(in crate::store) fn decode_cell(place: Place, at: Timestamp, bytes: &[u8], row: Option<i64>) -> Result<Cell> {
    let mut cell = Cell { at, row, ..Cell::default() };
    if place != Place::Staged {
        cell.set =
            ChunkSet::decode(bytes).map_err(|error| StoreError::Corrupt(format!("a set of targets: {error}")))?;
        return Ok(cell);
    }
    let mut reader = Reader { rest: bytes, what: "staged removals" };
    while !reader.rest.is_empty() {
        let offset = reader.u16()?;
        let evidence = Evidenced { since: reader.time()?, timed: reader.u8()? != 0, reason: reader.u8()? };
        cell.evidence.insert(offset, evidence);
    }
    cell.set = cell.evidence.keys().copied().collect();
    Ok(cell)
}

/// The sets of an inline plan, by platform.
pub(in crate::store) fn encode_inline<'a>(
    reasons: &Reasons,
    ledgers: impl Iterator<Item = (Platform, &'a Ledger)>,
) -> Vec<u8> {
    let mut out = vec![INLINE_VERSION, u8::try_from(reasons.texts().len()).unwrap_or(u8::MAX)];
    for text in reasons.texts() {
        out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    for (platform, ledger) in ledgers {
        out.push(platform.code());
        put_counters(&mut out, &ledger.counters);
        put_length(&mut out, ledger.cells().count());
        for ((chunk, place), cell) in ledger.cells() {
            let (code, detail, due) = place_columns(place);
            out.extend_from_slice(&chunk.0.to_le_bytes());
            out.push(code);
            out.extend_from_slice(&detail.to_le_bytes());
            out.extend_from_slice(&due.to_le_bytes());
            out.extend_from_slice(&cell.at.millis().to_le_bytes());
            let set = encode_cell(place, cell);
            put_length(&mut out, set.len());
            out.extend_from_slice(&set);
        }
    }
    out
}

/// Reads what [`encode_inline`] wrote.
pub(in crate::store) fn decode_inline(bytes: &[u8]) -> Result<(Reasons, BTreeMap<Platform, Ledger>)> {
    let mut reader = Reader { rest: bytes, what: "an inline plan" };
    if reader.u8()? != INLINE_VERSION {
        return Err(corrupt(reader.what));
    }
    let mut texts = Vec::new();
    for _ in 0..reader.u8()? {
        let length = usize::from(reader.u16()?);
        let text = std::str::from_utf8(reader.bytes(length)?).map_err(|_| corrupt(reader.what))?;
        texts.push(text.to_owned());
    }
    let mut ledgers = BTreeMap::new();
    while !reader.rest.is_empty() {
        let platform = reader.platform()?;
        let mut ledger = Ledger::with_counters(reader.counters()?);
        for _ in 0..reader.u32()? {
            let chunk = ChunkNo(reader.u32()?);
            let place = place_of(reader.u8()?, reader.u16()?, reader.time()?.millis())?;
            let at = reader.time()?;
            let length = reader.u32()? as usize;
            ledger.put(chunk, place, decode_cell(place, at, reader.bytes(length)?, None)?);
        }
        ledgers.insert(platform, ledger);
    }
    Ok((Reasons::of(texts), ledgers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inline_plan_comes_back_and_a_cut_one_does_not() {
        let at = Timestamp::from_millis(5);
        let mut ledger = Ledger::with_counters(Counters { targeted: 4, pending: 4, ..Counters::default() });
        let mut staged = Cell { at, ..Cell::default() };
        staged.set.insert(9);
        staged.evidence.insert(9, Evidenced { since: at, timed: true, reason: 1 });
        ledger.put(ChunkNo(1), Place::Pending, Cell { set: ChunkSet::from_range(1..=2), at, ..Cell::default() });
        ledger.put(
            ChunkNo(1),
            Place::Retry { attempt: 2, due: Timestamp::from_millis(-7) },
            Cell { set: ChunkSet::from_range(5..=5), at, ..Cell::default() },
        );
        ledger.put(ChunkNo(3), Place::Staged, staged);
        let reasons = Reasons::of(vec!["Unregistered".to_owned()]);
        let bytes = encode_inline(&reasons, [(Platform::Wns, &ledger)].into_iter());
        let (read, ledgers) = decode_inline(&bytes).unwrap();
        assert_eq!(read.texts(), reasons.texts());
        assert_eq!(ledgers, BTreeMap::from([(Platform::Wns, ledger)]));
        for length in [0, 1, 5, 30, bytes.len() - 1] {
            assert!(matches!(decode_inline(&bytes[..length]), Err(StoreError::Corrupt(_))), "{length} bytes");
        }
    }

    #[test]
    fn places_and_sums_go_both_ways() {
        for place in [
            Place::Pending,
            Place::Retry { attempt: 3, due: Timestamp::from_millis(77) },
            Place::Staged,
            Place::Done { outcome: Outcome::Skipped, reason: 65 },
        ] {
            let (code, detail, due) = place_columns(place);
            assert_eq!(place_of(code, detail, due).unwrap(), place);
        }
        let mut counters = Counters::default();
        counters.plan(9);
        counters.finish(Outcome::Dropped, 2);
        let sums = BTreeMap::from([(Platform::Apns, counters), (Platform::Mpns, Counters::default())]);
        assert_eq!(decode_sums(&encode_sums(&sums)).unwrap(), sums);
        assert_eq!(decode_counters(&encode_counters(&counters)).unwrap(), counters);
    }
}
