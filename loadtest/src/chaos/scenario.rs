//! The scenarios: where each plays, and what goes wrong in it.
use std::time::Duration;

use super::{
    fault::{Fault, Which},
    link::flow::{Condition, Direction, End, Entrance, Flow, Whom},
    schedule::{Menu, Order},
};

/// What the nodes stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// One node with the embedded store and the in-process queue.
    Embedded,
    /// PostgreSQL and one Redis.
    Single,
    /// PostgreSQL and a Redis with a replica and three Sentinels.
    Sentinel,
    /// PostgreSQL and a Redis Cluster of three masters.
    Cluster,
}

/// Where the nodes stand, and what they can be asked to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footing {
    pub ground: Ground,
    /// The nodes' wall clocks can be turned.
    pub clocked: bool,
    /// The store is on a small disk of its own.
    pub small_disk: bool,
}

impl Footing {
    pub const fn plain(ground: Ground) -> Self {
        Self { ground, clocked: false, small_disk: false }
    }
}

/// What the run of a scenario is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// Faults at their moments during a broadcast.
    Faults,
    /// A worker is frozen behind a stalled link, its work is taken over, and it is woken up.
    Frozen,
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub footing: Footing,
    pub plot: Plot,
    pub menu: Menu,
    /// How many faults unless the run says otherwise.
    pub faults: usize,
}

const fn on(ground: Ground, name: &'static str, about: &'static str, faults: usize, menu: Menu) -> Scenario {
    Scenario { name, about, footing: Footing::plain(ground), plot: Plot::Faults, menu, faults }
}

/// With clocks that can be turned.
const fn clocked(scenario: Scenario) -> Scenario {
    Scenario { footing: Footing { clocked: true, ..scenario.footing }, ..scenario }
}

/// With the store on a small disk.
const fn on_a_small_disk(scenario: Scenario) -> Scenario {
    Scenario { footing: Footing { small_disk: true, ..scenario.footing }, ..scenario }
}

/// All of them.
pub const SCENARIOS: [Scenario; 15] = [
    on(Ground::Embedded, "crash", "kill -9 of the one node", 6, crash),
    on(Ground::Embedded, "freeze", "SIGSTOP of the one node past its leases, and SIGCONT", 2, freeze),
    on(
        Ground::Embedded,
        "gateway",
        "links to the gateways cut, stalled, dripping, reset, half-closed, shut",
        8,
        gateway,
    ),
    clocked(on(Ground::Embedded, "clock", "the node's wall clock steps both ways", 6, clock)),
    on_a_small_disk(on(Ground::Embedded, "disk", "the embedded store's disk is full", 3, disk)),
    on(Ground::Single, "kills", "kill -9 of API nodes, workers, Redis and PostgreSQL at random", 12, kills),
    on(Ground::Single, "rolling", "every node stopped in order and started again, one after the other", 5, rolling),
    on(Ground::Single, "links", "links to PostgreSQL, Redis and the gateways in every condition", 12, links),
    on(Ground::Single, "flush", "Redis emptied in mid-broadcast", 4, flush),
    on(Ground::Single, "redis-gone", "Redis gone for long", 1, redis_gone),
    on(
        Ground::Sentinel,
        "sentinel",
        "the master of Redis dies and Sentinel makes the replica the master",
        2,
        fail_over,
    ),
    on(Ground::Cluster, "redis-cluster", "one of three masters of a Redis Cluster is gone", 2, lose_master),
    Scenario {
        plot: Plot::Frozen,
        ..on(Ground::Single, "frozen", "a worker frozen past its lease and woken up", 1, freeze)
    },
    clocked(on(Ground::Single, "clocks", "the nodes' wall clocks step, each by itself", 8, clock)),
    on_a_small_disk(on(Ground::Single, "postgres-disk", "PostgreSQL's disk is full", 2, disk)),
];

const MILLI: fn(u64) -> Duration = Duration::from_millis;

