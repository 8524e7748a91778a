//! Running one shard.
pub mod fate;
pub mod ledger;
