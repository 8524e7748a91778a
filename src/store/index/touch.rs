//! Touches: re-registrations that changed only their times.
//!
//! Every PUT of an existing installation leaves one, also when it wrote rows: so the newest touch that is not folded
//! always says when an installation was confirmed and until when it lives, and an older one that is still waiting can
//! never bring back what a later PUT replaced. Rows therefore lag behind, in one direction: a PUT that brings the
//! expiry *forward* in time writes the rows at once, so the expiry in a row is never later than the true one, and
//! whoever looks for what has expired finds too many and asks the touches, never too few.
//!
//! Bytes: a version byte, then for each installation, ascending by arrival number, four [`varint`]s: its number less
//! the one before, confirmed (ms), and the expiry (ms) plus one, or 0 for never.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::varint;
use crate::model::time::Timestamp;
use crate::store::{Result, StoreError};

const VERSION: u8 = 1;

/// The times of one installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Touch {
    pub(in crate::store) confirmed: Timestamp,
    pub(in crate::store) expires: Option<Timestamp>,
}

/// The touches of one commit, ascending by the installations' arrival numbers.
#[derive(Debug)]
pub(in crate::store) struct Touches(Box<[(i64, Touch)]>);

impl Touches {
    /// The touches and their bytes.
    pub(in crate::store) fn encode(touches: BTreeMap<i64, Touch>) -> (Self, Vec<u8>) {
        let mut out = Vec::with_capacity(1 + touches.len() * 16);
        out.push(VERSION);
        let mut previous = 0;
        for (&no, touch) in &touches {
            varint::put(&mut out, (no - previous).cast_unsigned());
            varint::put(&mut out, touch.confirmed.millis().max(0).cast_unsigned());
            varint::put(&mut out, touch.expires.map_or(0, |at| at.millis().max(0).cast_unsigned() + 1));
            previous = no;
        }
        (Self(touches.into_iter().collect()), out)
    }

    /// Reads what [`Touches::encode`] wrote.
    pub(in crate::store) fn decode(bytes: &[u8]) -> Result<Self> {
        let entries = decode(bytes).ok_or_else(|| StoreError::Corrupt("a row of touches".to_owned()))?;
        Ok(Self(entries.into_boxed_slice()))
    }

    /// The touch of an installation.
    pub(in crate::store) fn get(&self, no: i64) -> Option<Touch> {
        self.0.binary_search_by_key(&no, |(no, _)| *no).ok().and_then(|at| self.0.get(at)).map(|(_, touch)| *touch)
    }

    /// The installations, ascending.
    pub(in crate::store) fn installations(&self) -> impl Iterator<Item = i64> {
        self.0.iter().map(|(no, _)| *no)
    }

    /// How much memory it takes, in bytes.
    pub(in crate::store) fn len(&self) -> usize {
        std::mem::size_of_val(&*self.0)
    }
}

fn decode(bytes: &[u8]) -> Option<Vec<(i64, Touch)>> {
    let (&VERSION, mut rest) = bytes.split_first()? else { return None };
    let millis = |value: u64| i64::try_from(value).ok().map(Timestamp::from_millis);
    let (mut entries, mut no) = (Vec::new(), 0_i64);
    while !rest.is_empty() {
        no = no.checked_add_unsigned(varint::take(&mut rest)?)?;
        let confirmed = millis(varint::take(&mut rest)?)?;
        let expires = match varint::take(&mut rest)? {
            0 => None,
            at => Some(millis(at - 1)?),
        };
        entries.push((no, Touch { confirmed, expires }));
    }
    entries.is_sorted_by(|(a, _), (b, _)| a < b).then_some(entries)
}

/// The newest touch of an installation among rows given newest first.
pub(in crate::store) fn newest(rows: &[Arc<Touches>], no: i64) -> Option<Touch> {
    rows.iter().find_map(|touches| touches.get(no))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(confirmed: i64, expires: Option<i64>) -> Touch {
        Touch { confirmed: Timestamp::from_millis(confirmed), expires: expires.map(Timestamp::from_millis) }
    }

    #[test]
    fn touches_come_back() {
        let written = BTreeMap::from([(3 << 40, touch(5, None)), (3 << 40 | 9, touch(1_769_941_800_000, Some(7)))]);
        let (kept, bytes) = Touches::encode(written.clone());
        let read = Touches::decode(&bytes).unwrap();
        for touches in [&kept, &read] {
            assert_eq!(touches.installations().collect::<Vec<_>>(), [3 << 40, 3 << 40 | 9]);
            for (no, touch) in &written {
                assert_eq!(touches.get(*no), Some(*touch));
            }
            assert_eq!(touches.get(1), None);
        }
        assert!(Touches::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn the_newest_row_wins() {
        let row = |confirmed| Arc::new(Touches::encode(BTreeMap::from([(1, touch(confirmed, None))])).0);
        assert_eq!(newest(&[row(2), row(1)], 1), Some(touch(2, None)));
        assert_eq!(newest(&[row(2)], 2), None);
    }
}
