//! What goes in and out of the registry as registrations (`notification-hubs.md` 2.3 and 2.4).

use crate::model::id::Seq;
use crate::model::registration::filter::Handle;
use crate::model::registration::{Registration, RegistrationId};
use crate::model::time::Timestamp;

/// A change of one registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationChange {
    /// Create or replace as a whole.
    Put { registration: Box<Registration>, only: Precondition },
    /// Delete; of an installation's target, the whole installation.
    Delete { id: RegistrationId, only: Precondition },
}

impl RegistrationChange {
    /// The registration that it is about.
    pub fn id(&self) -> &RegistrationId {
        match self {
            Self::Put { registration, .. } => &registration.id,
            Self::Delete { id, .. } => id,
        }
    }
}

/// What must stand for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Whatever.
    #[default]
    None,
    /// No registration of that id.
    Absent,
    /// One of that id.
    Present,
    /// One in that version.
    Version(u64),
}

impl Precondition {
    /// What is answered when the present version does not do.
    pub(in crate::store) fn refuses(self, version: Option<u64>) -> Option<Registered> {
        match (self, version) {
            (Self::None, _) | (Self::Absent, None) | (Self::Present, Some(_)) => None,
            (Self::Absent, Some(_)) => Some(Registered::Exists),
            (Self::Present | Self::Version(_), None) => Some(Registered::Absent),
            (Self::Version(wanted), Some(version)) => (wanted != version).then_some(Registered::Differs),
        }
    }
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    Created {
        etag: u64,
        at: Timestamp,
    },
    Updated {
        etag: u64,
        at: Timestamp,
    },
    Deleted,
    /// Nothing was done: there is no registration of that id.
    Absent,
    /// Nothing was done: there is one already.
    Exists,
    /// Nothing was done: it is in another version.
    Differs,
    /// Nothing was done: that id stands for a target of an installation, which is written through its installation.
    OfInstallation,
}

/// A registration as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRegistration {
    pub registration: Registration,
    /// Its version.
    pub etag: u64,
    pub updated: Timestamp,
    /// It is a target of an installation.
    pub derived: bool,
}

/// Which registrations a list is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationQuery {
    All,
    /// Those that carry a tag: system tags and names of templates, too.
    Tag(String),
    /// Those on any of these channels.
    Handles(Vec<Handle>),
}

/// A page of registrations, in the order of their targets' seqs.
#[derive(Clone, Debug, Default)]
pub struct RegistrationPage {
    pub items: Vec<StoredRegistration>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Seq>,
}
