//! The yardstick of registrations: the same rows into the same tables with the same settings, and nothing else.

use std::path::Path;

use fanfare::model::hash;
use fanfare::model::id::{HubId, Seq};
use fanfare::model::installation::Installation;
use rusqlite::{Connection, params};

use super::devices::key;

const HUB: HubId = HubId(1);

pub(crate) struct Bare(Connection);

/// A row with all that can be worked out before.
pub(crate) struct Row {
    id: i64,
    user: i64,
    document: Vec<u8>,
    platform: u8,
    channel: Vec<u8>,
    channel_hash: i64,
}

impl Row {
    pub(crate) fn of(it: &Installation) -> Self {
        let platform = it.platform.platform();
        Self {
            id: hash::installation(HUB, it.id.as_str()).cast_signed(),
            user: hash::user(HUB, it.user.as_ref().unwrap().as_str()).cast_signed(),
            document: it.stored_form(),
            platform: platform.code(),
            channel: it.channel.bytes().to_vec(),
            channel_hash: hash::channel(HUB, platform, it.channel.bytes()).cast_signed(),
        }
    }
}

impl Bare {
    pub(crate) fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "synchronous", "FULL").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 16_384).unwrap();
        connection.pragma_update(None, "cache_size", -65_536).unwrap();
        connection.execute_batch(include_str!("../../src/store/sqlite/schema.sql")).unwrap();
        Self(connection)
    }

    /// One transaction; the first row has that number.
    pub(crate) fn insert(&mut self, first: u64, rows: &[Row]) {
        let tx = self.0.transaction().unwrap();
        {
            let mut installation = tx
                .prepare_cached(
                    "INSERT INTO installation (no, hub, id_hash, user_hash, document, confirmed, updated, seqs) \
                     VALUES (?1, 1, ?2, ?3, ?4, 7, 7, ?5)",
                )
                .unwrap();
            let mut target = tx
                .prepare_cached(
                    "INSERT INTO target (key, installation, class, platform, channel, channel_hash, confirmed, \
                     user_mark) VALUES (?1, ?1, 0, ?2, ?3, ?4, 7, 1)",
                )
                .unwrap();
            for (number, row) in (first..).zip(rows) {
                let key = key(HUB, Seq(number));
                let seqs = number.to_le_bytes();
                installation.execute(params![key, row.id, row.user, row.document, &seqs[..]]).unwrap();
                target.execute(params![key, row.platform, row.channel, row.channel_hash]).unwrap();
            }
        }
        tx.commit().unwrap();
    }
}
