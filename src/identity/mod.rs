//! Who is calling, and what may they do? And: how do secrets rest on a disk?
//!
//! A caller shows either a key as it is ([`keys`]) or a token signed with it ([`sas`]); both end in one
//! [`keys::Caller`], and everything after that asks the caller, not the credential. [`secrets`] seals what the store
//! keeps for hubs; [`link`] signs addresses; [`key_file`] makes the files that Fanfare's own keys live in; [`secret`] is
//! text that no log shows.
//!
//! Users of apps are others than callers with keys: a [`session`] is the token of somebody who signed in.
//!
//! Nothing here knows HTTP or the store: the faces hand in header text, paths and rules, and turn the typed errors into
//! the statuses of their protocol.
pub mod jwt;
pub mod key_file;
pub mod keys;
pub mod link;
pub mod sas;
pub mod secret;
pub mod secrets;
pub mod session;
