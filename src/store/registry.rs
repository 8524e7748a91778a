//! What goes in and out of the registry.

use std::time::Duration;

use crate::model::id::{HubId, HubName, InstallationId, Seq};
use crate::model::installation::Installation;
use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::model::template::TemplateId;
use crate::model::time::Timestamp;

/// A hub's row. `settings` is opaque to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRecord {
    pub id: HubId,
    pub name: HubName,
    pub settings: Vec<u8>,
    /// Grows with every change of the settings.
    pub version: u64,
}

/// A change of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Create or replace as a whole.
    Put(Box<Installation>),
    Delete(InstallationId),
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    Created,
    Updated,
    /// The document was already so; only its times were noted.
    Touched,
    Deleted,
    /// There was nothing to delete.
    Absent,
}

/// An installation as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInstallation {
    pub installation: Installation,
    /// A push service said that the channel is dead; the targets are gone, the document stays.
    pub channel_expired: bool,
    /// When the app last reported it.
    pub confirmed: Timestamp,
    pub updated: Timestamp,
}

/// A page of installations.
#[derive(Clone, Debug, Default)]
pub struct InstallationPage {
    pub items: Vec<StoredInstallation>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Seq>,
}

/// Rows of one chunk's targets, in seq order: what a worker needs to send. All bytes lie in one buffer, so that a page
/// of a thousand rows is a handful of allocations.
#[derive(Clone, Debug, Default)]
pub struct TargetRows {
    rows: Vec<TargetRow>,
    bytes: Vec<u8>,
}

/// One row; its channel is in the page's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRow {
    pub seq: Seq,
    pub class: TargetClass,
    pub platform: Platform,
    /// Its own expiry, touches included.
    pub expires: Option<Timestamp>,
    /// Its user changed after the commit that was asked for ([`Store::read_rows`](super::Store::read_rows)).
    pub user_changed: bool,
    /// Of a template target; `None` where its row does not name it ([`Store::relink_templates`](super::Store)).
    pub template: Option<TemplateId>,
    start: u32,
    end: u32,
    /// Its variables lie behind the channel.
    variables_end: u32,
}

impl TargetRows {
    /// An empty page with room for `rows`.
    pub fn with_capacity(rows: usize) -> Self {
        Self { rows: Vec::with_capacity(rows), bytes: Vec::with_capacity(rows * 32) }
    }

    /// Appends a row; seqs must ascend.
    pub fn push(
        &mut self,
        seq: Seq,
        class: TargetClass,
        platform: Platform,
        channel: &[u8],
        expires: Option<Timestamp>,
        user_changed: bool,
    ) {
        let start = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(channel);
        let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let template = None;
        self.rows.push(TargetRow {
            seq,
            class,
            platform,
            expires,
            user_changed,
            template,
            start,
            end,
            variables_end: end,
        });
    }

    /// The row appended last has this template, which reads these of its device's push variables (stored form; empty when
    /// none).
    pub fn link(&mut self, template: TemplateId, variables: &[u8]) {
        let Some(row) = self.rows.last_mut() else { return };
        self.bytes.extend_from_slice(variables);
        row.template = Some(template);
        row.variables_end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
    }

    /// The push variables of a row of this page, in their stored form.
    pub fn variables(&self, row: &TargetRow) -> &[u8] {
        &self.bytes[row.end as usize..row.variables_end as usize]
    }

    /// The rows.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&TargetRow, &[u8])> {
        self.rows.iter().map(|row| (row, &self.bytes[row.start as usize..row.end as usize]))
    }

    /// The rows from that one on.
    pub fn iter_from(&self, first: Seq) -> impl ExactSizeIterator<Item = (&TargetRow, &[u8])> {
        let rows = &self.rows[self.rows.partition_point(|row| row.seq < first)..];
        rows.iter().map(|row| (row, &self.bytes[row.start as usize..row.end as usize]))
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// What the group commit has done so far, and what it left to be folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// Transactions that held at least one registration.
    pub registration_groups: u64,
    /// Registrations in them.
    pub registrations: u64,
    /// Every transaction by how long it took, its sync included: those within each of [`Commits::BOUNDS`] and not
    /// within the one before, then the longer ones.
    pub by_time: [u64; Commits::BOUNDS.len() + 1],
    /// How long they took together.
    pub took: Duration,
    /// Index changes and touches that are committed and not folded.
    pub unfolded: u64,
}

impl Commits {
    /// A commit takes milliseconds on a good disk; one of a second holds up every registration.
    pub const BOUNDS: [Duration; 10] = [
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(1_000),
        Duration::from_millis(5_000),
    ];

    /// A transaction took that long.
    pub fn count(&mut self, took: Duration) {
        let at = Self::BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(Self::BOUNDS.len());
        self.by_time[at] += 1;
        self.took += took;
    }
}
