//! What goes wrong: one fault each, how it reads, and what it may repeat.
use std::{fmt, time::Duration};

use super::{
    cast::Cast,
    link::flow::{Condition, End, Whom},
    link::owner::NodeNo,
};

/// Between Fanfare and whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Store,
    Queue,
    Gateway,
}

/// One fault. It ends by itself after the time that it states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`, and a start that long afterwards.
    Kill { node: NodeNo, away: Duration },
    /// SIGTERM, and a start when it has ended.
    Drain { node: NodeNo },
    /// SIGSTOP, and SIGCONT that long afterwards.
    Freeze { node: NodeNo, lasting: Duration },
    /// The node's wall clock is so many milliseconds ahead, or behind.
    Turn { node: NodeNo, ahead: i64, lasting: Duration },
    /// `kill -9` of PostgreSQL with all its processes.
    KillStore { away: Duration },
    /// `kill -9` of Redis; it comes back empty.
    KillQueue { away: Duration },
    /// FLUSHALL
    Flush,
    /// The master's process is killed and its replica becomes the master; later it comes back as the replica.
    FailOver { away: Duration },
    /// One master of the Cluster is killed and comes back empty.
    LoseMaster { which: usize, away: Duration },
    /// A link in another condition.
    Trouble { link: Which, whom: Whom, condition: Condition, lasting: Duration },
    /// Open connections end.
    End { link: Which, whom: Whom, how: End },
    /// The store's disk is full.
    Fill { lasting: Duration },
}

impl Fault {
    /// Devices that it may serve once more: each node that it makes forget answers forgets at most its credit
    /// (design.md section 3.4). What concerns the queue or an API node repeats nobody.
    pub fn repeats(&self, cast: &Cast) -> u64 {
        let of = |whom| match whom {
            Whom::Everyone => cast.credit() * cast.senders() as u64,
            Whom::Node(node) if cast.sends(node) => cast.credit(),
            Whom::Node(_) => 0,
        };
        match *self {
            Self::Kill { node, .. } | Self::Freeze { node, .. } => of(Whom::Node(node)),
            // Its workers cannot record, and may lose their leases before they can again.
            Self::KillStore { .. } | Self::Fill { .. } => of(Whom::Everyone),
            Self::Trouble { link: Which::Store | Which::Gateway, whom, .. }
            | Self::End { link: Which::Store | Which::Gateway, whom, .. } => of(whom),
            Self::Trouble { link: Which::Queue, .. } | Self::End { link: Which::Queue, .. } => 0,
            // PostgreSQL's leases go by its clock, which nobody turns here; the embedded store's must not end by a step.
            Self::Turn { .. }
            | Self::Drain { .. }
            | Self::KillQueue { .. }
            | Self::Flush
            | Self::FailOver { .. }
            | Self::LoseMaster { .. } => 0,
        }
    }

    /// Whether checkpoints that were answered may be lost with it: they are not synced, and PostgreSQL's processes take
    /// what they have not yet written with them.
    pub fn loses_checkpoints(&self) -> bool {
        matches!(self, Self::KillStore { .. })
    }
}

