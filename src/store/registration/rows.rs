//! What the rules need of an engine's rows, one row at a time.

use std::sync::Arc;

use super::link::TemplateLink;
use super::row::{Departure, Described, InstallationRow};
use crate::model::id::{HubId, Seq};
use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::index::{Touch, Touches};

/// Rows of installations and targets as the running commit sees them, its own changes included.
///
/// `no` is an installation's row key, `key` a target's (`hub << 40 | number`).
pub(in crate::store) trait Rows {
    /// The installation of that id, whose hash is known.
    fn find(&mut self, hub: HubId, id_hash: u64, id: &str) -> Result<Option<InstallationRow>>;

    /// The installation with that key.
    fn installation(&mut self, no: i64) -> Result<Option<InstallationRow>>;

    /// A target that has not left.
    fn live_target(&mut self, key: i64) -> Result<Option<LiveTarget>>;

    /// Live targets of the hub with the dedupe key of `target` on `platform`, besides `seq`; no more than two.
    fn sharing(&mut self, hub: HubId, platform: Platform, target: &Described, seq: Seq) -> Result<Vec<Seq>>;

    /// The hub's touches of earlier commits that are not folded, newest first.
    fn earlier_touches(&mut self, hub: HubId) -> Result<Vec<Arc<Touches>>>;

    fn insert_installation(&mut self, new: NewInstallation<'_>) -> Result<()>;

    fn rewrite_installation(&mut self, no: i64, new: Rewritten<'_>) -> Result<()>;

    /// Apart from the rest of the row, because it has an index.
    fn set_user(&mut self, no: i64, user_hash: Option<i64>) -> Result<()>;

    /// The seqs that a drop left.
    fn set_seqs(&mut self, no: i64, seqs: &[Option<Seq>], channel_dead: bool) -> Result<()>;

    fn set_installation_times(&mut self, no: i64, times: Touch) -> Result<()>;

    fn delete_installation(&mut self, no: i64) -> Result<()>;

    fn insert_target(&mut self, new: NewTarget<'_>) -> Result<()>;

    /// Its row stays as a tombstone.
    fn bury_target(&mut self, key: i64, gone: Gone<'_>) -> Result<()>;

    fn set_channel(&mut self, key: i64, channel: &[u8], channel_hash: u64) -> Result<()>;

    fn set_target_times(&mut self, key: i64, times: Touch) -> Result<()>;

    /// The same where the row says otherwise: most often it does not.
    fn correct_target_times(&mut self, key: i64, times: Touch) -> Result<()>;

    fn set_user_mark(&mut self, key: i64, user_mark: u64) -> Result<()>;

    /// The template that a target has from now on, which is kept already.
    fn set_template(&mut self, key: i64, link: &TemplateLink) -> Result<()>;

    /// Its content is there from this commit on.
    fn keep_template(&mut self, hub: HubId, link: &TemplateLink) -> Result<()>;
}

/// What a removal needs of a live target.
#[derive(Clone, Debug)]
pub(in crate::store) struct LiveTarget {
    /// The row key of its installation.
    pub(in crate::store) installation: i64,
    pub(in crate::store) channel: Vec<u8>,
    pub(in crate::store) confirmed: Timestamp,
}

/// A new installation's row. It was confirmed and written now.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct NewInstallation<'a> {
    pub(in crate::store) no: i64,
    pub(in crate::store) hub: HubId,
    pub(in crate::store) id_hash: u64,
    pub(in crate::store) user_hash: Option<i64>,
    pub(in crate::store) document: &'a [u8],
    pub(in crate::store) expires: Option<Timestamp>,
    pub(in crate::store) now: Timestamp,
    pub(in crate::store) seqs: &'a [Option<Seq>],
}

/// An installation's row as a changed document has it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Rewritten<'a> {
    pub(in crate::store) document: &'a [u8],
    pub(in crate::store) times: Touch,
    pub(in crate::store) updated: Timestamp,
    pub(in crate::store) channel_dead: bool,
    pub(in crate::store) seqs: &'a [Option<Seq>],
}

/// A new target's row.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct NewTarget<'a> {
    pub(in crate::store) key: i64,
    pub(in crate::store) installation: i64,
    pub(in crate::store) class: TargetClass,
    pub(in crate::store) platform: Platform,
    /// The kind's text, `None` for native.
    pub(in crate::store) name: Option<&'a str>,
    pub(in crate::store) channel: &'a [u8],
    pub(in crate::store) channel_hash: u64,
    pub(in crate::store) times: Touch,
    pub(in crate::store) user_mark: u64,
    /// Its content is kept already.
    pub(in crate::store) template: Option<&'a TemplateLink>,
}

/// What a tombstone says.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Gone<'a> {
    pub(in crate::store) why: Departure,
    pub(in crate::store) at: Timestamp,
    /// The id of its installation.
    pub(in crate::store) id: &'a str,
}
