//! What goes in and out of the store about jobs, and the files that they read and write.
//!
//! A file lies in the store, in pieces: so every node can serve it, what a job wrote and how far it came are committed
//! together, and a job that is taken up again goes on behind the last whole step. What a job is about is its own
//! business: to the store it is bytes.

use crate::model::id::{Epoch, HubId};
use crate::model::time::Timestamp;

/// A job's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// Unique in its hub.
    pub id: String,
    /// Opaque to the store.
    pub state: Vec<u8>,
    /// It needs nobody any more.
    pub finished: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// It goes then.
    pub expires: Timestamp,
}

/// A job that is this process' to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedJob {
    pub hub: HubId,
    pub epoch: Epoch,
    pub job: JobRecord,
}

/// What one step of a job changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobStep {
    /// The job's new state.
    pub state: Vec<u8>,
    pub finished: bool,
    /// Pieces of files, each with its number.
    pub pieces: Vec<(FileId, u32, Vec<u8>)>,
    /// Files that are whole from now on.
    pub whole: Vec<FileId>,
}

/// A file, as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct FileId(pub i64);

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    pub id: FileId,
    pub name: String,
    pub bytes: u64,
    pub pieces: u32,
    pub written: Timestamp,
}
