//! The open streams, found by their ids without a map: a stream lives in the slot that its id names. An id whose slot
//! is taken is skipped, which a client may (RFC 9113 section 5.1.1: ids only have to grow).

use super::answer::Kept;
use crate::gateway::http2::frame::LAST_STREAM;

/// Where a stream's last byte lies when it was not put out yet.
pub const UNENDED: u64 = u64::MAX;

/// Open streams with a `T` each.
#[derive(Debug)]
pub struct Streams<T> {
    slots: Box<[Slot<T>]>,
    /// Slots minus one: a power of two minus one.
    mask: u32,
    len: usize,
    most: usize,
    /// The next id to try.
    next: u32,
}

#[derive(Debug)]
struct Slot<T> {
    /// 0: free.
    id: u32,
    stream: Option<Stream<T>>,
}

/// One open stream.
#[derive(Debug)]
pub struct Stream<T> {
    pub user: T,
    /// Where its last byte lies in all that this connection puts out.
    pub end: u64,
    /// What has come of its answer.
    pub kept: Option<Box<Kept>>,
}

impl<T> Stream<T> {
    /// What must have been written for it to be processed: nothing more once an answer has begun, for then the peer did
    /// not wait for the rest.
    const fn decisive(&self) -> u64 {
        if self.kept.is_some() { 0 } else { self.end }
    }
}

impl<T> Streams<T> {
    /// Room for so many at once.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, 1 << 20);
        // Half of the slots are free at any time, so that few ids are skipped.
        let slots = most.next_power_of_two() * 2;
        let mask = u32::try_from(slots - 1).unwrap_or(u32::MAX);
        Self { slots: (0..slots).map(|_| Slot { id: 0, stream: None }).collect(), mask, len: 0, most, next: 1 }
    }

    /// How many are open.
    pub const fn count(&self) -> usize {
        self.len
    }

    /// How many may be open at once.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Whether the ids have come to their end.
    pub const fn is_exhausted(&self) -> bool {
        // So many ids may be skipped before a free slot is found.
        self.next > LAST_STREAM - 2 * (self.mask + 1)
    }

    /// Whether this id was never given out by us.
    pub const fn is_idle(&self, id: u32) -> bool {
        id >= self.next
    }

    fn at(&self, id: u32) -> usize {
        ((id >> 1) & self.mask) as usize
    }

    /// Opens a stream and answers its id. There must be room.
    pub fn insert(&mut self, user: T) -> u32 {
        while self.slots[self.at(self.next)].id != 0 {
            self.next += 2;
        }
        let id = self.next;
        self.next += 2;
        self.len += 1;
        let at = self.at(id);
        self.slots[at] = Slot { id, stream: Some(Stream { user, end: UNENDED, kept: None }) };
        id
    }

    /// What an open stream carries.
    pub fn get(&self, id: u32) -> Option<&T> {
        let slot = &self.slots[self.at(id)];
        slot.stream.as_ref().filter(|_| slot.id == id).map(|stream| &stream.user)
    }

    /// An open stream.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut Stream<T>> {
        let at = self.at(id);
        let slot = &mut self.slots[at];
        if slot.id == id { slot.stream.as_mut() } else { None }
    }

    /// Closes a stream.
    pub fn take(&mut self, id: u32) -> Option<Stream<T>> {
        let at = self.at(id);
        let slot = &mut self.slots[at];
        if slot.id != id {
            return None;
        }
        let stream = slot.stream.take()?;
        slot.id = 0;
        self.len -= 1;
        Some(stream)
    }

    /// Closes a stream and answers what it carried, and where the last byte lies without which it is not processed.
    pub fn remove(&mut self, id: u32) -> Option<(T, u64)> {
        self.take(id).map(|stream| {
            let decisive = stream.decisive();
            (stream.user, decisive)
        })
    }

    /// Id, decisive byte and `T` of each, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64, &T)> {
        self.slots.iter().filter_map(|slot| {
            let stream = slot.stream.as_ref()?;
            Some((slot.id, stream.decisive(), &stream.user))
        })
    }

    /// The ids that are open above `last`.
    pub fn above(&self, last: u32) -> Vec<u32> {
        self.slots.iter().filter(|slot| slot.id > last).map(|slot| slot.id).collect()
    }

    /// Closes all of them.
    pub fn drain(&mut self) -> impl Iterator<Item = (T, u64)> {
        self.len = 0;
        self.slots.iter_mut().filter_map(|slot| {
            slot.id = 0;
            slot.stream.take().map(|stream| {
                let decisive = stream.decisive();
                (stream.user, decisive)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_map_with_growing_ids(steps in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..400)) {
            let mut streams = Streams::new(8);
            let mut map = BTreeMap::new();
            let mut last = 0;
            for (number, (open, which)) in steps.into_iter().enumerate() {
                if open && streams.count() < streams.most() {
                    let id = streams.insert(number);
                    prop_assert!(id > last && id % 2 == 1);
                    last = id;
                    map.insert(id, number);
                } else if !map.is_empty() {
                    let id = *map.keys().nth(which.index(map.len())).unwrap();
                    prop_assert_eq!(streams.remove(id).map(|(user, _)| user), map.remove(&id));
                    prop_assert!(streams.remove(id).is_none());
                }
                prop_assert_eq!(streams.count(), map.len());
                let listed: BTreeMap<_, _> = streams.iter().map(|(id, _, user)| (id, *user)).collect();
                prop_assert_eq!(&listed, &map);
            }
        }
    }

    #[test]
    fn ids_come_to_an_end() {
        let mut streams = Streams::new(1);
        streams.next = LAST_STREAM - 20;
        while !streams.is_exhausted() {
            let id = streams.insert(());
            streams.remove(id);
        }
        assert!(streams.next < LAST_STREAM);
    }
}
