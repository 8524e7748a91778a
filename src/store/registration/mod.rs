//! Registration's rules, the same for every engine: what a PUT, PATCH or DELETE of an installation, a drop or an expiry
//! does to rows and index.
//!
//! [`apply`] are the rules of a change, [`single`] those of the registrations of `notification-hubs.md` 2.3, which have
//! one target and lie in the same rows, [`targets`] how targets enter and leave, [`sharing`] marks targets with a common
//! handle, [`link`] says which template a target has, [`remove`] drops dead channels, [`commit`] gathers what one commit
//! changes in one hub's index; [`seen`] shows every target as a registration. All that change something
//! read and write rows through [`Rows`], by static dispatch: on the embedded store these are prepared statements, on
//! PostgreSQL a working set in memory that is read and written with a handful of statements for a whole group.

mod apply;
mod commit;
mod link;
mod remove;
mod row;
mod rows;
mod seen;
mod sharing;
mod single;
mod targets;

pub(in crate::store) use apply::{Applier, Prepared};
pub(in crate::store) use commit::{Gathered, HubCommit};
pub(in crate::store) use link::{Round, TemplateLink, relink, same_number};
pub(in crate::store) use remove::{Removal, drop_dead};
pub(in crate::store) use row::{
    Departure, Described, InstallationRow, decode_seqs, encode_seqs, id_text, is_document_of, key, keys_of, of_key,
    registrant,
};
pub(in crate::store) use rows::{Gone, LiveTarget, NewInstallation, NewTarget, Rewritten, Rows};
pub(in crate::store) use seen::{RegistrationView, one as registration, page as registrations};
pub(in crate::store) use sharing::DedupeKey;
pub(in crate::store) use single::Single;
pub(in crate::store) use targets::{expire, write_times};