/// A fault with the names of a cast, for people.
#[derive(Debug)]
pub struct Named<'a>(pub &'a Fault, pub &'a Cast);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(fault, cast) = *self;
        let name = |node: NodeNo| cast.name(node);
        let whom = |whom: Whom| match whom {
            Whom::Everyone => "everyone".to_owned(),
            Whom::Node(node) => name(node),
        };
        let seconds = Duration::as_secs_f64;
        match *fault {
            Fault::Kill { node, away } => write!(f, "kill -9 of {}, away for {:.2} s", name(node), seconds(&away)),
            Fault::Drain { node } => write!(f, "SIGTERM for {}, and a start afterwards", name(node)),
            Fault::Freeze { node, lasting } => write!(f, "SIGSTOP for {}, for {:.2} s", name(node), seconds(&lasting)),
            Fault::Turn { node, ahead, lasting } => {
                write!(f, "the clock of {} by {ahead:+} ms, for {:.2} s", name(node), seconds(&lasting))
            }
            Fault::KillStore { away } => write!(f, "kill -9 of PostgreSQL, away for {:.2} s", seconds(&away)),
            Fault::KillQueue { away } => write!(f, "kill -9 of Redis, away for {:.2} s", seconds(&away)),
            Fault::Flush => f.write_str("Redis flushed"),
            Fault::FailOver { away } => write!(f, "kill -9 of the master of Redis, away for {:.2} s", seconds(&away)),
            Fault::LoseMaster { which, away } => {
                write!(f, "kill -9 of master {} of the Cluster, away for {:.2} s", which + 1, seconds(&away))
            }
            Fault::Trouble { link, whom: of, condition, lasting } => {
                let (whom, seconds) = (whom(of), seconds(&lasting));
                let Condition { entrance, up, down } = condition;
                write!(f, "link of {whom} to the {link}: {up:?} up, {down:?} down, {entrance:?}, for {seconds:.2} s")
            }
            Fault::End { link, whom: of, how } => write!(f, "connections of {} to the {link}: {how:?}", whom(of)),
            Fault::Fill { lasting } => write!(f, "the store's disk is full, for {:.2} s", seconds(&lasting)),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "store",
            Self::Queue => "queue",
            Self::Gateway => "gateway",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::link::flow::{Direction, Flow},
        *,
    };

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_fault_may_repeat_the_credit_of_each_sender_that_it_makes_forget() {
        let cast = Cast::of(2, 3, 100);
        let (api, worker) = (0, 3);
        let of = |fault: Fault| fault.repeats(&cast);
        let kill = |node| Fault::Kill { node, away: SECOND };
        assert_eq!((of(kill(api)), of(kill(worker))), (0, 100));
        assert_eq!(of(Fault::Freeze { node: worker, lasting: SECOND }), 100);
        assert_eq!(of(Fault::KillStore { away: SECOND }), 300);
        let trouble = |link, whom| of(Fault::Trouble { link, whom, condition: Condition::STALLED, lasting: SECOND });
        assert_eq!(trouble(Which::Gateway, Whom::Everyone), 300);
        assert_eq!(trouble(Which::Store, Whom::Node(worker)), 100);
        assert_eq!((trouble(Which::Store, Whom::Node(api)), trouble(Which::Queue, Whom::Everyone)), (0, 0));
        assert_eq!(of(Fault::End { link: Which::Gateway, whom: Whom::Node(worker), how: End::Reset }), 100);
        for nobody in [
            Fault::Drain { node: worker },
            Fault::Turn { node: worker, ahead: 1, lasting: SECOND },
            Fault::KillQueue { away: SECOND },
            Fault::Flush,
            Fault::FailOver { away: SECOND },
            Fault::LoseMaster { which: 0, away: SECOND },
        ] {
            assert_eq!(of(nobody), 0, "{nobody:?}");
        }
        assert_eq!(Fault::Turn { node: 0, ahead: 1, lasting: SECOND }.repeats(&Cast::alone(7)), 0);
    }

    #[test]
    fn faults_read_as_what_they_do_to_whom() {
        let cast = Cast::of(1, 2, 1);
        let said = |fault: Fault| Named(&fault, &cast).to_string();
        assert_eq!(said(Fault::Kill { node: 2, away: SECOND }), "kill -9 of worker 2, away for 1.00 s");
        assert_eq!(
            said(Fault::Turn { node: 0, ahead: -5, lasting: SECOND }),
            "the clock of api 1 by -5 ms, for 1.00 s"
        );
        let condition = Condition { down: Flow::Stall, ..Condition::default() };
        let trouble = Fault::Trouble { link: Which::Store, whom: Whom::Everyone, condition, lasting: SECOND };
        assert_eq!(said(trouble), "link of everyone to the store: Pass up, Stall down, Open, for 1.00 s");
        let how = End::HalfClose(Direction::Up);
        assert_eq!(
            said(Fault::End { link: Which::Queue, whom: Whom::Node(0), how }),
            "connections of api 1 to the queue: HalfClose(Up)"
        );
    }
}
