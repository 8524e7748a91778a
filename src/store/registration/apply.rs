//! Registrations: what a PUT, PATCH or DELETE of an installation changes, and nothing else.
//!
//! | the document is | written |
//! |---|---|
//! | new | its row, a row and index entries for each target |
//! | the same | a touch |
//! | changed | its row, a touch; index entries for changed tags; rows of targets that came, left, or have another channel, user or template |
//! | on another platform, or revived after a drop | its row, a touch; every target anew |
//!
//! A PATCH is written as a PUT of what it makes of the document, but what a drop took stays out unless it sets the channel.
//! What an app reports of its device is written as a PUT of what comes of it over the document.
//!
//! An installation whose time is over counts as gone, swept or not: a PUT makes it anew.

use super::commit::HubCommit;
use super::row::{self, Departure, Described, InstallationRow, Record, describe, key};
use super::rows::{NewInstallation, Rewritten, Rows};
use super::sharing;
use super::targets::{Leaving, enter, leave, remove, write_times};
use crate::model::hash;
use crate::model::id::{HubId, InstallationId, Seq, UserId};
use crate::model::installation::{Installation, InstallationLimits, Patch, Report};
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::index::Touch;
use crate::store::{Applied, Change, PatchError, ReportError, Result};

/// A change with all that can be worked out before the writer's turn.
#[derive(Debug)]
pub(in crate::store) enum Prepared {
    Put(Put),
    Delete { id: String, id_hash: u64 },
}

#[derive(Debug)]
pub(in crate::store) struct Put {
    key: String,
    id_hash: u64,
    platform: Platform,
    user: Option<UserId>,
    user_hash: Option<i64>,
    expires: Option<Timestamp>,
    document: Vec<u8>,
    targets: Vec<Described>,
}

impl Prepared {
    pub(in crate::store) fn new(hub: HubId, change: Change) -> Self {
        match change {
            Change::Put(installation) => Self::Put(Put::new(hub, Record::Installation(*installation))),
            Change::Delete(id) => {
                Self::Delete { id_hash: hash::installation(hub, id.as_str()), id: id.as_str().to_owned() }
            }
        }
    }

    /// The hash of the id of the installation that it is about.
    pub(in crate::store) fn id_hash(&self) -> u64 {
        match self {
            Self::Put(put) => put.id_hash,
            Self::Delete { id_hash, .. } => *id_hash,
        }
    }
}

impl Put {
    pub(super) fn new(hub: HubId, record: Record) -> Self {
        let (document, expires) = match &record {
            Record::Installation(it) => (it.stored_form(), it.expires),
            Record::Registration(it, etag) => (it.stored_form(*etag), it.expires),
        };
        let (targets, key, user) = (describe(hub, &record), record.key(), record.user().cloned());
        Self {
            id_hash: hash::installation(hub, &key),
            user_hash: row::user_hash(hub, user.as_ref()),
            platform: record.platform(),
            key,
            user,
            expires,
            document,
            targets,
        }
    }
}

/// What a changed document says of channels that a drop took.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dead {
    /// The app reports them anew.
    Revived,
    /// Nothing: they stay out.
    Left,
}

/// The running commit as one change sees it.
pub(in crate::store) struct Applier<'a, R> {
    pub(in crate::store) rows: &'a mut R,
    pub(in crate::store) commit: &'a mut HubCommit,
    pub(in crate::store) now: Timestamp,
}

