//! What was read of a hub for one commit, and what a run of the rules has to be told besides.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::model::template::TemplateId;
use crate::store::index::{Touch, Touches};
use crate::store::registration::{InstallationRow, TemplateLink};

/// What a run has to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Installations by the hash of their id.
    pub(super) id_hashes: BTreeSet<i64>,
    /// Installations by their key.
    pub(super) installations: BTreeSet<i64>,
    /// Live targets by their key.
    pub(super) targets: BTreeSet<i64>,
    /// Some of the live targets of a channel, by its hash.
    pub(super) channels: BTreeSet<i64>,
    /// All of them.
    pub(super) whole_channels: BTreeSet<i64>,
    /// Touches of earlier commits.
    pub(super) touches: bool,
}

/// So many targets of a channel are read at first: hardly any channel has two, and where thousands share one a few tell
/// what there is to know.
pub(super) const OF_A_CHANNEL: i64 = 64;

impl Needs {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn extend(&mut self, other: Self) {
        self.id_hashes.extend(other.id_hashes);
        self.installations.extend(other.installations);
        self.targets.extend(other.targets);
        self.channels.extend(other.channels);
        self.whole_channels.extend(other.whole_channels);
        self.touches |= other.touches;
    }
}

/// An installation with its look-up hashes.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    pub(super) row: InstallationRow,
    pub(super) id_hash: i64,
    pub(super) user_hash: Option<i64>,
}

/// A target.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) installation: i64,
    pub(super) class: TargetClass,
    pub(super) platform: Platform,
    pub(super) name: Option<String>,
    pub(super) channel: Vec<u8>,
    pub(super) channel_hash: i64,
    pub(super) times: Touch,
    pub(super) user_mark: u64,
    /// Of one that came in this run.
    pub(super) template: Option<Named>,
}

/// The template that a target names, and the variables that it reads.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) id: TemplateId,
    pub(super) variables: Option<Vec<u8>>,
}

impl Named {
    pub(super) fn of(link: &TemplateLink) -> Self {
        Self { id: link.id, variables: link.variables.clone() }
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Base {
    pub(super) told: Needs,
    pub(super) installations: HashMap<i64, Installation>,
    pub(super) by_id_hash: HashMap<i64, Vec<i64>>,
    pub(super) targets: HashMap<i64, Target>,
    pub(super) by_channel: HashMap<i64, Vec<i64>>,
    pub(super) touches: Vec<Arc<Touches>>,
}

impl Base {
    /// These have been looked for.
    pub(super) fn told(&mut self, needs: Needs) {
        self.told.extend(needs);
    }

    pub(super) fn add_installation(&mut self, it: Installation) {
        let (no, hash) = (it.row.no, it.id_hash);
        if self.installations.insert(no, it).is_none() {
            self.by_id_hash.entry(hash).or_default().push(no);
        }
    }

    /// A live one.
    pub(super) fn add_target(&mut self, key: i64, target: Target) {
        let hash = target.channel_hash;
        if self.targets.insert(key, target).is_none() {
            self.by_channel.entry(hash).or_default().push(key);
        }
    }

    /// Newest first.
    pub(super) fn set_touches(&mut self, touches: Vec<Arc<Touches>>) {
        self.touches = touches;
    }
}
