//! Rows of installations and targets, and how targets enter and leave.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{Result, StoreError};
use super::commit::HubCommit;
use super::sharing;
use super::touch::Touch;
use crate::model::hash;
use crate::model::id::{HubId, InstallationId, Seq, UserId};
use crate::model::installation::Installation;
use crate::model::platform::Platform;
use crate::model::tag::Tag;
use crate::model::target::TargetKind;
use crate::model::time::Timestamp;

/// Why a target left; the number is `target.gone_why`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// Its installation was deleted.
    Deleted = 1,
    /// Its installation was written without it, on another platform, or revived after a drop.
    Replaced = 2,
    /// Its push service said that the channel is dead.
    Dropped = 3,
    /// Its time was over.
    Expired = 4,
}

/// The key of a row that a hub counts: targets by seq, installations by arrival number.
pub(in crate::store::sqlite) fn key(hub: HubId, number: Seq) -> i64 {
    i64::from(hub.0) << 40 | number.0.cast_signed()
}

/// The hub and number of a row's key.
pub(in crate::store::sqlite) fn of_key(key: i64) -> (HubId, Seq) {
    let number = key.cast_unsigned() & (Seq::END - 1);
    (HubId(u32::try_from(key >> 40).unwrap_or(u32::MAX)), Seq(number))
}

/// A column that holds a count or number of ours; SQLite's integers are signed.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

/// The keys of all of a hub's rows: from, and below.
pub(super) fn keys_of(hub: HubId) -> (i64, i64) {
    (key(hub, Seq(0)), (i64::from(hub.0) + 1) << 40)
}

/// One target as its document describes it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) kind: TargetKind,
    /// The kind's text, `None` for native.
    pub(super) name: Option<String>,
    pub(super) channel: Box<[u8]>,
    pub(super) channel_hash: u64,
    pub(super) tags: Vec<Tag>,
}

/// Every target of an installation, in the order of its seqs.
pub(super) fn describe(hub: HubId, installation: &Installation) -> Vec<Described> {
    let platform = installation.platform.platform();
    let described = installation.targets().into_iter().map(|spec| Described {
        name: (spec.kind != TargetKind::Native).then(|| spec.kind.to_string()),
        kind: spec.kind,
        channel: spec.channel.bytes().into(),
        channel_hash: hash::channel(hub, platform, spec.channel.bytes()),
        tags: spec.tags,
    });
    described.collect()
}

/// The row of an installation.
#[derive(Debug)]
pub(super) struct InstallationRow {
    pub(super) no: i64,
    pub(super) document: Vec<u8>,
    /// What the row says; a touch may say otherwise.
    pub(super) times: Touch,
    pub(super) updated: Timestamp,
    pub(super) channel_dead: bool,
    /// In the order of the document's targets; `None` where a drop took the target.
    pub(super) seqs: Vec<Option<Seq>>,
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

impl InstallationRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let millis = Timestamp::from_millis;
        Ok(Self {
            no: row.get(0)?,
            document: row.get(1)?,
            times: Touch { expires: row.get::<_, Option<i64>>(2)?.map(millis), confirmed: millis(row.get(3)?) },
            updated: millis(row.get(4)?),
            channel_dead: row.get(5)?,
            seqs: decode_seqs(row.get_ref(6)?.as_blob()?),
        })
    }

    /// The installation of that id.
    pub(super) fn find(connection: &Connection, hub: HubId, id: &InstallationId) -> Result<Option<Self>> {
        Self::find_hashed(connection, hub, hash::installation(hub, id.as_str()), id.as_str())
    }

    /// The installation of that id, whose hash is known.
    pub(super) fn find_hashed(connection: &Connection, hub: HubId, hash: u64, id: &str) -> Result<Option<Self>> {
        let mut statement = connection.prepare_cached(installation_where!("id_hash = ?1"))?;
        let mut rows = statement.query([hash.cast_signed()])?;
        while let Some(row) = rows.next()? {
            if of_key(row.get(0)?).0 == hub && id_text(row.get_ref(1)?.as_blob().unwrap_or_default()) == Some(id) {
                return Ok(Some(Self::from_row(row)?));
            }
        }
        Ok(None)
    }

    /// The installation with that arrival number.
    pub(super) fn get(connection: &Connection, no: i64) -> Result<Option<Self>> {
        let mut statement = connection.prepare_cached(installation_where!("no = ?1"))?;
        Ok(statement.query_row([no], Self::from_row).optional()?)
    }

    /// The document, with the expiry that the row says.
    pub(super) fn installation(&self) -> Result<Installation> {
        Installation::from_stored(&self.document, self.times.expires)
            .map_err(|error| StoreError::Corrupt(format!("installation {}: {error}", self.no)))
    }
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

/// The id in a stored document, without reading the rest of it.
pub(in crate::store::sqlite) fn document_id(document: &[u8]) -> Result<InstallationId> {
    id_text(document)
        .and_then(|id| InstallationId::parse(id).ok())
        .ok_or_else(|| StoreError::Corrupt("a stored document has no installation id".to_owned()))
}

