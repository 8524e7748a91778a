//! What a link does to those who use it.
use std::{collections::HashMap, time::Duration};

use super::owner::NodeNo;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From who connected to the server.
    Up,
    /// From the server.
    Down,
}

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    #[default]
    Pass,
    /// Nothing is read: what was sent waits in the sender's buffers, and no side hears a word.
    Stall,
    /// So few bytes at a time.
    Drip { bytes: usize, every: Duration },
}

/// What becomes of new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entrance {
    #[default]
    Open,
    /// Reset at once.
    Reset,
    /// Taken, and never a byte.
    Silent,
}

/// The state of a link for one node or for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    pub entrance: Entrance,
    pub up: Flow,
    pub down: Flow,
}

impl Condition {
    /// Neither direction moves; new connections hang.
    pub const STALLED: Self = Self { entrance: Entrance::Silent, up: Flow::Stall, down: Flow::Stall };
    /// Nobody gets in.
    pub const SHUT: Self = Self { entrance: Entrance::Reset, up: Flow::Pass, down: Flow::Pass };

    /// Both directions this slow.
    pub const fn dripping(bytes: usize, every: Duration) -> Self {
        Self { entrance: Entrance::Open, up: Flow::Drip { bytes, every }, down: Flow::Drip { bytes, every } }
    }

    pub const fn flow(&self, direction: Direction) -> Flow {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }
}

/// How an open connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// RST to both sides.
    Reset,
    /// FIN to both sides; what is under way is lost.
    Cut,
    /// FIN to one side, as if the other had nothing more to say: the direction ends, the other one goes on.
    HalfClose(Direction),
}

/// Whom something concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    Everyone,
    Node(NodeNo),
}

impl Whom {
    pub fn is(self, owner: Option<NodeNo>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Node(node) => owner == Some(node),
        }
    }
}

/// The conditions of a link. That of a node goes before that of everyone.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    everyone: Condition,
    nodes: HashMap<NodeNo, Condition>,
}

impl Conditions {
    pub(super) fn of(&self, owner: Option<NodeNo>) -> Condition {
        owner.and_then(|node| self.nodes.get(&node)).copied().unwrap_or(self.everyone)
    }

    /// Everyone's takes the nodes' own away.
    pub(super) fn set(&mut self, whom: Whom, condition: Condition) {
        match whom {
            Whom::Everyone => *self = Self { everyone: condition, nodes: HashMap::new() },
            Whom::Node(node) => drop(self.nodes.insert(node, condition)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_own_condition_goes_before_everyones() {
        let mut conditions = Conditions::default();
        conditions.set(Whom::Node(1), Condition::STALLED);
        assert_eq!(conditions.of(Some(1)), Condition::STALLED);
        assert_eq!((conditions.of(Some(2)), conditions.of(None)), (Condition::default(), Condition::default()));
        conditions.set(Whom::Everyone, Condition::SHUT);
        assert_eq!((conditions.of(Some(1)), conditions.of(None)), (Condition::SHUT, Condition::SHUT));
    }
}
