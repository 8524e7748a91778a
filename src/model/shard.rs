//! A shard's life: ready, leased, closed.
//!
//! ```text
//!            lease (due, unheld or run out; epoch + 1)
//!   Ready ───────────────────────────────────────────▶ Leased ──close (nothing pending)──▶ Closed
//!     ▲                                                │  ▲ │
//!     └───────────────── give back (due) ──────────────┘  └─┘ checkpoint (renews)
//! ```
//!
//! Every change names the epoch of its lease; a change under any other epoch is refused, so a worker that lost its
//! lease writes nothing (design.md 3.5). A lease that ran out without progress is a strike against the shard: poison
//! is found by it ([`narrowing`](super::narrowing)). Giving back is no strike. Both store engines apply these rules and
//! no others.
//!
//! Due times are on the wall clock, the ends of leases on the clock that the store's leases run by ([`Moment`]).

use std::time::Duration;

use super::id::Epoch;
use super::time::{Moment, Timestamp};

/// The part of a shard's row that leases are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who may write: only the holder of this epoch, while `state` is leased.
    pub epoch: Epoch,
    pub state: LeaseState,
    /// Leases that ran out without progress, in a row.
    pub strikes: u32,
}

/// Where a shard stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Unheld; not to be taken before `due`.
    Ready { due: Timestamp },
    /// Held until `until` by the clock of leases. `progressed`: something was recorded under this lease.
    Leased { until: Timestamp, progressed: bool },
    /// Nothing is pending any more.
    Closed,
}

/// Why a change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    #[error("held by another worker until {until}")]
    Held { until: Timestamp },
    #[error("not due before {due}")]
    NotDue { due: Timestamp },
    #[error("closed")]
    Closed,
    /// Its broadcast is paused. It may be taken once that is resumed, cancelled or expired.
    #[error("paused")]
    Paused,
    /// One of its targets may be what kills its workers, and the caller does not hold such a shard alone.
    #[error("suspected of killing its workers")]
    Suspected,
    #[error("the lease of epoch {asked} is no longer valid")]
    Fenced { asked: Epoch },
    #[error("{pending} targets are still pending")]
    StillPending { pending: u64 },
}

impl Lease {
    /// A new shard, ready at once.
    pub const fn new(due: Timestamp) -> Self {
        Self { epoch: Epoch(0), state: LeaseState::Ready { due }, strikes: 0 }
    }

    /// Takes the lease. `closing`: the broadcast was cancelled or expired, so a due time does not count.
    pub fn take(&mut self, now: Moment, length: Duration, closing: bool) -> Result<Epoch, LeaseError> {
        match self.state {
            LeaseState::Closed => return Err(LeaseError::Closed),
            LeaseState::Ready { due } if due > now.wall && !closing => return Err(LeaseError::NotDue { due }),
            LeaseState::Leased { until, .. } if until > now.lease => return Err(LeaseError::Held { until }),
            LeaseState::Leased { progressed: false, .. } => self.strikes += 1,
            LeaseState::Leased { progressed: true, .. } => self.strikes = 0,
            LeaseState::Ready { .. } => {}
        }
        self.epoch = self.epoch.next();
        self.state = LeaseState::Leased { until: now.lease.plus(length), progressed: false };
        Ok(self.epoch)
    }

    /// Whether `epoch` may write now.
    pub fn check(&self, epoch: Epoch, now: Timestamp) -> Result<(), LeaseError> {
        match self.state {
            LeaseState::Closed => Err(LeaseError::Closed),
            LeaseState::Leased { until, .. } if epoch == self.epoch && until > now => Ok(()),
            _ => Err(LeaseError::Fenced { asked: epoch }),
        }
    }

    /// Renews the lease; `progressed` when something was recorded with it.
    pub fn renew(
        &mut self,
        epoch: Epoch,
        now: Timestamp,
        length: Duration,
        progressed: bool,
    ) -> Result<(), LeaseError> {
        self.check(epoch, now)?;
        if progressed {
            self.strikes = 0;
        }
        let before = matches!(self.state, LeaseState::Leased { progressed: true, .. });
        self.state = LeaseState::Leased { until: now.plus(length), progressed: before || progressed };
        Ok(())
    }

    /// Gives the shard back, to be taken again from `due` on.
    pub fn give_back(&mut self, epoch: Epoch, now: Timestamp, due: Timestamp) -> Result<(), LeaseError> {
        self.check(epoch, now)?;
        self.state = LeaseState::Ready { due };
        Ok(())
    }

    /// Closes the shard.
    pub fn close(&mut self, epoch: Epoch, now: Timestamp, pending: u64) -> Result<(), LeaseError> {
        self.check(epoch, now)?;
        if pending > 0 {
            return Err(LeaseError::StillPending { pending });
        }
        self.state = LeaseState::Closed;
        Ok(())
    }

