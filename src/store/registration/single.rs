//! Registrations in the sense of `notification-hubs.md` 2.3: written and deleted by id, under a condition on their
//! version, which is 1 when they are made and grows by one with every PUT.
//!
//! A target of an installation, seen as a registration, is deleted with its installation and written through it alone
//! (2.2.8).

use super::apply::{Applier, Dead, Put};
use super::row::{Departure, Record, key};
use super::rows::Rows;
use super::targets::remove;
use crate::model::hash;
use crate::model::id::{HubId, Seq};
use crate::model::registration::{Registration, RegistrationId};
use crate::store::index::Touch;
use crate::store::{Precondition, Registered, RegistrationChange, Result};

/// A change with what can be worked out before the writer's turn.
#[derive(Debug)]
pub(in crate::store) struct Single {
    change: RegistrationChange,
    key: String,
    id_hash: u64,
}

impl Single {
    pub(in crate::store) fn new(hub: HubId, change: RegistrationChange) -> Self {
        let key = change.id().key();
        Self { id_hash: hash::installation(hub, &key), key, change }
    }

    /// The hash that its row is found by.
    pub(in crate::store) fn id_hash(&self) -> u64 {
        self.id_hash
    }

    /// The target of an installation that it is about.
    pub(in crate::store) fn target(&self) -> Option<Seq> {
        self.change.id().target()
    }
}

impl<R: Rows> Applier<'_, R> {
    pub(in crate::store) fn register(&mut self, single: &Single) -> Result<Registered> {
        match &single.change {
            RegistrationChange::Put { registration, .. } if registration.id.target().is_some() => {
                Ok(Registered::OfInstallation)
            }
            RegistrationChange::Put { registration, only } => self.put_single(single, registration, *only),
            RegistrationChange::Delete { id, only } => self.delete_single(single, id, *only),
        }
    }

    fn put_single(&mut self, single: &Single, registration: &Registration, only: Precondition) -> Result<Registered> {
        let row = self.find(single.id_hash, &single.key)?;
        let version = match &row {
            Some(row) => match row.record()? {
                Record::Registration(_, version) => Some(version),
                Record::Installation(_) => None,
            },
            None => None,
        };
        if let Some(refused) = only.refuses(version) {
            return Ok(refused);
        }
        let etag = version.unwrap_or(0) + 1;
        let put = Put::new(self.commit.hub, Record::Registration(registration.clone(), etag));
        let Some(row) = row else {
            self.create(&put)?;
            return Ok(Registered::Created { etag, at: self.now });
        };
        let times = Touch { confirmed: self.now, expires: registration.expires };
        self.rewrite(&row, &put, times, Dead::Revived)?;
        self.commit.touch(row.no, times);
        Ok(Registered::Updated { etag, at: self.now })
    }

    fn delete_single(&mut self, single: &Single, id: &RegistrationId, only: Precondition) -> Result<Registered> {
        let row = match id.target() {
            Some(seq) => match self.rows.live_target(key(self.commit.hub, seq))? {
                Some(target) => match self.rows.installation(target.installation)? {
                    Some(row) => self.alive(row)?,
                    None => None,
                },
                None => None,
            },
            None => self.find(single.id_hash, &single.key)?,
        };
        let version = match &row {
            None => None,
            Some(row) => match (row.record()?, id.target()) {
                (Record::Registration(_, version), None) => Some(version),
                (Record::Installation(_), Some(_)) => Some(row.derived_etag()),
                _ => None,
            },
        };
        let (Some(row), Some(_)) = (row, version) else { return Ok(Registered::Absent) };
        if let Some(refused) = only.refuses(version) {
            return Ok(refused);
        }
        remove(self.rows, self.commit, &row, Departure::Deleted, self.now)?;
        Ok(Registered::Deleted)
    }
}
