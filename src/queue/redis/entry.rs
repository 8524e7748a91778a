//! How an entry is written down: the work as a key of a few bytes, the rest as a short line.
//!
//! | bytes | work |
//! |---|---|
//! | 0–15 | the broadcast's id |
//! | 16 | `P` plan, `R` run |
//! | 17–20 | of a run: the shard's number, big-endian |
//! | 21 | of a run: the platform's code |
//!
//! The line is `hub weight due`, in decimal. Both are read by the scripts, which take the broadcast from the first 16
//! bytes and the hub and weight from the line.

use crate::model::broadcast::Lane;
use crate::model::id::{BroadcastId, HubId, ShardNo, ShardRef};
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::{ReadyWork, Work};

/// The key of a piece of work.
pub(super) fn key(work: &Work) -> Vec<u8> {
    let mut key = work.broadcast().as_bytes().to_vec();
    match work {
        Work::Plan(_) => key.push(b'P'),
        Work::Run(shard, platform) => {
            key.push(b'R');
            key.extend(shard.shard.0.to_be_bytes());
            key.push(platform.code());
        }
    }
    key
}

/// The work of a key; `None` when the key is none of ours.
fn work(key: &[u8]) -> Option<Work> {
    let (id, tail) = key.split_first_chunk::<16>()?;
    let broadcast = BroadcastId::from_bytes(*id);
    match tail {
        [b'P'] => Some(Work::Plan(broadcast)),
        [b'R', a, b, c, d, platform] => {
            let shard = ShardRef { broadcast, shard: ShardNo(u32::from_be_bytes([*a, *b, *c, *d])) };
            Some(Work::Run(shard, Platform::from_code(*platform)?))
        }
        _ => None,
    }
}

/// The line that goes with the key. A weight of nothing would never have a turn.
pub(super) fn info(entry: &ReadyWork) -> String {
    format!("{} {} {}", entry.hub, entry.weight.max(1), entry.due.millis())
}

/// Reads an entry of a lane; `None` when it is none of ours.
pub(super) fn read(lane: Lane, key: &[u8], info: &str) -> Option<ReadyWork> {
    let mut parts = info.split(' ');
    let hub = HubId(parts.next()?.parse().ok()?);
    let weight = parts.next()?.parse().ok()?;
    let due = Timestamp::from_millis(parts.next()?.parse().ok()?);
    if parts.next().is_some() {
        return None;
    }
    Some(ReadyWork { work: work(key)?, hub, lane, weight, due })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_go_both_ways(
            id in any::<[u8; 16]>(), shard in any::<u32>(), platform in 0..8_u8, plan in any::<bool>(),
            hub in any::<u32>(), weight in 1..u32::MAX, due in any::<i64>(),
        ) {
            let broadcast = BroadcastId::from_bytes(id);
            let platform = Platform::from_code(platform).unwrap();
            let run = Work::Run(ShardRef { broadcast, shard: ShardNo(shard) }, platform);
            let work = if plan { Work::Plan(broadcast) } else { run };
            let due = Timestamp::from_millis(due);
            let entry = ReadyWork { work, hub: HubId(hub), lane: Lane::Bulk, weight, due };
            prop_assert_eq!(read(Lane::Bulk, &key(&work), &info(&entry)), Some(entry));
        }

        #[test]
        fn what_is_none_of_ours_is_refused(key in any::<Vec<u8>>(), info in ".*") {
            // Whatever it says, it must not panic, and an answer must be writable again.
            if let Some(entry) = read(Lane::Bulk, &key, &info) {
                prop_assert_eq!(super::key(&entry.work), key);
            }
        }
    }
}
