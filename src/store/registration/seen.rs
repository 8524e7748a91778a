//! Every target as a registration: registrations as they are, targets of installations as `notification-hubs.md` 2.2.8
//! shows them. Lists are in the order of the seq, which is where a page goes on: what is written meanwhile moves nobody
//! across the place, unless it comes anew, and then behind it.

use super::row::InstallationRow;
use crate::model::id::{ChunkNo, Seq};
use crate::model::registration::RegistrationId;
use crate::model::registration::filter::Handle;
use crate::model::time::Timestamp;
use crate::store::index::{IndexView, Touch};
use crate::store::{RegistrationPage, RegistrationQuery, Result, StoredRegistration};

/// The registry of one hub as one transaction sees it.
pub(in crate::store) trait RegistrationView: IndexView {
    /// The time of the view.
    fn now(&self) -> Timestamp;

    /// Live targets from `from` on, ascending, no more than `limit`.
    fn live_seqs(&self, from: Seq, limit: usize) -> Result<Vec<Seq>>;

    /// Live targets on a channel.
    fn seqs_on(&self, handle: &Handle) -> Result<Vec<Seq>>;

    /// The rows that these targets belong to, each with its newest touch, for those of `seqs` that are live; ascending
    /// when `seqs` are.
    fn owners(&self, seqs: &[Seq]) -> Result<Vec<(Seq, InstallationRow, Option<Touch>)>>;
}

/// One registration.
pub(in crate::store) fn one(view: &impl RegistrationView, id: &RegistrationId) -> Result<Option<StoredRegistration>> {
    let seqs = match id.target() {
        Some(seq) => vec![seq],
        None => view.seqs_of_installations(&[&id.key()])?.into_iter().flatten().collect(),
    };
    let shown = shown(view, &seqs)?.into_iter().next();
    // A registration's own target is no other registration.
    Ok(shown.filter(|shown| shown.registration.id == *id))
}

/// A page of what a query asks for, from `from` on.
pub(in crate::store) fn page(
    view: &impl RegistrationView,
    query: &RegistrationQuery,
    from: Seq,
    limit: usize,
) -> Result<RegistrationPage> {
    let most = limit.saturating_add(1);
    let mut seqs = match query {
        RegistrationQuery::All => view.live_seqs(from, most)?,
        RegistrationQuery::Tag(tag) => tagged(view, tag, from, most)?,
        RegistrationQuery::Handles(handles) => {
            let mut seqs = Vec::new();
            for handle in handles {
                seqs.extend(view.seqs_on(handle)?);
            }
            ascending(seqs, from, most)
        }
    };
    // One more than asked for says where the next page begins.
    let next = if seqs.len() > limit { seqs.pop() } else { None };
    Ok(RegistrationPage { items: shown(view, &seqs)?, next })
}

fn shown(view: &impl RegistrationView, seqs: &[Seq]) -> Result<Vec<StoredRegistration>> {
    let now = view.now();
    let owners = view.owners(seqs)?.into_iter();
    owners.filter_map(|(seq, row, touch)| row.shown(seq, touch, now).transpose()).collect()
}

fn ascending(mut seqs: Vec<Seq>, from: Seq, most: usize) -> Vec<Seq> {
    seqs.retain(|seq| *seq >= from);
    seqs.sort_unstable();
    seqs.dedup();
    seqs.truncate(most);
    seqs
}

/// Targets that carry a tag; system tags are answered from the keys of their installations.
fn tagged(view: &impl RegistrationView, tag: &str, from: Seq, most: usize) -> Result<Vec<Seq>> {
    if let Some(id) = system(tag, "$InstallationId:") {
        return Ok(ascending(view.seqs_of_installations(&[id])?.concat(), from, most));
    }
    if let Some(user) = system(tag, "$UserId:") {
        return Ok(ascending(view.seqs_of_users(&[user])?.concat(), from, most));
    }
    // The index has tags of its own, which begin so.
    if tag.starts_with(char::is_control) {
        return Ok(Vec::new());
    }
    let overlay = view.overlay(tag);
    let mut seqs = Vec::new();
    for list in view.chunk_lists(&[(tag, &overlay)])? {
        for entry in list.as_slice().iter().filter(|entry| entry.chunk >= from.chunk().0) {
            if seqs.len() >= most {
                break;
            }
            let sets = view.sets(tag, &overlay, entry.chunk, entry.chunk)?;
            let members = sets.get(&entry.chunk).into_iter().flat_map(|set| set.iter());
            let members = members.map(|offset| Seq::at(ChunkNo(entry.chunk), offset));
            seqs.extend(members.filter(|seq| *seq >= from));
        }
    }
    seqs.truncate(most);
    Ok(seqs)
}

/// The value of a system tag, in braces or without (3.2).
fn system<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (head, value) = tag.split_at_checked(name.len())?;
    let bare = value.strip_prefix('{').and_then(|value| value.strip_suffix('}'));
    head.eq_ignore_ascii_case(name).then_some(bare.unwrap_or(value))
}
