//! Requests of a library client: what the gateways share whose services speak to one device or a few a request, some over
//! HTTP/1.1, some to whichever host a device names.
//!
//! ```text
//!  submit ─▶ line (two lanes, bounded) ─▶ the gateway's own delivery, at most `in_flight` at once ─▶ replies, one by one
//!                                          ├─ entry: tokens, one for all, renewed early and after a refusal; or none
//!                                          └─ client: kept connections by host, to addresses that the guard lets pass
//! ```
//!
//! - A target is in exactly one place, its batch or one ticket, and leaves it by its reply; a ticket that is dropped
//!   replies too.
//! - Such a gateway is opened at a [`Place`], which its account says nothing of: threads, clock, roots, times.
//! - Everything runs on the [`ClientRuntime`](super::client_runtime::ClientRuntime), so that hundreds of connections
//!   share few threads.

pub(crate) mod client;
mod counted;
pub(super) mod entry;
pub mod guard;
pub(super) mod line;
pub(super) mod one_host;
pub mod place;
pub(super) mod ticket;
pub(super) mod token;
pub mod tuning;

pub use guard::Reach;
pub use place::Place;
pub use tuning::Tuning;
