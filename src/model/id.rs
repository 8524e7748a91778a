//! The numbers and names that things go by. Each is a type of its own, so that no two can be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::field::FieldError;

/// How many neighbouring seqs make a chunk, as a power of two.
pub const CHUNK_BITS: u32 = 14;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// A hub's number: never reused, so that rows of a deleted hub cannot be taken for another's.
    HubId(u32)
}
number! {
    /// A target's number in its hub, counted from 0, never used again. Below 2^40.
    Seq(u64)
}
number! {
    /// The number of a chunk: seqs `chunk << 14 .. (chunk + 1) << 14`.
    ChunkNo(u32)
}
number! {
    /// The number of a shard within its broadcast.
    ShardNo(u32)
}
number! {
    /// Which holder of a lease wrote: grows with every lease of a shard or plan, never repeats.
    Epoch(u64)
}
number! {
    /// The number of one registry commit in its hub; index deltas carry it.
    CommitNo(u64)
}

impl Seq {
    /// The first number that is no seq any more: a row key is `hub << 40 | seq`.
    pub const END: u64 = 1 << 40;

    /// The seq at `offset` of `chunk`.
    pub fn at(chunk: ChunkNo, offset: u16) -> Self {
        Self((u64::from(chunk.0) << CHUNK_BITS) | u64::from(offset))
    }

    /// The chunk that this seq lies in.
    #[expect(clippy::cast_possible_truncation, reason = "a seq has 40 bits, so its chunk has 26")]
    pub fn chunk(self) -> ChunkNo {
        ChunkNo((self.0 >> CHUNK_BITS) as u32)
    }

    /// The place of this seq within its chunk.
    pub fn offset(self) -> u16 {
        (self.0 & ((1 << CHUNK_BITS) - 1)) as u16
    }
}

impl ChunkNo {
    /// The first seq of this chunk.
    pub fn first_seq(self) -> Seq {
        Seq::at(self, 0)
    }
}

impl Epoch {
    /// The epoch of the next lease.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A broadcast's id: a UUID of version 7, so that ids sort by the time of acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BroadcastId(Uuid);

impl BroadcastId {
    /// A fresh id for a broadcast accepted at `millis` since 1970.
    pub fn new(millis: u64) -> Self {
        let random: [u8; 10] = std::array::from_fn(|_| fastrand::u8(..));
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The 16 bytes, which sort like the ids.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Reads the canonical text form.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The id that one target's message carries at every attempt: the broadcast's, marked as version 8, with the seq
    /// laid over its random tail. Distinct seqs give distinct ids; the same seq always the same (design.md 3.4).
    pub fn message_id(&self, seq: Seq) -> Uuid {
        let mut bytes = *self.0.as_bytes();
        bytes[6] = 0x80 | (bytes[6] & 0x0f);
        for (byte, over) in bytes[11..].iter_mut().zip(&seq.0.to_be_bytes()[3..]) {
            *byte ^= over;
        }
        Uuid::from_bytes(bytes)
    }
}

impl fmt::Display for BroadcastId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One shard of one broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardRef {
    pub broadcast: BroadcastId,
    pub shard: ShardNo,
}

impl fmt::Display for ShardRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.broadcast, self.shard)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal, $longest:literal, $rule:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and takes the text; the error names the rule.
            pub fn parse(text: &str) -> Result<Self, FieldError> {
                let allowed: fn(usize, char) -> bool = $allowed;
                if text.is_empty() || text.chars().count() > $longest {
                    return Err(FieldError::new($field, concat!("must have 1 to ", $longest, " characters")));
                }
                if !text.chars().enumerate().all(|(at, c)| allowed(at, c)) {
                    return Err(FieldError::new($field, $rule));
                }
                Ok(Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A hub's name: letters, digits, `.`, `-` and `_`, beginning with a letter or digit, at most 260 characters.
    HubName, "hub", 260, "may hold only letters, digits, '.', '-' and '_' and must begin with a letter or digit",
    |at, c| c.is_ascii_alphanumeric() || (at > 0 && matches!(c, '.' | '-' | '_'))
}
name! {
    /// An installation's id, chosen by its client: what also fits the system tag (`notification-hubs.md` 2.2.1).
    InstallationId, "installationId", 256, "may hold only letters, digits and - _ @ # . : =",
    |_, c| c.is_alphanumeric() || matches!(c, '-' | '_' | '@' | '#' | '.' | ':' | '=')
}
name! {
    /// The user an installation belongs to: any text that can stand in `$UserId:{…}`.
    UserId, "userId", 256, "must not hold '{', '}' or control characters",
    |_, c| !c.is_control() && c != '{' && c != '}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seq_is_chunk_and_offset() {
        let seq = Seq(16_384 * 7 + 5);
        assert_eq!((seq.chunk(), seq.offset()), (ChunkNo(7), 5));
        assert_eq!(Seq::at(ChunkNo(7), 5), seq);
    }

    #[test]
    fn message_ids_are_stable_distinct_and_of_version_8() {
        let id = BroadcastId::new(1_769_941_800_000);
        let ids: std::collections::HashSet<_> = (0..20_000).map(|seq| id.message_id(Seq(seq))).collect();
        assert_eq!(ids.len(), 20_000);
        assert_eq!(id.message_id(Seq(9)), id.message_id(Seq(9)));
        assert_eq!(id.message_id(Seq(Seq::END - 1)).get_version_num(), 8);
    }

    #[test]
    fn broadcast_ids_sort_by_time() {
        assert!(BroadcastId::new(1_000) < BroadcastId::new(2_000));
    }

    #[test]
    fn names_say_their_rule() {
        assert!(HubName::parse("demo-1").is_ok());
        assert!(HubName::parse("-demo").unwrap_err().to_string().contains("begin with a letter"));
        assert!(InstallationId::parse("dev 1").is_err());
        assert!(UserId::parse("anna b").is_ok());
        assert!(UserId::parse("a}").is_err());
    }
}
