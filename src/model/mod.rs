//! What the service is about: pure types and rules, no I/O. Knows nobody above it.

pub mod audience;
pub mod broadcast;
pub mod channel;
pub mod chunk_set;
pub mod field;
pub mod hash;
pub mod id;
pub mod installation;
pub mod job;
pub mod narrowing;
pub mod outcome;
pub mod percent;
pub mod platform;
pub mod registration;
pub mod shard;
pub mod subscription;
pub mod tag;
pub mod target;
pub mod template;
pub mod time;
pub mod verdict;
pub mod xml;
