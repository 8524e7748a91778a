//! The index's rules, the same for every engine: which targets carry which tag, as sets of seqs by (tag, chunk).
//!
//! Engines keep the set rows, and over them the changes of commits that are not folded yet: a [`delta`] row for each
//! commit, and a row of [`touch`]es for re-registrations that changed only their times. An engine shows its index as
//! one transaction sees it as an [`IndexView`]; [`evaluation`] answers an audience over any view.

mod delta;
mod evaluation;
mod fold;
mod live_tags;
mod touch;
mod varint;
mod view;

pub(in crate::store) use delta::{Changes, Delta, Overlay};
pub(in crate::store) use evaluation::{count, lowest_seqs, native_seqs};
pub(in crate::store) use fold::{ChangedSet, ChangedSets, SetRow};
pub(in crate::store) use live_tags::LiveTags;
pub(in crate::store) use touch::{Touch, Touches, newest};
pub(in crate::store) use view::IndexView;
