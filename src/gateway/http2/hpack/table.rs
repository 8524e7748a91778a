//! The static table, and a dynamic table that allocates nothing once it is full grown.

use std::collections::VecDeque;

use super::ENTRY_OVERHEAD;

/// RFC 7541 appendix A, from index 1.
pub const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// A dynamic table (RFC 7541 section 2.3.2): the newest entry has index 62.
///
/// The text of all entries lies in one buffer, newest last; what was evicted is reclaimed by moving the rest to the front
/// when the buffer is full.
#[derive(Debug)]
pub struct DynamicTable {
    /// Oldest first.
    entries: VecDeque<Entry>,
    text: Vec<u8>,
    /// RFC 7541 section 4.1: names, values and overheads.
    size: usize,
    limit: usize,
    /// Entries ever inserted.
    inserted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    name: usize,
    value: usize,
}

impl Entry {
    const fn cost(self) -> usize {
        self.name + self.value + ENTRY_OVERHEAD
    }
}

impl DynamicTable {
    /// An empty table of that many bytes.
    pub fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), text: Vec::new(), size: 0, limit, inserted: 0 }
    }

    /// The most bytes it may hold.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// The bytes it holds.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Changes with each insertion.
    pub const fn inserted(&self) -> u64 {
        self.inserted
    }

    /// The field at an index of both tables together; `None` when there is none.
    pub fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let at = index.checked_sub(1)?;
        if let Some(found) = STATIC.get(at) {
            return Some(*found);
        }
        let newest = self.entries.len().checked_sub(1)?;
        let entry = self.entries.get(newest.checked_sub(at - STATIC.len())?)?;
        Some(self.text[entry.start..entry.start + entry.name + entry.value].split_at(entry.name))
    }

    /// The indices of all fields, the static ones first.
    pub fn indices(&self) -> std::ops::RangeInclusive<usize> {
        1..=STATIC.len() + self.entries.len()
    }

    /// Adds an entry. One that is larger than the table empties it and is not kept (RFC 7541 section 4.4).
    pub fn insert(&mut self, name: &[u8], value: &[u8]) {
        let entry = Entry { start: 0, name: name.len(), value: value.len() };
        self.inserted += 1;
        self.evict(entry.cost());
        if entry.cost() > self.limit {
            return;
        }
        if self.text.len() + name.len() + value.len() > 2 * self.limit {
            self.reclaim();
        }
        let start = self.text.len();
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.entries.push_back(Entry { start, ..entry });
        self.size += entry.cost();
    }

    /// Changes its limit, which evicts what is over it.
    pub fn resize(&mut self, limit: usize) {
        self.limit = limit;
        self.evict(0);
    }

    fn evict(&mut self, room: usize) {
        while self.size + room > self.limit {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.size -= oldest.cost();
        }
    }

    fn reclaim(&mut self) {
        let from = self.entries.front().map_or(self.text.len(), |oldest| oldest.start);
        self.text.drain(..from);
        for entry in &mut self.entries {
            entry.start -= from;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a table that is a plain list.
        #[test]
        fn is_a_list_that_forgets_its_oldest(
            steps in proptest::collection::vec((0_usize..40, 0_usize..120, proptest::option::of(0_usize..400)), 0..200),
        ) {
            let mut table = DynamicTable::new(300);
            let mut list: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            for (number, (name, value, resize)) in steps.into_iter().enumerate() {
                let byte = u8::try_from(number % 251).unwrap();
                let (name, value) = (vec![byte; name], vec![byte ^ 0xff; value]);
                if let Some(limit) = resize {
                    table.resize(limit);
                }
                table.insert(&name, &value);
                list.insert(0, (name, value));
                let mut size = 0;
                let kept = list.iter().take_while(|(name, value)| {
                    size += name.len() + value.len() + ENTRY_OVERHEAD;
                    size <= table.limit()
                });
                let kept = kept.count();
                list.truncate(kept);
                prop_assert_eq!(*table.indices().end(), 61 + list.len());
                for (at, (name, value)) in list.iter().enumerate() {
                    prop_assert_eq!(table.get(62 + at), Some((&name[..], &value[..])));
                }
                prop_assert_eq!(table.get(62 + list.len()), None);
                prop_assert!(table.text.len() <= 2 * 400 + 160);
            }
        }
    }

    #[test]
    fn static_indices_begin_at_one() {
        let table = DynamicTable::new(0);
        assert_eq!(table.get(0), None);
        assert_eq!(table.get(3), Some((&b":method"[..], &b"POST"[..])));
        assert_eq!(table.get(61), Some((&b"www-authenticate"[..], &b""[..])));
        assert_eq!(table.get(62), None);
    }
}
