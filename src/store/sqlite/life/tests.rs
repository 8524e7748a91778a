//! Plans of many steps: seqs are set far apart, so that a few thousand targets fill hundreds of chunks.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::super::engine::Precedence;
use super::super::{Mode, SqliteStore};
use crate::clock::ManualClock;
use crate::model::audience::{Audience, AudienceLimits};
use crate::model::broadcast::{BroadcastRequest, Content, Payloads, Wish};
use crate::model::id::{BroadcastId, HubId, HubName};
use crate::model::installation::{Installation, InstallationLimits};
use crate::model::outcome::{Outcome, Place};
use crate::model::platform::Platform;
use crate::model::shard::LeaseError;
use crate::model::time::Timestamp;
use crate::store::Retention;
use crate::store::life::plan::INLINE_TARGETS;
use crate::store::{
    Change, Checkpoint, Destination, Handover, Move, NewBroadcast, OutcomeQuery, PlanStep, Result, Store, Suspected,
    Work,
};

const START: Timestamp = Timestamp::from_millis(1_769_941_800_000);
const LENGTH: Duration = Duration::from_secs(30);

struct Bench {
    store: SqliteStore,
    hub: HubId,
    _directory: tempfile::TempDir,
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn put(value: Value) -> Change {
    let text = value.to_string();
    Change::Put(Box::new(Installation::parse(text.as_bytes(), None, &InstallationLimits::default()).unwrap()))
}

/// The `n`th device with the handle `channel`.
fn device(n: u64, channel: u64) -> Change {
    put(json!({"installationId": format!("dev-{n}"), "platform": "apns", "pushChannel": format!("{channel:064x}"),
               "tags": ["all"]}))
}

impl Bench {
    /// More devices in the first chunk than an inline plan holds.
    fn with(clock: Arc<ManualClock>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fanfare.db");
        let store = SqliteStore::open(&file, Mode::Inline, clock, Retention::default()).unwrap();
        let hub = wait(store.put_hub(&HubName::parse("demo").unwrap(), Vec::new())).unwrap().id;
        wait(store.apply(hub, (0..=INLINE_TARGETS).map(|n| device(n, n)).collect())).unwrap();
        Self { store, hub, _directory: directory }
    }

    /// One device in each of so many chunks after a first one that holds more than an inline plan. Those in `twins` have
    /// the handle of device 0.
    fn spread(chunks: u64, twins: &[u64]) -> Self {
        let bench = Self::with(ManualClock::starting_at(START));
        let hub = bench.hub;
        for chunk in 1..chunks {
            bench.write(move |tx| {
                tx.execute("UPDATE hub SET next_seq = ?", [i64::try_from(chunk << 14).unwrap()])?;
                Ok(())
            });
            let n = 10_000 + chunk;
            let handle = if twins.contains(&chunk) { 0 } else { n };
            wait(bench.store.apply(hub, vec![device(n, handle)])).unwrap();
        }
        bench
    }

    fn write(&self, body: impl FnMut(&Connection) -> Result<()> + Send + 'static) {
        wait(self.store.parts.engine.write(Precedence::Checkpoint, 1, body)).unwrap();
    }

    fn accept(&self) -> BroadcastId {
        let request = BroadcastRequest {
            audience: "all".to_owned(),
            ttl_seconds: 3_600,
            ..BroadcastRequest::everyday(Content::Payloads(Payloads::from([("apns".to_owned(), "{}".to_owned())])))
        };
        let audience = Audience::parse(&request.audience, &AudienceLimits::default()).unwrap();
        let new = NewBroadcast { hub: self.hub, request, audience, idempotency: None, sample: None };
        wait(self.store.accept(new)).unwrap().id
    }

    /// Plans that many steps.
    fn steps(&self, id: BroadcastId, steps: usize) -> Vec<PlanStep> {
        let epoch = wait(self.store.lease_plan(id, LENGTH)).unwrap().unwrap();
        (0..steps).map(|_| wait(self.store.plan_step(id, epoch, LENGTH)).unwrap().unwrap()).collect()
    }

