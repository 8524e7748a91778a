//! What the service is about: pure types and rules, no I/O. Knows nobody above it.
pub mod audience;
pub mod chunk_set;
pub mod tag;