fn crash(order: &mut Order<'_>) -> Option<Fault> {
    let node = order.one(&order.cast.workers())?;
    Some(Fault::Kill { node, away: order.time(Duration::ZERO, MILLI(500)) })
}

fn freeze(order: &mut Order<'_>) -> Option<Fault> {
    let node = order.one(&order.cast.workers())?;
    let lasting = order.time(order.lease + MILLI(500), order.lease + MILLI(2_000));
    Some(Fault::Freeze { node, lasting })
}

fn clock(order: &mut Order<'_>) -> Option<Fault> {
    let everyone = (0..order.cast.roles().len()).collect::<Vec<_>>();
    let node = order.one(&everyone)?;
    let minutes = order.draw.i64(1..30);
    let sign = if order.number.is_multiple_of(2) { 1 } else { -1 };
    let ahead = sign * (minutes * 60_000 + order.draw.i64(0..60_000));
    Some(Fault::Turn { node, ahead, lasting: order.time(MILLI(500), MILLI(2_000)) })
}

fn disk(order: &mut Order<'_>) -> Option<Fault> {
    Some(Fault::Fill { lasting: order.time(MILLI(500), MILLI(3_000)) })
}

fn kills(order: &mut Order<'_>) -> Option<Fault> {
    let away = order.time(Duration::ZERO, MILLI(1_000));
    Some(match order.draw.u32(0..100) {
        0..40 => Fault::Kill { node: order.one(&order.cast.workers())?, away },
        40..65 => Fault::Kill { node: order.one(&order.cast.doors())?, away },
        65..80 => Fault::KillQueue { away },
        _ => Fault::KillStore { away },
    })
}

/// Node after node, whatever is drawn: the seed decides the moments.
fn rolling(order: &mut Order<'_>) -> Option<Fault> {
    let nodes = order.cast.roles().len();
    (nodes > 0).then(|| Fault::Drain { node: order.number % nodes })
}

fn flush(_: &mut Order<'_>) -> Option<Fault> {
    Some(Fault::Flush)
}

fn redis_gone(order: &mut Order<'_>) -> Option<Fault> {
    Some(Fault::KillQueue { away: order.long })
}

fn fail_over(order: &mut Order<'_>) -> Option<Fault> {
    Some(Fault::FailOver { away: order.time(MILLI(500), MILLI(2_000)) })
}

fn lose_master(order: &mut Order<'_>) -> Option<Fault> {
    let which = order.draw.usize(0..3);
    Some(Fault::LoseMaster { which, away: order.time(MILLI(2_000), MILLI(4_000)) })
}

fn gateway(order: &mut Order<'_>) -> Option<Fault> {
    trouble(order, Which::Gateway)
}

fn links(order: &mut Order<'_>) -> Option<Fault> {
    let link = order.one(&[Which::Store, Which::Queue, Which::Gateway])?;
    trouble(order, link)
}

/// A link's trouble of any kind, for one node that uses it or for all.
fn trouble(order: &mut Order<'_>, link: Which) -> Option<Fault> {
    let users = match link {
        Which::Gateway => order.cast.workers(),
        Which::Store | Which::Queue => (0..order.cast.roles().len()).collect(),
    };
    let node = order.one(&users)?;
    let whom = if order.draw.bool() { Whom::Everyone } else { Whom::Node(node) };
    let lasting = order.time(MILLI(200), MILLI(2_500));
    let one_way = |up, down| Condition { entrance: Entrance::Open, up, down };
    let condition = match order.draw.u32(0..10) {
        0..4 => {
            let ends = [End::Reset, End::Cut, End::HalfClose(Direction::Up), End::HalfClose(Direction::Down)];
            return Some(Fault::End { link, whom, how: order.one(&ends)? });
        }
        4 => Condition::SHUT,
        5 => Condition::STALLED,
        6 => one_way(Flow::Stall, Flow::Pass),
        7 => one_way(Flow::Pass, Flow::Stall),
        _ => Condition::dripping(order.draw.usize(16..512), MILLI(order.draw.u64(1..10))),
    };
    Some(Fault::Trouble { link, whom, condition, lasting })
}
