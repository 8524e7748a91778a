//! What sign-in keeps in the embedded store.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::engine::Precedence;
use super::{Parts, Result, SqliteStore};
use crate::model::time::Timestamp;
use crate::store::sign_in::{ALL, EVER, OnceKey, SignInStore};

/// Rows of each kind in a slice of the sweep.
const SLICE: u32 = 256;

#[async_trait]
impl SignInStore for SqliteStore {
    async fn put_once(&self, key: OnceKey, content: Vec<u8>, keep: Duration) -> Result<bool> {
        let clock = self.parts.clock.clone();
        let put = move |tx: &Connection| {
            let sql = "INSERT INTO auth_code (key, content, expires) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING";
            let expires = clock.now().plus(keep).millis();
            Ok(tx.prepare_cached(sql)?.execute(params![key, content, expires])? == 1)
        };
        self.parts.engine.write(Precedence::Row, 1, put).await
    }

    async fn take_once(&self, key: OnceKey) -> Result<Option<Vec<u8>>> {
        let clock = self.parts.clock.clone();
        let take = move |tx: &Connection| {
            let sql = "SELECT content FROM auth_code WHERE key = ?1 AND content IS NOT NULL AND expires > ?2";
            let found = tx.prepare_cached(sql)?.query_row(params![key, clock.now().millis()], |row| row.get(0));
            let found = found.optional()?;
            tx.prepare_cached("UPDATE auth_code SET content = NULL WHERE key = ?1")?.execute([key])?;
            Ok(found)
        };
        self.parts.engine.write(Precedence::Row, 1, take).await
    }

    async fn put_tokens(&self, user: &str, provider: &str, sealed: Vec<u8>, keep: Duration) -> Result<()> {
        let (clock, user, provider) = (self.parts.clock.clone(), user.to_owned(), provider.to_owned());
        let put = move |tx: &Connection| {
            let sql = "INSERT INTO auth_tokens (account, provider, content, expires) VALUES (?1, ?2, ?3, ?4) \
                       ON CONFLICT (account, provider) DO UPDATE SET content = excluded.content, expires = excluded.expires";
            let expires = clock.now().plus(keep).millis();
            tx.prepare_cached(sql)?.execute(params![user, provider, sealed, expires])?;
            Ok(())
        };
        self.parts.engine.write(Precedence::Row, 1, put).await
    }

    async fn tokens(&self, user: &str, provider: &str) -> Result<Option<Vec<u8>>> {
        let (user, provider, now) = (user.to_owned(), provider.to_owned(), self.parts.clock.now());
        let read = move |connection: &Connection| {
            let sql = "SELECT content FROM auth_tokens WHERE account = ?1 AND provider = ?2 AND expires > ?3";
            let bind = params![user, provider, now.millis()];
            Ok(connection.prepare_cached(sql)?.query_row(bind, |row| row.get(0)).optional()?)
        };
        self.parts.engine.read(read).await
    }

    async fn forget_tokens(&self, user: &str, provider: &str) -> Result<()> {
        let (user, provider) = (user.to_owned(), provider.to_owned());
        let forget = move |tx: &Connection| {
            let sql = "DELETE FROM auth_tokens WHERE account = ?1 AND provider = ?2";
            tx.prepare_cached(sql)?.execute(params![user, provider])?;
            Ok(())
        };
        self.parts.engine.write(Precedence::Row, 1, forget).await
    }

    async fn forget_these_tokens(&self, user: &str, provider: &str, sealed: &[u8]) -> Result<bool> {
        let (user, provider, sealed) = (user.to_owned(), provider.to_owned(), sealed.to_vec());
        let forget = move |tx: &Connection| {
            let sql = "DELETE FROM auth_tokens WHERE account = ?1 AND provider = ?2 AND content = ?3";
            Ok(tx.prepare_cached(sql)?.execute(params![user, provider, sealed])? == 1)
        };
        self.parts.engine.write(Precedence::Row, 1, forget).await
    }

    async fn revoke(&self, user: &str, session: Option<&str>, keep: Duration) -> Result<Timestamp> {
        let (clock, user, session) = (self.parts.clock.clone(), user.to_owned(), session.map(str::to_owned));
        let revoke = move |tx: &Connection| {
            let now = clock.now();
            let until = if session.is_some() { EVER } else { now };
            let sql = "INSERT INTO auth_revoked (account, session, until, expires) VALUES (?1, ?2, ?3, ?4) \
                       ON CONFLICT (account, session) DO UPDATE SET until = max(until, excluded.until), \
                       expires = max(expires, excluded.expires)";
            let (session, expires) = (session.as_deref().unwrap_or(ALL), now.plus(keep));
            tx.prepare_cached(sql)?.execute(params![user, session, until.millis(), expires.millis()])?;
            Ok(now)
        };
        self.parts.engine.write(Precedence::Row, 1, revoke).await
    }

    async fn revoked(&self, user: &str, session: Option<&str>) -> Result<Option<Timestamp>> {
        let (user, session) = (user.to_owned(), session.unwrap_or(ALL).to_owned());
        let read = move |connection: &Connection| {
            let sql = "SELECT max(until) FROM auth_revoked WHERE account = ?1 AND session IN (?2, ?3)";
            let until = connection.prepare_cached(sql)?.query_row(params![user, session, ALL], |row| row.get(0));
            Ok(until.map(|until: Option<i64>| until.map(Timestamp::from_millis))?)
        };
        self.parts.engine.read(read).await
    }
}

/// One slice of what is over. Answers whether it was full.
pub(super) async fn sweep(parts: &Parts) -> Result<bool> {
    let now = parts.clock.now().millis();
    let any = move |connection: &Connection| {
        let sql = "SELECT 1 FROM auth_code WHERE expires <= ?1 UNION ALL SELECT 1 FROM auth_tokens WHERE expires <= ?1 \
                   UNION ALL SELECT 1 FROM auth_revoked WHERE expires <= ?1 LIMIT 1";
        Ok(connection.prepare_cached(sql)?.exists([now])?)
    };
    if !parts.engine.read(any).await? {
        return Ok(false);
    }
    let slice = move |tx: &Connection| {
        let mut most = 0;
        for sql in [
            "DELETE FROM auth_code WHERE key IN (SELECT key FROM auth_code WHERE expires <= ?1 LIMIT ?2)",
            "DELETE FROM auth_tokens WHERE (account, provider) IN \
             (SELECT account, provider FROM auth_tokens WHERE expires <= ?1 LIMIT ?2)",
            "DELETE FROM auth_revoked WHERE (account, session) IN \
             (SELECT account, session FROM auth_revoked WHERE expires <= ?1 LIMIT ?2)",
        ] {
            most = most.max(tx.prepare_cached(sql)?.execute(params![now, SLICE])?);
        }
        Ok(most == SLICE as usize)
    };
    parts.engine.write(Precedence::Sweep, SLICE as usize, slice).await
}
