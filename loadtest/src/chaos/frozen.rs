//! A worker that sleeps through its lease: its pushes go to an APNs of its own, so that each request is known to be its.
//!
//! It is stopped (SIGSTOP) with requests written and requests that wait for a stream, behind a link that moves nothing.
//! While it sleeps the link is healed: what it had written is judged and booked, and cannot be told from what it would write
//! later otherwise. Only then the other workers begin, and take its work over.
//!
//! Twice: once it is woken when the broadcast is over, so that anything it sends or records is wrong; once while others
//! still send, which the oracle judges.
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::{Instant, sleep};

use super::{
    drum::Acknowledged,
    field::Field,
    letter::Letter,
    link::{
        flow::{Condition, Whom},
        owner::NodeNo,
    },
    run::{Options, conclude, over, send},
    timeline::Timeline,
    verdict::Verdict,
};
use crate::{gateways::Simulated, service::Service};

/// Streams of one of its connections: far fewer than the targets that it holds, so that most of them wait.
const STREAMS: u32 = 40;
/// Requests that it has sent when it is stopped.
const BEGUN: u64 = 120;
/// Nothing new for so long means that nothing is under way.
const QUIET: Duration = Duration::from_millis(600);
/// For so long it could do something wrong after it was woken: several times as long as anything there waits.
const AWAKE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(20);

pub(super) async fn play(
    options: &Options,
    field: &mut Field,
    timeline: &Timeline,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    let workers = field.cast.workers();
    ensure!(workers.len() > 1, "a second worker must be there to take over");
    let sleeper = *workers.first().context("nobody sends")?;
    field.separate(sleeper, STREAMS).await?;
    let first = woken_too_late(sleeper, options, field, timeline, verdict).await?;
    let second = woken_meanwhile(sleeper, options, field, timeline).await?;
    verdict.faults = 2;
    verdict.allowed = 2 * field.cast.credit();
    field.all_ready().await?;
    let none = Acknowledged { from: options.targets, to: options.targets, letters: vec![first] };
    conclude(options, field, timeline, verdict, (second, none)).await
}

/// Requests at its own gateway.
fn sent(field: &Field) -> u64 {
    field.twin.as_ref().map_or(0, |twin| twin.receipts().len())
}

/// Stops it in the midst of its work. Returns how many requests of its arrived.
async fn freeze(sleeper: NodeNo, options: &Options, field: &Field, timeline: &Timeline) -> anyhow::Result<u64> {
    let before = sent(field);
    let twin = field.twin.as_ref().context("it has no gateway of its own")?;
    let begun = tokio::time::timeout(options.within, twin.receipts().wait_for(before + BEGUN)).await;
    begun.with_context(|| format!("{} sends nothing\n{}", field.cast.name(sleeper), field.logs()))?;
    let name = field.cast.name(sleeper);
    field.apns.set(Whom::Node(sleeper), Condition::STALLED);
    sleep(QUIET).await;
    let node = field.node(sleeper)?;
    let shards = held(node).await?;
    ensure!(shards > 0.0, "{name} holds no shard, so this proves nothing");
    // Healed too early, the link would let it go on in the moment of the stop.
    node.freeze().await;
    let (at_gateway, handed) = (sent(field) - before, shards * f64::from(options.tuning.checkpoint_every));
    timeline.say(format_args!(
        "{name} stopped behind a stalled link with {shards} shards of {handed} requests under way, {at_gateway} of them at \
         the gateway"
    ));
    // Fewer would mean that nothing was left for it to do wrong.
    ensure!((at_gateway as f64) < handed, "{name} has written all that it was given, so this proves nothing");
    field.apns.heal();
    let (mut last, mut since) = (sent(field), Instant::now());
    while since.elapsed() < QUIET {
        sleep(LOOK).await;
        if sent(field) != last {
            (last, since) = (sent(field), Instant::now());
        }
    }
    timeline.say(format_args!("its link is healed: {} requests, all that it had written", last - before));
    Ok(last)
}

/// Ends the other workers, so that the sleeper alone takes what comes.
async fn alone(sleeper: NodeNo, field: &Field) -> anyhow::Result<()> {
    for worker in field.cast.workers().into_iter().filter(|worker| *worker != sleeper) {
        let ended = field.node(worker)?.terminate().await;
        ensure!(ended.is_some_and(|status| status.success()), "{} did not end well", field.cast.name(worker));
    }
    Ok(())
}

/// Starts them again.
async fn others(sleeper: NodeNo, field: &mut Field) -> anyhow::Result<()> {
    for worker in field.cast.workers().into_iter().filter(|worker| *worker != sleeper) {
        field.start_again(worker).await?;
    }
    Ok(())
}

/// Shards that it holds.
async fn held(node: &Service) -> anyhow::Result<f64> {
    Ok(node.api.metrics().await?.sum("fanfare_shards_held").unwrap_or(0.0))
}

/// Rows that say who was served; of one broadcast, the newest.
fn books(field: &Field) -> anyhow::Result<String> {
    let postgres = field.ground.postgres.as_ref().context("there is no PostgreSQL here")?;
    let digest = |table: &str| {
        let sql = format!("SELECT coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') FROM {table} t");
        postgres.psql("fanfare", &sql)
    };
    Ok([digest("shard")?, digest("outcome_chunk")?, digest("reason")?].join(" "))
}

async fn woken_too_late(
    sleeper: NodeNo,
    options: &Options,
    field: &mut Field,
    timeline: &Timeline,
    verdict: &mut Verdict,
) -> anyhow::Result<(String, Letter)> {
    alone(sleeper, field).await?;
    let (id, letter) = send(field, "Slept through", timeline).await?;
    let written = freeze(sleeper, options, field, timeline).await?;
    others(sleeper, field).await?;
    let node = field.node(sleeper)?;
    let doors = field.doors()?;
    let before = over(&doors, &id, options.within).await.with_context(|| field.logs())?;
    let rows = books(field)?;
    timeline.say("the broadcast is over without it; it is woken up");
    node.wake();
    node.ready().await?;
    sleep(AWAKE).await;
    let (later, shards) = (sent(field) - written, held(node).await?);
    let after = over(&doors, &id, options.within).await?;
    timeline.say(format_args!("{later} requests since, {shards} shards held"));
    let mut expect = |holds: bool, breach: String| {
        if !holds {
            verdict.breaches.push(breach);
        }
    };
    expect(later == 0, format!("the woken worker sent {later} requests after its lease"));
    expect(shards == 0.0, format!("the woken worker still holds {shards} shards"));
    expect(before.counters == after.counters, format!("counters {:?} became {:?}", before.counters, after.counters));
    expect(rows == books(field)?, "the woken worker changed rows of a broadcast that is over".to_owned());
    Ok((id, letter))
}

async fn woken_meanwhile(
    sleeper: NodeNo,
    options: &Options,
    field: &mut Field,
    timeline: &Timeline,
) -> anyhow::Result<(String, Letter)> {
    alone(sleeper, field).await?;
    let sending = send(field, "Woken meanwhile", timeline).await?;
    freeze(sleeper, options, field, timeline).await?;
    others(sleeper, field).await?;
    sleep(Duration::from_secs(u64::from(options.tuning.lease_seconds)) + QUIET).await;
    timeline.say("its lease has run out; it is woken up");
    field.node(sleeper)?.wake();
    Ok(sending)
}