    /// Voids a lease at once, as a restart of the embedded store does: the holder died with the process. Whoever takes
    /// it next finds a lease that ran out, and counts the strike when nothing was recorded under it, because what
    /// killed the process may have been this shard.
    pub fn void(&mut self, now: Timestamp) {
        if let LeaseState::Leased { until, progressed } = self.state {
            self.epoch = self.epoch.next();
            self.state = LeaseState::Leased { until: until.min(now), progressed };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENGTH: Duration = Duration::from_secs(30);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn moment(millis: i64) -> Moment {
        Moment::of_one_clock(at(millis))
    }

    #[test]
    fn one_holder_at_a_time_and_only_it_writes() {
        let mut lease = Lease::new(at(0));
        let first = lease.take(moment(0), LENGTH, false).unwrap();
        assert_eq!(lease.take(moment(1), LENGTH, false), Err(LeaseError::Held { until: at(30_000) }));
        assert_eq!(lease.check(first, at(29_999)), Ok(()));
        assert_eq!(lease.check(first, at(30_000)), Err(LeaseError::Fenced { asked: first }));
        let second = lease.take(moment(30_000), LENGTH, false).unwrap();
        assert!(second > first);
        assert_eq!(lease.renew(first, at(30_001), LENGTH, true), Err(LeaseError::Fenced { asked: first }));
        assert_eq!(lease.strikes, 1);
    }

    #[test]
    fn due_times_are_kept_unless_closing() {
        let mut lease = Lease::new(at(5_000));
        assert_eq!(lease.take(moment(0), LENGTH, false), Err(LeaseError::NotDue { due: at(5_000) }));
        let epoch = lease.take(moment(0), LENGTH, true).unwrap();
        assert_eq!(lease.close(epoch, at(1), 3), Err(LeaseError::StillPending { pending: 3 }));
        lease.close(epoch, at(1), 0).unwrap();
        assert_eq!(lease.take(moment(2), LENGTH, true), Err(LeaseError::Closed));
    }

    #[test]
    fn strikes_count_only_leases_that_ran_out_without_progress() {
        let mut lease = Lease::new(at(0));
        let epoch = lease.take(moment(0), LENGTH, false).unwrap();
        lease.give_back(epoch, at(1), at(1)).unwrap();
        lease.take(moment(1), LENGTH, false).unwrap();
        lease.void(at(2));
        let epoch = lease.take(moment(2), LENGTH, false).unwrap();
        assert_eq!(lease.strikes, 1);
        lease.give_back(epoch, at(2), at(3)).unwrap();
        let epoch = lease.take(moment(3), LENGTH, false).unwrap();
        lease.renew(epoch, at(4), LENGTH, true).unwrap();
        lease.void(at(5));
        lease.take(moment(5), LENGTH, false).unwrap();
        assert_eq!(lease.strikes, 0);
    }

    #[test]
    fn due_times_are_on_the_wall_clock_and_leases_are_not() {
        let mut lease = Lease::new(at(50));
        let set_back = Moment { wall: at(49), lease: at(9_000) };
        assert_eq!(lease.take(set_back, LENGTH, false), Err(LeaseError::NotDue { due: at(50) }));
        let set_forward = Moment { wall: at(1_000_000), lease: at(9_000) };
        let epoch = lease.take(set_forward, LENGTH, false).unwrap();
        assert_eq!(lease.take(set_forward, LENGTH, false), Err(LeaseError::Held { until: at(39_000) }));
        assert_eq!(lease.check(epoch, at(38_999)), Ok(()));
    }

    proptest! {
        #[test]
        fn epochs_never_repeat_and_two_never_hold(steps in proptest::collection::vec((0u8..5, 0i64..40_000), 1..60)) {
            let mut lease = Lease::new(at(0));
            let mut now = 0;
            let mut seen: Vec<Epoch> = Vec::new();
            for (step, wait) in steps {
                now += wait;
                match step {
                    0 | 1 => if let Ok(epoch) = lease.take(moment(now), LENGTH, step == 1) {
                        prop_assert!(seen.iter().all(|old| *old < epoch));
                        for old in &seen {
                            prop_assert!(lease.check(*old, at(now)).is_err());
                        }
                        seen.push(epoch);
                    },
                    2 => if let Some(epoch) = seen.last() { let _ = lease.renew(*epoch, at(now), LENGTH, true); },
                    3 => if let Some(epoch) = seen.last() { let _ = lease.give_back(*epoch, at(now), at(now + 10)); },
                    _ => lease.void(at(now)),
                }
                prop_assert!(seen.iter().filter(|epoch| lease.check(**epoch, at(now)).is_ok()).count() <= 1);
            }
        }
    }
}
