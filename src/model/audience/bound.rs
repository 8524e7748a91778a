//! Which chunks, and how many targets at most in each: what is known before any set is read.

/// One chunk of a [`ChunkList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkCount {
    pub chunk: u32,
    /// Members in that chunk, or an upper bound of them.
    pub count: u32,
}

/// Chunks in ascending order, each once, none with a count of 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChunkList(Vec<ChunkCount>);

impl ChunkList {
    #[must_use]
    pub fn as_slice(&self) -> &[ChunkCount] {
        &self.0
    }

    /// How many chunks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All counts together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|entry| u64::from(entry.count)).sum()
    }

    /// The count of `chunk`, 0 when it is not in the list.
    #[must_use]
    pub fn count(&self, chunk: u32) -> u32 {
        match self.0.binary_search_by_key(&chunk, |entry| entry.chunk) {
            Ok(at) => self.0[at].count,
            Err(_) => 0,
        }
    }

    /// Chunks of both, with the smaller count.
    pub(super) fn meet(&self, other: &Self) -> Self {
        let (short, long) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        let mut rest = &long.0[..];
        let both = short.0.iter().filter_map(|entry| {
            rest = &rest[rest.partition_point(|other| other.chunk < entry.chunk)..];
            let other = rest.first().filter(|other| other.chunk == entry.chunk)?;
            Some(ChunkCount { chunk: entry.chunk, count: entry.count.min(other.count) })
        });
        Self(both.collect())
    }
}

/// (chunk, count) pairs in any order; counts of one chunk are added up.
impl FromIterator<(u32, u32)> for ChunkList {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(pairs: I) -> Self {
        let mut entries: Vec<ChunkCount> = pairs
            .into_iter()
            .filter(|&(_, count)| count > 0)
            .map(|(chunk, count)| ChunkCount { chunk, count })
            .collect();
        if !entries.is_sorted_by(|a, b| a.chunk < b.chunk) {
            entries.sort_unstable_by_key(|entry| entry.chunk);
            entries.dedup_by(|next, kept| {
                let same = next.chunk == kept.chunk;
                if same {
                    kept.count = kept.count.saturating_add(next.count);
                }
                same
            });
        }
        Self(entries)
    }
}
