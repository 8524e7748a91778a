//! One registry commit of one hub, inside a transaction.
//!
//! It begins with the lock on the hub's counters, which is the writer's turn: numbers of commits, seqs and arrivals are
//! drawn in the order of the commits, so what a plan notes of them (`plan_bound`, `user_bound`) is exact, and whoever
//! looks for targets with the same channel sees all of them. Nodes therefore draw seqs here and lease none in advance:
//! a lease would leave gaps that a plan could not tell from targets to come. What is lost by the lock is made up for by
//! grouping ([`super::groups`]).

use std::sync::Arc;

use deadpool_postgres::Transaction;

use super::super::error::Done;
use super::super::pool::{execute, query_opt};
use super::super::time::{NOW, Time};
use super::base::{Base, Needs};
use super::working_set::WorkingSet;
use super::{Shared, flush, load, templates};
use crate::model::id::{CommitNo, HubId};
use crate::model::time::Timestamp;
use crate::store::index::{Delta, Touches};
use crate::store::registration::{Gathered, HubCommit};
use crate::store::{Result, StoreError};

/// The hub's counters, locked until the end of the transaction.
pub(super) struct Turn {
    pub(super) hub: HubId,
    next_seq: u64,
    next_no: u64,
    last: CommitNo,
    pub(super) now: Timestamp,
}

/// Waits for the hub's turn. `NoHub` when it does not exist. Says that this transaction knows of templates
/// (`templates.sql`).
pub(super) async fn turn(tx: &Transaction<'_>, time: &Time, hub: HubId) -> Done<Turn> {
    let sql = format!(
        "SELECT next_seq, next_no, commit_no, {NOW}, set_config('fanfare.templates', 'known', true) \
         FROM hub_counter WHERE hub = $1 FOR UPDATE"
    );
    let row = query_opt(tx, &sql, &[&hub.0.cast_signed()]).await?.ok_or(StoreError::NoHub)?;
    let number = |column| -> Done<u64> { Ok(row.try_get::<_, i64>(column)?.cast_unsigned()) };
    let now = match time {
        Time::Given(clock) => clock.now(),
        Time::Database => Timestamp::from_millis(row.try_get(3)?),
    };
    Ok(Turn { hub, next_seq: number(0)?, next_no: number(1)?, last: CommitNo(number(2)?), now })
}

/// Rows that a commit wrote and that wait to be folded.
pub(super) struct Written {
    hub: HubId,
    number: CommitNo,
    delta: Option<Delta>,
    touches: Option<Touches>,
}

impl Written {
    /// The commit stands: whoever reads next need not fetch them.
    pub(super) fn keep(self, registry: &Shared) {
        if let Some(delta) = self.delta {
            registry.deltas.insert(self.hub, self.number, Arc::new(delta));
        }
        if let Some(touches) = self.touches {
            registry.touches.insert(self.hub, self.number, Arc::new(touches));
        }
    }
}

/// Runs the rules and writes what they changed. `needs` is what they will ask for, as far as that is known.
pub(super) async fn run<T>(
    tx: &Transaction<'_>,
    registry: &Shared,
    turn: &Turn,
    needs: Needs,
    mut rules: impl FnMut(&mut WorkingSet<'_>, &mut HubCommit, Timestamp) -> Result<T>,
) -> Done<(T, Option<Written>)> {
    let mut base = Base::default();
    let mut needs = needs;
    loop {
        load::load(tx, registry, turn.hub, &mut base, needs).await?;
        let mut set = WorkingSet::new(&base);
        let mut commit = HubCommit::begin(turn.hub, turn.next_seq, turn.next_no, turn.last, registry.live_tags.clone());
        let made = rules(&mut set, &mut commit, turn.now);
        if set.missing.is_empty() {
            let made = made?;
            let written = write(tx, &set, commit).await?;
            return Ok((made, written));
        }
        needs = set.missing;
    }
}

async fn write(tx: &Transaction<'_>, set: &WorkingSet<'_>, commit: HubCommit) -> Done<Option<Written>> {
    let hub = commit.hub;
    let gathered = commit.gathered();
    // Sent one behind the other, without waiting for each.
    let kept = templates::keep(tx, hub, &set.templates);
    let (_, _, written) = futures_util::try_join!(kept, flush::flush(tx, set), numbers(tx, gathered))?;
    Ok(written)
}

async fn numbers(tx: &Transaction<'_>, gathered: Option<Gathered>) -> Done<Option<Written>> {
    let Some(Gathered { hub, number, next_seq, next_no, changes, touches }) = gathered else { return Ok(None) };
    let (id, no) = (hub.0.cast_signed(), number.0.cast_signed());
    let (touches, touch_bytes) = touches.unzip();
    let delta = async {
        if let Some(bytes) = &changes {
            let sql = "INSERT INTO index_delta (hub, number, changes) VALUES ($1, $2, $3)";
            execute(tx, sql, &[&id, &no, bytes]).await?;
        }
        Ok(())
    };
    let touch = async {
        if let Some(bytes) = &touch_bytes {
            execute(tx, "INSERT INTO touch (hub, number, touches) VALUES ($1, $2, $3)", &[&id, &no, bytes]).await?;
        }
        Ok(())
    };
    let counters = async {
        let sql = "UPDATE hub_counter SET next_seq = $2, next_no = $3, commit_no = $4 WHERE hub = $1";
        execute(tx, sql, &[&id, &next_seq.cast_signed(), &next_no.cast_signed(), &no]).await
    };
    futures_util::try_join!(delta, touch, counters)?;
    let delta = changes.map(Delta::decode).transpose()?;
    Ok(Some(Written { hub, number, delta, touches }))
}