    /// Ends every shard that can be taken.
    fn run(&self, id: BroadcastId, outcome: Outcome) -> usize {
        let ready = wait(self.store.ready(Some(id), Duration::ZERO, 1_000)).unwrap();
        let shards = ready.into_iter().filter_map(|ready| match ready.work {
            Work::Run(shard, _) => Some(shard),
            Work::Plan(_) => None,
        });
        shards
            .map(|shard| {
                let work = wait(self.store.lease(shard, LENGTH, Suspected::Take)).unwrap().unwrap();
                let to = Destination::Done { outcome, reason: None };
                let moves = work.chunks.into_iter().map(|chunk| Move {
                    chunk: chunk.chunk,
                    from: Place::Pending,
                    to: to.clone(),
                    set: chunk.pending,
                });
                let checkpoint = Checkpoint { moves: moves.collect(), then: Handover::Close, ..Checkpoint::default() };
                wait(self.store.checkpoint(shard, work.epoch, checkpoint)).unwrap().unwrap();
            })
            .count()
    }

    fn assert_conserved(&self) {
        assert!(wait(self.store.conservation()).unwrap().values().all(|difference| *difference == 0));
    }
}

#[test]
fn a_plan_streams_and_its_first_shards_run_meanwhile() {
    let bench = Bench::spread(150, &[]);
    let id = bench.accept();
    let first = &bench.steps(id, 1)[0];
    assert_eq!((first.done, first.targeted), (false, INLINE_TARGETS + 1 + 63));
    assert_eq!(bench.run(id, Outcome::Delivered), 1);
    let broadcast = wait(bench.store.broadcast(bench.hub, id)).unwrap().unwrap();
    assert_eq!((broadcast.times.planned, broadcast.times.finished), (None, None), "more is to come");
    bench.assert_conserved();
    // Registered after the plan began: a higher seq than it covers.
    wait(bench.store.apply(bench.hub, vec![device(99_999, 99_999)])).unwrap();
    bench.write(|tx| {
        tx.execute("UPDATE broadcast SET plan_state = 0, plan_time = 0", [])?;
        Ok(())
    });
    let rest = bench.steps(id, 2);
    assert_eq!(rest.iter().map(|step| (step.done, step.targeted)).collect::<Vec<_>>(), [(false, 64), (true, 22)]);
    assert_eq!(bench.run(id, Outcome::Delivered), 2);
    let broadcast = wait(bench.store.broadcast(bench.hub, id)).unwrap().unwrap();
    assert!(broadcast.times.finished.is_some());
    assert_eq!(broadcast.counters().delivered, INLINE_TARGETS + 1 + 149);
    bench.assert_conserved();
}

#[test]
fn a_cancel_between_steps_ends_the_plan_at_the_chunk_reached() {
    let bench = Bench::spread(150, &[]);
    let id = bench.accept();
    let epoch = wait(bench.store.lease_plan(id, LENGTH)).unwrap().unwrap();
    wait(bench.store.plan_step(id, epoch, LENGTH)).unwrap().unwrap();
    wait(bench.store.wish(bench.hub, id, Wish::Cancel)).unwrap();
    let step = wait(bench.store.plan_step(id, epoch, LENGTH)).unwrap().unwrap();
    assert_eq!((step.done, step.targeted), (true, 0));
    let broadcast = wait(bench.store.broadcast(bench.hub, id)).unwrap().unwrap();
    assert!(broadcast.times.planned.is_some() && broadcast.times.finished.is_none());
    bench.run(id, Outcome::Cancelled);
    let broadcast = wait(bench.store.broadcast(bench.hub, id)).unwrap().unwrap();
    assert!(broadcast.times.finished.is_some());
    assert_eq!(broadcast.counters().cancelled, INLINE_TARGETS + 1 + 63);
}

#[test]
fn a_twin_of_an_earlier_step_is_found() {
    let bench = Bench::spread(150, &[10, 100, 140]);
    let id = bench.accept();
    let steps = bench.steps(id, 3);
    assert!(steps[2].done);
    assert_eq!(steps.iter().map(|step| step.duplicates.values().sum::<u64>()).collect::<Vec<_>>(), [1, 1, 1]);
    let outcome = Some(Some(Outcome::Skipped));
    let query = OutcomeQuery { outcome, limit: 100, ..OutcomeQuery::default() };
    let page = wait(bench.store.outcomes(bench.hub, id, query)).unwrap().unwrap();
    assert_eq!(page.items.iter().map(|item| item.seq.chunk().0).collect::<Vec<_>>(), [10, 100, 140]);
    bench.assert_conserved();
}

#[test]
fn an_audience_that_cannot_be_read_any_more_fails_the_broadcast() {
    let bench = Bench::spread(1, &[]);
    let id = bench.accept();
    bench.write(|tx| {
        let request: Vec<u8> = tx.query_row("SELECT request FROM broadcast_request", [], |row| row.get(0))?;
        let broken = String::from_utf8(request).unwrap().replace(r#""audience":"all""#, r#""audience":"all &&""#);
        tx.execute("UPDATE broadcast_request SET request = ?", [broken.into_bytes()])?;
        Ok(())
    });
    assert!(bench.steps(id, 1)[0].done);
    let broadcast = wait(bench.store.broadcast(bench.hub, id)).unwrap().unwrap();
    assert!(broadcast.times.finished.is_some() && broadcast.failure.unwrap().contains("audience"));
    assert_eq!(wait(bench.store.ready(None, LENGTH, 9)).unwrap(), []);
}

#[test]
fn retention_leaves_no_row_behind() {
    let clock = ManualClock::starting_at(START);
    let bench = Bench::with(clock.clone());
    let id = bench.accept();
    bench.steps(id, 1);
    bench.run(id, Outcome::Rejected);
    clock.advance(Duration::from_secs(31 * 86_400));
    while wait(bench.store.sweep()).unwrap() {}
    for table in ["broadcast", "broadcast_request", "shard", "outcome_chunk", "reason", "purge"] {
        bench.write(move |tx| {
            let rows: i64 = tx.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
            assert_eq!(rows, 0, "{table}");
            Ok(())
        });
    }
}

#[test]
fn setting_the_clock_neither_ends_nor_prolongs_a_lease() {
    let clock = ManualClock::starting_at(START);
    let bench = Bench::with(clock.clone());
    let id = bench.accept();
    bench.steps(id, 1);
    let ready = || wait(bench.store.ready(Some(id), Duration::ZERO, 9)).unwrap();
    let Work::Run(shard, _) = ready()[0].work else { unreachable!("it is planned") };
    let lease = || wait(bench.store.lease(shard, LENGTH, Suspected::Leave)).unwrap();
    let held = lease().unwrap();
    for step in [60_000, -3_600_000] {
        clock.set_wall(step);
        assert_eq!(ready(), [], "after a step of {step} ms");
        assert_eq!(lease().unwrap_err(), LeaseError::Held { until: START.plus(LENGTH) });
        let keep = Checkpoint { then: Handover::Keep { length: LENGTH }, ..Checkpoint::default() };
        wait(bench.store.checkpoint(shard, held.epoch, keep)).unwrap().unwrap();
    }
    clock.advance(LENGTH);
    assert!(ready().iter().any(|work| work.work == Work::Run(shard, Platform::Apns)));
    let next = lease().unwrap();
    assert!(next.epoch > held.epoch && next.strikes == 1);
}

#[test]
fn a_file_of_the_first_version_is_brought_up_to_date_with_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fanfare.db");
    let before = Connection::open(&file).unwrap();
    before.execute_batch(include_str!("../schema.sql")).unwrap();
    before.pragma_update(None, "user_version", 1).unwrap();
    before.execute("INSERT INTO shard VALUES (x'01', 7, 0, 2, 3, 0, 5, 9, 0, 1, x'')", []).unwrap();
    drop(before);
    let clock = ManualClock::starting_at(START);
    drop(SqliteStore::open(&file, Mode::Inline, clock, Retention::default()).unwrap());
    let after = Connection::open(&file).unwrap();
    let version: i64 = after.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, crate::store::sqlite::SCHEMA_VERSION);
    for added in ["job", "data_table", "auth_code", "auth_tokens", "auth_revoked"] {
        let rows: u32 = after.query_row(&format!("SELECT count(*) FROM {added}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{added}");
    }
    let sql = "SELECT shard, strikes, narrow_first IS NULL AND narrow_to IS NULL AND narrow_last IS NULL FROM shard";
    let row: (u32, u32, bool) = after.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(row, (7, 1, true));
}
