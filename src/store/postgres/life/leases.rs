//! The leases of an inline plan's pseudo-shards, in one column of the broadcast's row.
//!
//! For each platform 47 bytes, little-endian: `u8` platform, `u8` state, `u64` epoch, `i64` time, `u8` progressed,
//! `u32` strikes, three `u64` of the narrowed range (all ones: it is open).

use super::super::StoreError;
use crate::model::id::Seq;
use crate::model::narrowing::Narrowed;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::life::inline::Shares;
use crate::store::life::records::LeaseColumns;

const SIZE: usize = 47;
const OPEN: u64 = u64::MAX;

pub(super) fn encode(shares: &Shares) -> Vec<u8> {
    let mut out = Vec::with_capacity(shares.platforms.len() * SIZE);
    for (platform, share) in &shares.platforms {
        let lease = LeaseColumns::from(&share.lease);
        out.push(platform.code());
        out.push(lease.state);
        out.extend_from_slice(&lease.epoch.to_le_bytes());
        out.extend_from_slice(&lease.time.millis().to_le_bytes());
        out.push(u8::from(lease.progressed));
        out.extend_from_slice(&lease.strikes.to_le_bytes());
        let range = share.narrowed.map_or([OPEN; 3], |it| [it.first.0, it.to.0, it.last.0]);
        range.iter().for_each(|seq| out.extend_from_slice(&seq.to_le_bytes()));
    }
    out
}

/// Puts the leases that [`encode`] wrote onto the shares.
pub(super) fn decode(bytes: &[u8], shares: &mut Shares) -> Result<()> {
    let (leases, rest) = bytes.as_chunks::<SIZE>();
    if !rest.is_empty() {
        return Err(corrupt());
    }
    for lease in leases {
        let share = Platform::from_code(lease[0]).and_then(|platform| shares.platforms.get_mut(&platform));
        let share = share.ok_or_else(corrupt)?;
        let columns = LeaseColumns {
            state: lease[1],
            epoch: u64::from_le_bytes(at(lease, 2)?),
            time: Timestamp::from_millis(i64::from_le_bytes(at(lease, 10)?)),
            progressed: lease[18] != 0,
            strikes: u32::from_le_bytes(at(lease, 19)?),
        };
        share.lease = columns.lease()?;
        let seq = |place| at(lease, place).map(|bytes| Seq(u64::from_le_bytes(bytes)));
        let (first, to, last) = (seq(23)?, seq(31)?, seq(39)?);
        share.narrowed = (first.0 != OPEN).then_some(Narrowed { first, to, last });
    }
    Ok(())
}

fn at<const N: usize>(lease: &[u8; SIZE], place: usize) -> Result<[u8; N]> {
    lease.get(place..place + N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(corrupt)
}

fn corrupt() -> StoreError {
    StoreError::Corrupt("the leases of an inline plan cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::id::Epoch;
    use crate::model::shard::{Lease, LeaseState};
    use crate::store::life::inline::Share;
    use crate::store::life::ledger::Ledger;
    use crate::store::life::reasons::Reasons;

    #[test]
    fn leases_come_back_and_broken_ones_do_not() {
        let at = Timestamp::from_millis;
        let share = |epoch, state, narrowed| Share {
            lease: Lease { epoch: Epoch(epoch), state, strikes: 3 },
            narrowed,
            ledger: Ledger::default(),
        };
        let range = Narrowed { first: Seq(1), to: Seq(2), last: Seq(9) };
        let written = BTreeMap::from([
            (Platform::Apns, share(7, LeaseState::Leased { until: at(5), progressed: true }, Some(range))),
            (Platform::Fcm, share(0, LeaseState::Ready { due: at(-4) }, None)),
        ]);
        let mut shares = Shares { reasons: Reasons::default(), platforms: written.clone() };
        let bytes = encode(&shares);
        for share in shares.platforms.values_mut() {
            (share.lease, share.narrowed) = (Lease::new(at(0)), None);
        }
        decode(&bytes, &mut shares).unwrap();
        for (platform, share) in &written {
            assert_eq!(
                (shares.platforms[platform].lease, shares.platforms[platform].narrowed),
                (share.lease, share.narrowed)
            );
        }
        assert!(decode(&bytes[1..], &mut shares).is_err());
        shares.platforms.remove(&Platform::Fcm);
        assert!(decode(&bytes, &mut shares).is_err());
    }
}
