//! What PostgreSQL and the way to it can answer, sorted by what a caller may do about it.

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// What an operation inside this engine answers.
pub(super) type Done<T> = std::result::Result<T, Fault>;

/// A failure, and whether the same may be tried again at once.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) error: StoreError,
    pub(super) kind: FaultKind,
}

/// What became of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Undone because of another one (serialisation, deadlock): the same works when it is tried again.
    Conflict,
    /// The connection was lost, or the server is starting or stopping, before a commit was asked for.
    Lost,
    /// The connection was lost after a commit was asked for: it may stand or not.
    InDoubt,
    /// Anything else; trying again changes nothing.
    Final,
}

impl Fault {
    fn new(error: StoreError, kind: FaultKind) -> Self {
        Self { error, kind }
    }

    /// Somebody was faster: the same works when it is tried again.
    pub(super) fn again(why: &str) -> Self {
        Self::new(StoreError::Unavailable(why.to_owned()), FaultKind::Conflict)
    }

    /// The same, for a call that asked for a commit.
    pub(super) fn of_commit(error: &tokio_postgres::Error) -> Self {
        let fault = Self::from_driver(error);
        let kind = if fault.kind == FaultKind::Lost { FaultKind::InDoubt } else { fault.kind };
        Self { kind, ..fault }
    }

    fn from_driver(error: &tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            // Not the server's answer: the socket's, or the driver's own. The driver's own mistakes are ours.
            let lost = error.is_closed()
                || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
            return match lost {
                true => Self::new(StoreError::Unavailable(in_words(error)), FaultKind::Lost),
                false => Self::new(StoreError::Engine(in_words(error)), FaultKind::Final),
            };
        };
        let (code, words) = (said.code(), in_words(error));
        if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
            return Self::new(StoreError::Unavailable(words), FaultKind::Conflict);
        }
        if [SqlState::DISK_FULL].contains(code) {
            return Self::new(StoreError::Full(words), FaultKind::Final);
        }
        // By class (PostgreSQL's appendix A): 08 connection, 53 resources, 57P the operator stops it, 58 I/O.
        // 25006: a standby that was promoted away under us. 55P03: a lock was not had in time.
        let class = &code.code()[..2];
        if class == "08" || code.code().starts_with("57P") || *code == SqlState::READ_ONLY_SQL_TRANSACTION {
            return Self::new(StoreError::Unavailable(words), FaultKind::Lost);
        }
        if class == "53" || class == "58" || [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED].contains(code) {
            return Self::new(StoreError::Unavailable(words), FaultKind::Final);
        }
        if class == "XX" {
            return Self::new(StoreError::Corrupt(words), FaultKind::Final);
        }
        Self::new(StoreError::Engine(words), FaultKind::Final)
    }
}

/// The driver's own words hide what the server said; this is both.
fn in_words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::from_driver(&error)
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::from_driver(&error),
            PoolError::Timeout(TimeoutType::Wait) => {
                let words = "every connection to the database is in use".to_owned();
                Self::new(StoreError::Unavailable(words), FaultKind::Final)
            }
            PoolError::Timeout(_) => {
                Self::new(StoreError::Unavailable("the database does not answer".to_owned()), FaultKind::Lost)
            }
            other => Self::new(StoreError::Unavailable(other.to_string()), FaultKind::Final),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::new(error, FaultKind::Final)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}
