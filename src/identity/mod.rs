//! Who is calling, and what may they do? And: how do secrets rest on a disk?
//!
//! A caller shows either a key as it is ([`keys`]) or a token signed with it ([`sas`]); both end in one
//! [`keys::Caller`], and everything after that asks the caller, not the credential. [`secrets`] seals what the store
//! keeps for hubs; [`link`] signs addresses; [`key_file`] makes the files that Fanfare's own keys live in; [`secret`] is
//! text that no log shows.
//!
//! Users of apps are others than callers with keys: a [`session`] is the token of somebody who signed in. They prove to
//! [`providers`] who they are, a [`flow`] is a sign-in that is under way there, [`pkce`] proves who began it, [`redirect`]
//! says where it may end, [`user_id`] what the user is called here.
//!
//! Apart from the providers, which are asked over HTTPS, nothing here knows HTTP or the store: the faces hand in header text, paths and rules, and turn the typed errors into
//! the statuses of their protocol.
pub mod flow;
pub mod jwt;
pub mod key_file;
pub mod keys;
pub mod link;
pub mod pkce;
pub mod providers;
pub mod redirect;
pub mod sas;
pub mod secret;
pub mod secrets;
pub mod session;
pub mod user_id;
