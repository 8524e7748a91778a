//! What sign-in keeps in the store (`mobile-apps.md` 4.6, 4.9): little, because a session is its token.
//!
//! ```text
//! auth_code     what is good once: codes that apps change for a session, and sign-ins that came back from a provider
//! auth_tokens   the providers' own tokens of a user, sealed; for /.auth/me and /.auth/refresh
//! auth_revoked  sessions that are over before their time: one, or all of a user that began before a moment
//! ```
//!
//! Rows go with the sweep when nothing can ask for them any more. A code is known here by its hash alone: whoever reads
//! the database cannot sign in with what stands in it.

use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use crate::model::time::Timestamp;

/// SHA-256 of what is good once.
pub type OnceKey = [u8; 32];

/// The store of sign-in. Each call is one transaction.
#[async_trait]
pub trait SignInStore: Send + Sync {
    /// Keeps `content` for whoever has the key, once, for so long. Answers `false`, and changes nothing, where the key is
    /// known already, also when it was used: so a key with nothing in it is a mark that something was done.
    async fn put_once(&self, key: OnceKey, content: Vec<u8>, keep: Duration) -> Result<bool>;

    /// Takes what was kept; nobody gets it again.
    async fn take_once(&self, key: OnceKey) -> Result<Option<Vec<u8>>>;

    /// Keeps a user's tokens of a provider in the place of earlier ones, for so long.
    async fn put_tokens(&self, user: &str, provider: &str, sealed: Vec<u8>, keep: Duration) -> Result<()>;

    /// A user's tokens of a provider.
    async fn tokens(&self, user: &str, provider: &str) -> Result<Option<Vec<u8>>>;

    /// Forgets a user's tokens of a provider.
    async fn forget_tokens(&self, user: &str, provider: &str) -> Result<()>;

    /// Forgets them where they are still these. Answers whether they were.
    async fn forget_these_tokens(&self, user: &str, provider: &str, sealed: &[u8]) -> Result<bool>;

    /// Ends one session of a user, or with `None` all that began until now; `keep`: how long one that begins now could
    /// be shown or renewed. Answers the moment.
    async fn revoke(&self, user: &str, session: Option<&str>, keep: Duration) -> Result<Timestamp>;

    /// Until which moment that session, or one that has no name, must have begun to be over: the latest that was noted.
    /// One that was ended by its name is over whenever it began.
    async fn revoked(&self, user: &str, session: Option<&str>) -> Result<Option<Timestamp>>;
}

/// The moment that is noted of a session that was ended by its name: whenever it began.
pub(super) const EVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// The name under which the end of all sessions is noted.
pub(super) const ALL: &str = "";
