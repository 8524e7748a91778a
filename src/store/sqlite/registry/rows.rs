//! Rows of installations and targets: the rules' [`Rows`] by prepared statements on the writer's connection.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::Result;
use super::{Shared, templates};
use crate::model::hash;
use crate::model::id::{HubId, Seq};
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::StoreError;
use crate::store::index::{Touch, Touches};
use crate::store::registration::{
    DedupeKey, Described, Gone, InstallationRow, LiveTarget, NewInstallation, NewTarget, Rewritten, Rows, TemplateLink,
    decode_seqs, encode_seqs, id_text, is_document_of, key, of_key,
};

/// A column that holds a count or number of ours; SQLite's integers are signed.
pub(in crate::store::sqlite) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

/// Columns of [`InstallationRow`], in the order that `from_row` reads.
macro_rules! installation_where {
    ($condition:literal) => {
        concat!(
            "SELECT no, document, expires, confirmed, updated, channel_dead, seqs FROM installation WHERE ",
            $condition
        )
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<InstallationRow> {
    let millis = Timestamp::from_millis;
    Ok(InstallationRow {
        no: row.get(0)?,
        document: row.get(1)?,
        times: Touch { expires: row.get::<_, Option<i64>>(2)?.map(millis), confirmed: millis(row.get(3)?) },
        updated: millis(row.get(4)?),
        channel_dead: row.get(5)?,
        seqs: decode_seqs(row.get_ref(6)?.as_blob()?),
    })
}

/// The installation of that id, or the registration of that key.
pub(super) fn find(connection: &Connection, hub: HubId, id: &str) -> Result<Option<InstallationRow>> {
    find_hashed(connection, hub, hash::installation(hub, id), id)
}

/// The installation of that id, whose hash is known.
fn find_hashed(connection: &Connection, hub: HubId, hash: u64, id: &str) -> Result<Option<InstallationRow>> {
    let mut statement = connection.prepare_cached(installation_where!("id_hash = ?1"))?;
    let mut rows = statement.query([hash.cast_signed()])?;
    while let Some(row) = rows.next()? {
        if of_key(row.get(0)?).0 == hub && id_text(row.get_ref(1)?.as_blob().unwrap_or_default()) == Some(id) {
            return Ok(Some(from_row(row)?));
        }
    }
    Ok(None)
}

/// The installation with that arrival number.
pub(super) fn get(connection: &Connection, no: i64) -> Result<Option<InstallationRow>> {
    let mut statement = connection.prepare_cached(installation_where!("no = ?1"))?;
    Ok(statement.query_row([no], from_row).optional()?)
}

/// The seqs of every target of a user's installations.
pub(super) fn seqs_of_user(connection: &Connection, hub: HubId, user: &str) -> Result<Vec<Seq>> {
    let mut statement =
        connection.prepare_cached("SELECT no, document, seqs FROM installation WHERE user_hash = ?1")?;
    let mut rows = statement.query([hash::user(hub, user).cast_signed()])?;
    let mut seqs = Vec::new();
    while let Some(row) = rows.next()? {
        if of_key(row.get(0)?).0 == hub && is_document_of(row.get_ref(1)?.as_blob().unwrap_or_default(), user) {
            seqs.extend(decode_seqs(row.get_ref(2)?.as_blob().unwrap_or_default()).into_iter().flatten());
        }
    }
    Ok(seqs)
}

/// The dedupe key of a live target; `None` when it has left.
pub(in crate::store::sqlite) fn dedupe_key(connection: &Connection, hub: HubId, seq: Seq) -> Result<Option<DedupeKey>> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found: Option<(u8, Vec<u8>, Option<String>)> = connection
        .prepare_cached("SELECT platform, channel, name FROM target WHERE key = ?1 AND gone_why IS NULL")?
        .query_row([key(hub, seq)], read)
        .optional()?;
    let Some((platform, channel, name)) = found else { return Ok(None) };
    let platform =
        Platform::from_code(platform).ok_or_else(|| StoreError::Corrupt(format!("target {seq} of hub {hub}")))?;
    Ok(Some(DedupeKey::new(platform, channel, name)))
}

/// The rows that the writer's transaction sees.
pub(super) struct TxRows<'a> {
    pub(super) tx: &'a Connection,
    pub(super) registry: &'a Shared,
}

impl TxRows<'_> {
    fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<()> {
        self.tx.prepare_cached(sql)?.execute(params)?;
        Ok(())
    }
}

