//! Whose turn it is where several broadcasts wait for one rate: they share it by weight.
//!
//! Each pays for what it was granted, by its weight; one that has paid more than another that waits lets it go first.
//! Nobody waits for one that does not ask.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::BootInstant;
use crate::model::id::BroadcastId;

/// How long one that was told to wait may be late before it counts as gone.
const GRACE: Duration = Duration::from_millis(50);

/// How long one that asks no more is remembered.
const KEPT: Duration = Duration::from_secs(1);

/// Who asks: a broadcast and its weight.
#[derive(Clone, Copy, Debug)]
pub(in crate::fanout) struct Asker {
    pub id: BroadcastId,
    pub weight: u32,
}

/// What each has paid.
#[derive(Debug, Default)]
pub(super) struct Turns {
    known: BTreeMap<BroadcastId, Paid>,
}

#[derive(Debug)]
struct Paid {
    paid: f64,
    /// Until when it is waited for.
    waits: BootInstant,
    seen: BootInstant,
}

impl Turns {
    /// Whether this one may have some now. A newcomer joins at the present, so that it cannot claim the turns that it
    /// was not there for.
    pub(super) fn is_next(&mut self, asker: Asker, now: BootInstant) -> bool {
        self.known.retain(|_, other| other.seen.plus(KEPT) > now);
        let present = self.known.values().map(|other| other.paid).reduce(f64::min).unwrap_or(0.0);
        let new = || Paid { paid: present, waits: BootInstant::default(), seen: now };
        let paid = self.known.entry(asker.id).or_insert_with(new).paid;
        !self.known.iter().any(|(id, other)| *id != asker.id && other.waits > now && other.paid < paid)
    }

    /// It was granted so many.
    pub(super) fn granted(&mut self, asker: Asker, tokens: u32, now: BootInstant) {
        if let Some(own) = self.known.get_mut(&asker.id) {
            own.paid += f64::from(tokens) / f64::from(asker.weight.max(1));
            (own.waits, own.seen) = (BootInstant::default(), now);
        }
    }

    /// It was told to wait so long.
    pub(super) fn refused(&mut self, asker: Asker, wait: Duration, now: BootInstant) {
        if let Some(own) = self.known.get_mut(&asker.id) {
            (own.waits, own.seen) = (now.plus(wait + GRACE), now);
        }
    }
}
