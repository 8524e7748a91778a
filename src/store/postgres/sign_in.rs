//! What sign-in keeps in PostgreSQL. Single statements: what two nodes do at once, the rows' own locks put in order.

use std::time::Duration;

use async_trait::async_trait;

use super::error::Done;
use super::pool::{Durability, begin, commit, execute, query_one, query_opt, retrying};
use super::{Parts, PostgresStore, Result, within};
use crate::model::time::Timestamp;
use crate::store::sign_in::{ALL, EVER, OnceKey, SignInStore};

/// Rows of each kind in a slice of the sweep.
const SLICE: i64 = 256;

#[async_trait]
impl SignInStore for PostgresStore {
    async fn put_once(&self, key: OnceKey, content: Vec<u8>, keep: Duration) -> Result<bool> {
        let content = &content;
        let put = || async move {
            let mut client = self.parts.pool.get().await?;
            let tx = begin(&mut client, Durability::Synced).await?;
            let expires = self.parts.time.now(&tx).await?.plus(keep).millis();
            let sql = "INSERT INTO auth_code (key, content, expires) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING";
            let is_new = execute(&tx, sql, &[&key.as_slice(), content, &expires]).await? == 1;
            commit(tx).await?;
            Ok(is_new)
        };
        within(retrying(put)).await
    }

    async fn take_once(&self, key: OnceKey) -> Result<Option<Vec<u8>>> {
        let take = || async {
            let mut client = self.parts.pool.get().await?;
            let tx = begin(&mut client, Durability::Synced).await?;
            let now = self.parts.time.now(&tx).await?.millis();
            // Whoever comes second waits here for the first and finds nothing then.
            let sql =
                "SELECT content FROM auth_code WHERE key = $1 AND content IS NOT NULL AND expires > $2 FOR UPDATE";
            let found = query_opt(&tx, sql, &[&key.as_slice(), &now]).await?;
            execute(&tx, "UPDATE auth_code SET content = NULL WHERE key = $1", &[&key.as_slice()]).await?;
            commit(tx).await?;
            Ok(found.map(|row| row.try_get(0)).transpose()?)
        };
        within(retrying(take)).await
    }

    async fn put_tokens(&self, user: &str, provider: &str, sealed: Vec<u8>, keep: Duration) -> Result<()> {
        let sealed = &sealed;
        let put = || async move {
            let client = self.parts.pool.get().await?;
            let expires = self.parts.time.now(&client).await?.plus(keep).millis();
            let sql = "INSERT INTO auth_tokens (account, provider, content, expires) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (account, provider) DO UPDATE SET content = excluded.content, expires = excluded.expires";
            execute(&client, sql, &[&user, &provider, sealed, &expires]).await?;
            Ok(())
        };
        within(retrying(put)).await
    }

    async fn tokens(&self, user: &str, provider: &str) -> Result<Option<Vec<u8>>> {
        let read = || async {
            let client = self.parts.pool.get().await?;
            let now = self.parts.time.now(&client).await?.millis();
            let sql = "SELECT content FROM auth_tokens WHERE account = $1 AND provider = $2 AND expires > $3";
            let found = query_opt(&client, sql, &[&user, &provider, &now]).await?;
            Ok(found.map(|row| row.try_get(0)).transpose()?)
        };
        within(retrying(read)).await
    }

    async fn forget_tokens(&self, user: &str, provider: &str) -> Result<()> {
        let forget = || async {
            let client = self.parts.pool.get().await?;
            let sql = "DELETE FROM auth_tokens WHERE account = $1 AND provider = $2";
            execute(&client, sql, &[&user, &provider]).await?;
            Ok(())
        };
        within(retrying(forget)).await
    }

    async fn forget_these_tokens(&self, user: &str, provider: &str, sealed: &[u8]) -> Result<bool> {
        let forget = || async {
            let client = self.parts.pool.get().await?;
            let sql = "DELETE FROM auth_tokens WHERE account = $1 AND provider = $2 AND content = $3";
            Ok(execute(&client, sql, &[&user, &provider, &sealed]).await? == 1)
        };
        within(retrying(forget)).await
    }

    async fn revoke(&self, user: &str, session: Option<&str>, keep: Duration) -> Result<Timestamp> {
        let revoke = || async {
            let mut client = self.parts.pool.get().await?;
            let tx = begin(&mut client, Durability::Synced).await?;
            let now = self.parts.time.now(&tx).await?;
            let until = if session.is_some() { EVER } else { now };
            let sql = "INSERT INTO auth_revoked (account, session, until, expires) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (account, session) DO UPDATE SET until = greatest(auth_revoked.until, excluded.until), \
                       expires = greatest(auth_revoked.expires, excluded.expires)";
            let bind = (until.millis(), now.plus(keep).millis());
            execute(&tx, sql, &[&user, &session.unwrap_or(ALL), &bind.0, &bind.1]).await?;
            commit(tx).await?;
            Ok(now)
        };
        within(retrying(revoke)).await
    }

    async fn revoked(&self, user: &str, session: Option<&str>) -> Result<Option<Timestamp>> {
        let read = || async {
            let client = self.parts.pool.get().await?;
            let sql = "SELECT max(until) FROM auth_revoked WHERE account = $1 AND session IN ($2, $3)";
            let until = query_one(&client, sql, &[&user, &session.unwrap_or(ALL), &ALL]).await?;
            Ok(until.try_get::<_, Option<i64>>(0)?.map(Timestamp::from_millis))
        };
        within(retrying(read)).await
    }
}

/// One slice of what is over. Answers whether it was full. Every node sweeps; a row that another has taken is simply
/// gone.
pub(super) async fn sweep(parts: &Parts) -> Done<bool> {
    let client = parts.pool.get().await?;
    let now = parts.time.now(&client).await?.millis();
    let mut most = 0;
    for sql in [
        "DELETE FROM auth_code WHERE ctid = ANY (ARRAY (SELECT ctid FROM auth_code WHERE expires <= $1 LIMIT $2)) \
         AND expires <= $1",
        "DELETE FROM auth_tokens WHERE ctid = ANY (ARRAY (SELECT ctid FROM auth_tokens WHERE expires <= $1 LIMIT $2)) \
         AND expires <= $1",
        "DELETE FROM auth_revoked WHERE ctid = ANY (ARRAY (SELECT ctid FROM auth_revoked WHERE expires <= $1 LIMIT $2)) \
         AND expires <= $1",
    ] {
        most = most.max(execute(&client, sql, &[&now, &SLICE]).await?);
    }
    Ok(most.cast_signed() == SLICE)
}