impl<R: Rows> Applier<'_, R> {
    pub(in crate::store) fn apply(&mut self, change: &Prepared) -> Result<Applied> {
        match change {
            Prepared::Put(put) => match self.find(put.id_hash, &put.key)? {
                Some(row) => {
                    let times = Touch { confirmed: self.now, expires: put.expires };
                    self.replace(row, put, times, Dead::Revived)
                }
                None => self.create(put),
            },
            Prepared::Delete { id, id_hash } => match self.find(*id_hash, id)? {
                Some(row) => {
                    remove(self.rows, self.commit, &row, Departure::Deleted, self.now)?;
                    Ok(Applied::Deleted)
                }
                None => Ok(Applied::Absent),
            },
        }
    }

    /// The outer error undoes the commit; the inner one is the caller's, and nothing was written.
    pub(in crate::store) fn patch(
        &mut self,
        id: &InstallationId,
        patch: &Patch,
        limits: &InstallationLimits,
    ) -> Result<Result<Applied, PatchError>> {
        let id_hash = hash::installation(self.commit.hub, id.as_str());
        let Some(row) = self.find(id_hash, id.as_str())? else { return Ok(Err(PatchError::NotFound)) };
        let times = self.commit.newest_touch(self.rows, row.no)?.unwrap_or(row.times);
        let Record::Installation(present) = row.record()? else { return Ok(Err(PatchError::NotFound)) };
        let present = Installation { expires: times.expires, ..present };
        let put = match patch.apply(&present, limits) {
            Ok(installation) => Put::new(self.commit.hub, Record::Installation(installation)),
            Err(error) => return Ok(Err(PatchError::Field(error))),
        };
        let (confirmed, dead) =
            if patch.sets_channel() { (self.now, Dead::Revived) } else { (times.confirmed, Dead::Left) };
        self.replace(row, &put, Touch { confirmed, expires: put.expires }, dead).map(Ok)
    }

    /// The outer error undoes the commit; the inner one is the caller's, and nothing was written.
    pub(in crate::store) fn report(
        &mut self,
        report: &Report,
        limits: &InstallationLimits,
    ) -> Result<Result<Applied, ReportError>> {
        let id_hash = hash::installation(self.commit.hub, report.id.as_str());
        let row = self.find(id_hash, report.id.as_str())?;
        let present = match row.as_ref().map(InstallationRow::record).transpose()? {
            Some(Record::Installation(present)) => Some(present),
            Some(Record::Registration(..)) => return Ok(Err(ReportError::NotTheirs)),
            None => None,
        };
        if present.as_ref().is_some_and(|present| !report.by.may_change(present)) {
            return Ok(Err(ReportError::NotTheirs));
        }
        let Some(says) = &report.says else {
            let Some(row) = row else { return Ok(Ok(Applied::Absent)) };
            remove(self.rows, self.commit, &row, Departure::Deleted, self.now)?;
            return Ok(Ok(Applied::Deleted));
        };
        let put = match says.over(present.as_ref(), &report.by, limits) {
            Ok(installation) => Put::new(self.commit.hub, Record::Installation(installation)),
            Err(error) => return Ok(Err(ReportError::Field(error))),
        };
        let Some(row) = row else { return self.create(&put).map(Ok) };
        let times = Touch { confirmed: self.now, expires: put.expires };
        self.replace(row, &put, times, Dead::Revived).map(Ok)
    }

    /// The installation, unless its time is over: then it goes now, as the sweep would have it go.
    pub(super) fn find(&mut self, id_hash: u64, id: &str) -> Result<Option<InstallationRow>> {
        let row = self.rows.find(self.commit.hub, id_hash, id)?;
        row.map_or(Ok(None), |row| self.alive(row))
    }

    /// The same of a row.
    pub(super) fn alive(&mut self, row: InstallationRow) -> Result<Option<InstallationRow>> {
        if row.times.expires.is_some_and(|expires| expires <= self.now) {
            let touch = self.commit.newest_touch(self.rows, row.no)?;
            if touch.unwrap_or(row.times).expires.is_some_and(|expires| expires <= self.now) {
                remove(self.rows, self.commit, &row, Departure::Expired, self.now)?;
                return Ok(None);
            }
        }
        Ok(Some(row))
    }

    pub(super) fn create(&mut self, put: &Put) -> Result<Applied> {
        let times = Touch { confirmed: self.now, expires: put.expires };
        let no = self.commit.next_installation()?;
        let mut seqs = Vec::with_capacity(put.targets.len());
        for target in &put.targets {
            seqs.push(Some(enter(self.rows, self.commit, no, put.platform, target, times)?));
        }
        self.rows.insert_installation(NewInstallation {
            no,
            hub: self.commit.hub,
            id_hash: put.id_hash,
            user_hash: put.user_hash,
            document: &put.document,
            expires: times.expires,
            now: self.now,
            seqs: &seqs,
        })?;
        Ok(Applied::Created)
    }

    fn replace(&mut self, row: InstallationRow, put: &Put, times: Touch, dead: Dead) -> Result<Applied> {
        let whole = !row.channel_dead && row.seqs.iter().all(Option::is_some);
        let applied = if (whole || dead == Dead::Left) && row.document == put.document {
            if ends_earlier(times.expires, row.times.expires) {
                write_times(self.rows, &row, self.commit.hub, times)?;
            }
            Applied::Touched
        } else {
            self.rewrite(&row, put, times, dead)?;
            Applied::Updated
        };
        self.commit.touch(row.no, times);
        Ok(applied)
    }

    pub(super) fn rewrite(&mut self, row: &InstallationRow, put: &Put, times: Touch, dead: Dead) -> Result<()> {
        let before = row.record()?;
        let (old_platform, platform) = (before.platform(), put.platform);
        let user_changed = before.user() != put.user.as_ref();
        let mut old: Vec<(Described, Option<Seq>)> =
            describe(self.commit.hub, &before).into_iter().zip(row.seqs.iter().copied()).collect();
        let taken: Vec<u64> = match dead {
            Dead::Revived => Vec::new(),
            Dead::Left => old.iter().filter(|(_, seq)| seq.is_none()).map(|(old, _)| old.channel_hash).collect(),
        };
        let anew = (row.channel_dead && dead == Dead::Revived) || old_platform != platform;
        // Those that leave go first, so that nobody is marked as sharing a key with one that is on its way out.
        let id = before.key();
        let leaving = Leaving { id: &id, platform: old_platform, why: Departure::Replaced, now: self.now };
        for (target, seq) in &mut old {
            let kept = !anew && put.targets.iter().any(|new| new.kind == target.kind);
            if !kept && let Some(seq) = seq.take() {
                leave(self.rows, self.commit, &leaving, target, seq)?;
            }
        }
        let rows_too = user_changed || ends_earlier(times.expires, row.times.expires);
        let mut seqs = Vec::with_capacity(put.targets.len());
        for target in &put.targets {
            let kept = old.iter().find_map(|(old, seq)| seq.filter(|_| old.kind == target.kind).map(|seq| (old, seq)));
            let seq = match kept {
                Some((old, seq)) => {
                    self.keep(old, target, put, seq, times, rows_too, user_changed)?;
                    Some(seq)
                }
                None if taken.contains(&target.channel_hash) => None,
                None => Some(enter(self.rows, self.commit, row.no, platform, target, times)?),
            };
            seqs.push(seq);
        }
        let channel_dead = seqs.first().is_some_and(Option::is_none);
        let new = Rewritten { document: &put.document, times, updated: self.now, channel_dead, seqs: &seqs };
        self.rows.rewrite_installation(row.no, new)?;
        if user_changed {
            self.rows.set_user(row.no, put.user_hash)?;
        }
        self.commit.number();
        Ok(())
    }

    /// A target that stays keeps its seq: only what differs is written.
    #[expect(clippy::too_many_arguments, reason = "one call, and each says what it is")]
    fn keep(
        &mut self,
        old: &Described,
        new: &Described,
        put: &Put,
        seq: Seq,
        times: Touch,
        rows_too: bool,
        user_changed: bool,
    ) -> Result<()> {
        for tag in old.tags.iter().filter(|tag| !new.tags.contains(tag)) {
            self.commit.remove(tag.as_str(), seq);
        }
        for tag in new.tags.iter().filter(|tag| !old.tags.contains(tag)) {
            self.commit.add(tag.as_str(), seq);
        }
        let key = key(self.commit.hub, seq);
        if old.channel != new.channel {
            let platform = put.platform;
            sharing::leaves(self.rows, self.commit, platform, old, seq)?;
            sharing::joins(self.rows, self.commit, platform, new, seq)?;
            self.rows.set_channel(key, &new.channel, new.channel_hash)?;
        }
        if rows_too || old.channel != new.channel {
            self.rows.set_target_times(key, times)?;
        }
        if old.template != new.template
            && let Some(link) = &new.template
        {
            self.rows.keep_template(self.commit.hub, link)?;
            self.rows.set_template(key, link)?;
        }
        if user_changed {
            let mark = self.commit.number().0;
            self.rows.set_user_mark(key, mark)?;
        }
        Ok(())
    }
}

/// Whether the first expiry comes before the second; `None` is never.
fn ends_earlier(first: Option<Timestamp>, second: Option<Timestamp>) -> bool {
    match (first, second) {
        (Some(first), Some(second)) => first < second,
        (Some(_), None) => true,
        (None, _) => false,
    }
}
