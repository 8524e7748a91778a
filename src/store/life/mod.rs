//! The life of a broadcast: the rules that every engine keeps, and the forms in which it is stored.
//!
//! ```text
//!   accept ──small and due──▶ inline plan ──spill──┐
//!     │                          │ (one row)       ▼
//!     └──▶ plan, step by step ───┼──────▶ shards and their sets
//!                                ▼                 ▼
//!                       all platforms closed   all shards closed, planned ──▶ finished ──▶ retention
//! ```
//!
//! - [`records`]: what is stored of a broadcast and a shard, and what changes it; [`codec`]: what lies in blobs.
//! - [`ledger`]: the sets of a shard and the only code that moves targets between them; [`reasons`]: their texts.
//! - [`draft`]: the next stretch of an audience, evaluated on a snapshot of the index; [`duplicates`] resolves shared
//!   handles; [`plan`]: what the stretch does to the rows.
//! - [`inline`]: small plans, whose shards live in the broadcast's own row, or nowhere but in memory.
//! - [`lease`]: who may hold a shard, what of it a holder gets, and what a checkpoint does to the lease.
//! - [`ready`], [`outcomes`], [`conservation`]: what others ask.
//!
//! No statement of any database is written here. The engines read rows into these forms, apply the rules inside their
//! own transactions, and write back what changed.

pub(in crate::store) mod codec;
pub(in crate::store) mod conservation;
pub(in crate::store) mod draft;
mod duplicates;
pub(in crate::store) mod inline;
pub(in crate::store) mod lease;
pub(in crate::store) mod ledger;
pub(in crate::store) mod outcomes;
pub(in crate::store) mod plan;
pub(in crate::store) mod ready;
pub(in crate::store) mod reasons;
pub(in crate::store) mod records;