impl Rows for TxRows<'_> {
    fn find(&mut self, hub: HubId, id_hash: u64, id: &str) -> Result<Option<InstallationRow>> {
        find_hashed(self.tx, hub, id_hash, id)
    }

    fn installation(&mut self, no: i64) -> Result<Option<InstallationRow>> {
        get(self.tx, no)
    }

    fn live_target(&mut self, key: i64) -> Result<Option<LiveTarget>> {
        let read = |row: &Row<'_>| {
            let confirmed = Timestamp::from_millis(row.get(2)?);
            Ok(LiveTarget { installation: row.get(0)?, channel: row.get(1)?, confirmed })
        };
        let mut statement = self.tx.prepare_cached(
            "SELECT installation, channel, confirmed FROM target WHERE key = ?1 AND gone_why IS NULL",
        )?;
        Ok(statement.query_row([key], read).optional()?)
    }

    fn sharing(&mut self, hub: HubId, platform: Platform, target: &Described, seq: Seq) -> Result<Vec<Seq>> {
        let mut statement = self.tx.prepare_cached(
            "SELECT key, class, platform, name, channel FROM target WHERE channel_hash = ?1 AND gone_why IS NULL",
        )?;
        let mut rows = statement.query([target.channel_hash.cast_signed()])?;
        let own = key(hub, seq);
        let mut others = Vec::new();
        while let Some(row) = rows.next()? {
            let other: i64 = row.get(0)?;
            if other != own
                && of_key(other).0 == hub
                && row.get::<_, u8>(1)? == target.kind.class().code()
                && row.get::<_, u8>(2)? == platform.code()
                && row.get_ref(3)?.as_str_or_null().ok().flatten() == target.name.as_deref()
                && row.get_ref(4)?.as_blob_or_null().ok().flatten() == Some(&*target.channel)
            {
                others.push(of_key(other).1);
                if others.len() == 2 {
                    break;
                }
            }
        }
        Ok(others)
    }

    fn earlier_touches(&mut self, hub: HubId) -> Result<Vec<Arc<Touches>>> {
        self.registry.newest_touches(self.tx, hub)
    }

    fn insert_installation(&mut self, new: NewInstallation<'_>) -> Result<()> {
        self.run(
            "INSERT INTO installation (no, hub, id_hash, user_hash, document, expires, confirmed, updated, seqs) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)",
            params![
                new.no,
                new.hub.0,
                new.id_hash.cast_signed(),
                new.user_hash,
                new.document,
                new.expires.map(Timestamp::millis),
                new.now.millis(),
                encode_seqs(new.seqs),
            ],
        )
    }

    fn rewrite_installation(&mut self, no: i64, new: Rewritten<'_>) -> Result<()> {
        self.run(
            "UPDATE installation SET document = ?2, expires = ?3, confirmed = ?4, updated = ?5, channel_dead = ?6, \
             seqs = ?7 WHERE no = ?1",
            params![
                no,
                new.document,
                new.times.expires.map(Timestamp::millis),
                new.times.confirmed.millis(),
                new.updated.millis(),
                new.channel_dead,
                encode_seqs(new.seqs),
            ],
        )
    }

    fn set_user(&mut self, no: i64, user_hash: Option<i64>) -> Result<()> {
        // Apart: a column in SET costs its index even when its value stays.
        self.run("UPDATE installation SET user_hash = ?2 WHERE no = ?1", params![no, user_hash])
    }

    fn set_seqs(&mut self, no: i64, seqs: &[Option<Seq>], channel_dead: bool) -> Result<()> {
        self.run(
            "UPDATE installation SET seqs = ?2, channel_dead = ?3 WHERE no = ?1",
            params![no, encode_seqs(seqs), channel_dead],
        )
    }

    fn set_installation_times(&mut self, no: i64, times: Touch) -> Result<()> {
        self.run(
            "UPDATE installation SET expires = ?2, confirmed = ?3 WHERE no = ?1",
            params![no, times.expires.map(Timestamp::millis), times.confirmed.millis()],
        )
    }

    fn delete_installation(&mut self, no: i64) -> Result<()> {
        self.run("DELETE FROM installation WHERE no = ?1", [no])
    }

    fn insert_target(&mut self, new: NewTarget<'_>) -> Result<()> {
        self.run(
            "INSERT INTO target (key, installation, class, platform, name, channel, channel_hash, expires, confirmed, \
             user_mark, template, variables) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                new.key,
                new.installation,
                new.class.code(),
                new.platform.code(),
                new.name,
                new.channel,
                new.channel_hash.cast_signed(),
                new.times.expires.map(Timestamp::millis),
                new.times.confirmed.millis(),
                new.user_mark.cast_signed(),
                new.template.map(|link| link.id.0.cast_signed()),
                new.template.and_then(|link| link.variables.as_deref()),
            ],
        )
    }

    fn bury_target(&mut self, key: i64, gone: Gone<'_>) -> Result<()> {
        self.run(
            "UPDATE target SET channel = NULL, template = NULL, variables = NULL, gone_why = ?2, gone_at = ?3, \
             gone_id = ?4 WHERE key = ?1",
            params![key, gone.why as u8, gone.at.millis(), gone.id],
        )
    }

    fn set_channel(&mut self, key: i64, channel: &[u8], channel_hash: u64) -> Result<()> {
        self.run(
            "UPDATE target SET channel = ?2, channel_hash = ?3 WHERE key = ?1",
            params![key, channel, channel_hash.cast_signed()],
        )
    }

    fn set_target_times(&mut self, key: i64, times: Touch) -> Result<()> {
        self.run(
            "UPDATE target SET expires = ?2, confirmed = ?3 WHERE key = ?1",
            params![key, times.expires.map(Timestamp::millis), times.confirmed.millis()],
        )
    }

    fn correct_target_times(&mut self, key: i64, times: Touch) -> Result<()> {
        self.run(
            "UPDATE target SET expires = ?2, confirmed = ?3 WHERE key = ?1 AND (expires IS NOT ?2 OR confirmed <> ?3)",
            params![key, times.expires.map(Timestamp::millis), times.confirmed.millis()],
        )
    }

    fn set_user_mark(&mut self, key: i64, user_mark: u64) -> Result<()> {
        self.run("UPDATE target SET user_mark = ?2 WHERE key = ?1", params![key, user_mark.cast_signed()])
    }

    fn set_template(&mut self, key: i64, link: &TemplateLink) -> Result<()> {
        self.run(
            "UPDATE target SET template = ?2, variables = ?3 WHERE key = ?1",
            params![key, link.id.0.cast_signed(), link.variables],
        )
    }

    fn keep_template(&mut self, hub: HubId, link: &TemplateLink) -> Result<()> {
        templates::keep(self.tx, hub, link)
    }
}
