//! Targets as registrations: the rows that a list needs.

use rusqlite::{OptionalExtension, params};

use super::super::Result;
use super::index::Snapshot;
use super::rows;
use crate::model::hash;
use crate::model::id::Seq;
use crate::model::registration::filter::Handle;
use crate::model::time::Timestamp;
use crate::store::index::Touch;
use crate::store::registration::{InstallationRow, RegistrationView, key, keys_of, of_key};

impl RegistrationView for Snapshot<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn live_seqs(&self, from: Seq, limit: usize) -> Result<Vec<Seq>> {
        let (_, below) = keys_of(self.hub);
        let mut statement = self.connection.prepare_cached(
            // By the rows' order: an index on the living has another.
            "SELECT key FROM target NOT INDEXED WHERE key >= ?1 AND key < ?2 AND gone_why IS NULL ORDER BY key LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![key(self.hub, from), below, limit])?;
        let mut seqs = Vec::new();
        while let Some(row) = rows.next()? {
            seqs.push(of_key(row.get(0)?).1);
        }
        Ok(seqs)
    }

    fn seqs_on(&self, handle: &Handle) -> Result<Vec<Seq>> {
        let (from, below) = keys_of(self.hub);
        let hash = hash::channel(self.hub, handle.platform, &handle.channel).cast_signed();
        let mut statement = self.connection.prepare_cached(
            "SELECT key FROM target WHERE channel_hash = ?1 AND gone_why IS NULL AND key >= ?2 AND key < ?3 \
             AND platform = ?4 AND channel = ?5",
        )?;
        let mut rows = statement.query(params![hash, from, below, handle.platform.code(), &*handle.channel])?;
        let mut seqs = Vec::new();
        while let Some(row) = rows.next()? {
            seqs.push(of_key(row.get(0)?).1);
        }
        Ok(seqs)
    }

    fn owners(&self, seqs: &[Seq]) -> Result<Vec<(Seq, InstallationRow, Option<Touch>)>> {
        let mut find =
            self.connection.prepare_cached("SELECT installation FROM target WHERE key = ?1 AND gone_why IS NULL")?;
        let mut owners = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let no: Option<i64> = find.query_row([key(self.hub, *seq)], |row| row.get(0)).optional()?;
            let Some(no) = no else { continue };
            if let Some(row) = rows::get(self.connection, no)? {
                owners.push((*seq, row, self.newest_touch(no)?));
            }
        }
        Ok(owners)
    }
}