/// The id that a stored document begins with. Ids hold nothing that JSON escapes.
fn id_text(document: &[u8]) -> Option<&str> {
    let rest = document.strip_prefix(br#"{"installationId":""#)?;
    let end = rest.iter().position(|&byte| byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Whether a stored document names this user: when it names any, that is its last member, and no value before it can
/// end in the same way, since those that could hold such a text are objects and end with one brace more.
fn is_document_of(document: &[u8], user: &str) -> bool {
    let quoted = serde_json::Value::from(user).to_string();
    document
        .strip_suffix(b"}")
        .and_then(|rest| rest.strip_suffix(quoted.as_bytes()))
        .is_some_and(|rest| rest.ends_with(br#","userId":"#))
}

/// The hash that finds an installation by its user.
pub(super) fn user_hash(hub: HubId, user: Option<&UserId>) -> Option<i64> {
    user.map(|user| hash::user(hub, user.as_str()).cast_signed())
}

/// A seq that a drop took.
const TAKEN: u64 = u64::MAX;

pub(super) fn encode_seqs(seqs: &[Option<Seq>]) -> Vec<u8> {
    seqs.iter().flat_map(|seq| seq.map_or(TAKEN, |seq| seq.0).to_le_bytes()).collect()
}

fn decode_seqs(bytes: &[u8]) -> Vec<Option<Seq>> {
    let seqs = bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    seqs.map(|seq| Some(Seq(seq)).filter(|seq| seq.0 != TAKEN)).collect()
}

/// A new live target of an installation; answers its seq.
pub(super) fn enter(
    tx: &Connection,
    commit: &mut HubCommit,
    installation: i64,
    platform: Platform,
    target: &Described,
    times: Touch,
) -> Result<Seq> {
    let seq = commit.next_seq()?;
    let user_mark = commit.number().0;
    sharing::joins(tx, commit, platform, target, seq)?;
    tx.prepare_cached(
        "INSERT INTO target (key, installation, class, platform, name, channel, channel_hash, expires, confirmed, \
         user_mark) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        key(commit.hub, seq),
        installation,
        target.kind.class().code(),
        platform.code(),
        target.name,
        &*target.channel,
        target.channel_hash.cast_signed(),
        times.expires.map(Timestamp::millis),
        times.confirmed.millis(),
        user_mark.cast_signed(),
    ])?;
    commit.set_live(target.kind.class(), platform, seq, true);
    for tag in &target.tags {
        commit.add(tag.as_str(), seq);
    }
    Ok(seq)
}

/// A live target leaves; its row stays as a tombstone.
pub(super) fn leave(
    tx: &Connection,
    commit: &mut HubCommit,
    leaving: &Leaving<'_>,
    target: &Described,
    seq: Seq,
) -> Result<()> {
    tx.prepare_cached("UPDATE target SET channel = NULL, gone_why = ?2, gone_at = ?3, gone_id = ?4 WHERE key = ?1")?
        .execute(params![key(commit.hub, seq), leaving.why as u8, leaving.now.millis(), leaving.id])?;
    sharing::leaves(tx, commit, leaving.platform, target, seq)?;
    commit.set_live(target.kind.class(), leaving.platform, seq, false);
    for tag in &target.tags {
        commit.remove(tag.as_str(), seq);
    }
    Ok(())
}

/// What the tombstones of one departure say.
pub(super) struct Leaving<'a> {
    pub(super) id: &'a str,
    pub(super) platform: Platform,
    pub(super) why: Departure,
    pub(super) now: Timestamp,
}

/// An installation goes with all of its targets.
pub(super) fn remove(
    tx: &Connection,
    commit: &mut HubCommit,
    row: &InstallationRow,
    why: Departure,
    now: Timestamp,
) -> Result<()> {
    let installation = row.installation()?;
    let platform = installation.platform.platform();
    let leaving = Leaving { id: installation.id.as_str(), platform, why, now };
    for (target, seq) in describe(commit.hub, &installation).iter().zip(&row.seqs) {
        if let Some(seq) = seq {
            leave(tx, commit, &leaving, target, *seq)?;
        }
    }
    tx.prepare_cached("DELETE FROM installation WHERE no = ?1")?.execute([row.no])?;
    commit.forget_touch(row.no);
    commit.number();
    Ok(())
}

/// Brings the times of an installation's rows up to a touch, where they differ.
pub(super) fn write_times(tx: &Connection, row: &InstallationRow, hub: HubId, times: Touch) -> Result<()> {
    let (expires, confirmed) = (times.expires.map(Timestamp::millis), times.confirmed.millis());
    if row.times != times {
        tx.prepare_cached("UPDATE installation SET expires = ?2, confirmed = ?3 WHERE no = ?1")?
            .execute(params![row.no, expires, confirmed])?;
    }
    for seq in row.seqs.iter().flatten() {
        tx.prepare_cached(
            "UPDATE target SET expires = ?2, confirmed = ?3 WHERE key = ?1 AND (expires IS NOT ?2 OR confirmed <> ?3)",
        )?
        .execute(params![key(hub, *seq), expires, confirmed])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_at_the_end_of_the_document_and_nowhere_else() {
        let document = br#"{"installationId":"d-1","pushVariables":{"a":"b"},"userId":"an\"na"}"#;
        assert!(is_document_of(document, "an\"na"));
        assert!(!is_document_of(document, "na"));
        let inside = br#"{"installationId":"d-1","pushVariables":{"a":"b","userId":"anna"}}"#;
        assert!(!is_document_of(inside, "anna"));
        assert_eq!(document_id(document).unwrap().as_str(), "d-1");
        assert!(document_id(b"{}").is_err());
    }

    #[test]
    fn keys_and_seqs_come_back() {
        let place = (HubId(7), Seq(Seq::END - 1));
        assert_eq!(of_key(key(place.0, place.1)), place);
        let (from, below) = keys_of(HubId(7));
        assert!((from..below).contains(&key(place.0, place.1)) && of_key(below) == (HubId(8), Seq(0)));
        let seqs = [Some(Seq(3)), None, Some(Seq(0))];
        assert_eq!(decode_seqs(&encode_seqs(&seqs)), seqs);
    }
}
