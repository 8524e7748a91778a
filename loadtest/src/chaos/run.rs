//! A scenario from its first server to its verdict.
use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use super::{
    cast::Cast,
    drum::{self, Acknowledged},
    fault::Fault,
    field::{Door, Field, Layout},
    frozen,
    letter::{Delivered, Letter, bodies},
    scenario::{Ground, Plot, Scenario},
    schedule,
    timeline::Timeline,
    verdict::Verdict,
    watch,
};
use crate::{
    client::Standing,
    devices::Mix,
    figures::grouped,
    gateways::Receipts,
    oracle::Oracle,
    service::Tuning,
    stage::{broadcast::reach, gateway},
};

/// Devices of one chunk, the least that two nodes share.
const CHUNK: u64 = 16_384;
/// The longest that a gateway takes to answer in order to make a small broadcast last.
const LONGEST_LATENCY: Duration = Duration::from_millis(1_500);
/// Streams of one connection to APNs.
const STREAMS: u32 = 1_000;
/// Checkpoints of PostgreSQL that are answered and not yet written: three times `wal_writer_delay`, and some slack.
const UNSYNCED: Duration = Duration::from_millis(1_000);
const LOOK: Duration = Duration::from_millis(50);
/// A look that has no answer by then is made elsewhere.
const PATIENCE: Duration = Duration::from_secs(5);
/// What Redis may hold at the end beyond what it held before: connections come and go.
const GROWTH: i64 = 128 << 10;

/// What every scenario of a run is told.
#[derive(Clone, Debug)]
pub struct Options {
    pub targets: u64,
    /// Instead of the scenario's own number.
    pub faults: Option<usize>,
    pub seed: u64,
    pub api: usize,
    pub workers: usize,
    pub tuning: Tuning,
    pub mix: Mix,
    /// How long the broadcast should take without faults, about.
    pub span: Duration,
    /// How long what is gone for long is gone.
    pub long: Duration,
    /// How long it may take until everything is over after the last fault.
    pub within: Duration,
    pub dir: Option<PathBuf>,
    pub keep: bool,
}

impl Options {
    fn cast(&self, ground: Ground) -> Cast {
        let gateways = self.mix.platforms().len() as u64;
        let credit = u64::from(self.tuning.shards_in_flight) * u64::from(self.tuning.checkpoint_every) * gateways;
        match ground {
            Ground::Embedded => Cast::alone(credit),
            _ => Cast::of(self.api, self.workers, credit),
        }
    }

    /// So long that the broadcast takes the wanted time with everything in flight that may be.
    fn latency(&self, cast: &Cast) -> Duration {
        let streams = u64::from(self.tuning.connections) * u64::from(STREAMS);
        let nodes = cast.senders() as u64 * cast.credit().min(streams);
        let shards = self.targets.div_ceil(CHUNK) * u64::from(self.tuning.checkpoint_every);
        let in_flight = nodes.min(shards) as f64;
        self.span.mul_f64(in_flight / self.targets.max(1) as f64).min(LONGEST_LATENCY)
    }

    fn layout(&self, cast: Cast) -> Layout {
        Layout {
            cast,
            latency: Duration::ZERO,
            tuning: self.tuning.clone(),
            mix: self.mix,
            seed: self.seed,
            streams: STREAMS,
            direct: false,
            dir: self.dir.clone(),
            keep: self.keep,
        }
    }
}

/// # Errors
/// When the run cannot be made; what goes wrong in it is in the verdict.
pub async fn play(scenario: &Scenario, options: &Options) -> anyhow::Result<Verdict> {
    let timeline = Timeline::begin(scenario.name);
    timeline.say(format_args!("{} (seed {})", scenario.about, options.seed));
    let layout = options.layout(options.cast(scenario.footing.ground));
    let mut field = Field::set_up(scenario.footing, layout).await?;
    let names: Vec<_> = (0..field.nodes.len()).map(|node| field.cast.name(node)).collect();
    timeline.say(format_args!("{} ready", names.join(", ")));
    field.import(options.targets).await?;
    timeline.say(format_args!("{} devices registered", grouped(options.targets)));
    // Once while all is well: what the servers keep for good is there then, and everybody knows the gateways.
    let doors = field.doors()?;
    let (id, _) = send(&field, "Before", &timeline).await?;
    over(&doors, &id, options.within).await.with_context(|| field.logs())?;
    field.forget();
    field.answer_after(options.latency(&field.cast));
    let mut verdict = Verdict { scenario: scenario.name, seed: options.seed, ..Verdict::default() };
    match scenario.plot {
        Plot::Faults => faults(scenario, options, &mut field, &timeline, &mut verdict).await?,
        Plot::Frozen => frozen::play(options, &mut field, &timeline, &mut verdict).await?,
    }
    field.strike().await?;
    verdict.seconds = timeline.elapsed().as_secs_f64();
    Ok(verdict)
}

async fn faults(
    scenario: &Scenario,
    options: &Options,
    field: &mut Field,
    timeline: &Timeline,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    let lease = Duration::from_secs(u64::from(options.tuning.lease_seconds));
    let count = options.faults.unwrap_or(scenario.faults);
    let events = schedule::draw(options.seed, count, options.targets, scenario.menu, &field.cast, lease, options.long);
    let memory = field.ground.messenger.memory()?;
    let everyone = send(field, "Everyone", timeline).await?;

    let stop = CancellationToken::new();
    // Whatever ends this, what goes on beside it ends too.
    let _ends = stop.clone().drop_guard();
    let drum = drum::beat(field.doors()?, field.devices, options.targets, options.seed, stop.clone());
    let drum = tokio::spawn(drum);
    let watched = tokio::spawn(watch::conservation(field.everybody()?, timeline.clone(), stop.clone()));

    for event in &events {
        let reached = tokio::time::timeout(options.within, reach(&field.fleet, Some(event.at))).await;
        if reached.is_err() {
            let so_far = received(field);
            bail!("after {so_far} requests nothing more came for {:?}\n{}", options.within, field.logs());
        }
        timeline.say(format_args!("after {} requests", grouped(received(field))));
        verdict.allowed += allowed(&event.fault, field);
        field.inflict(&event.fault, timeline).await?;
        verdict.faults += 1;
    }
    field.heal();
    field.all_ready().await?;
    timeline.say("the last fault is over, and every node is ready");
    stop.cancel();
    let acknowledged = drum.await?.with_context(|| field.logs())?;
    let watched = watched.await?;
    verdict.looks = watched.looks;
    verdict.breaches.extend(watched.breaches);
    conclude(options, field, timeline, verdict, (everyone, acknowledged)).await?;
    if let Some(memory) = memory {
        judge_memory(field, memory, verdict).await?;
    }
    Ok(())
}

/// Requests that the gateways have seen.
pub(super) fn received(field: &Field) -> u64 {
    field.books().into_iter().map(|(_, receipts)| receipts.len()).sum()
}

fn allowed(fault: &Fault, field: &Field) -> u64 {
    let unsynced = || field.books().into_iter().map(|(_, receipts)| recent(receipts, UNSYNCED)).sum();
    let lost = if fault.loses_checkpoints() { unsynced() } else { 0 };
    fault.repeats(&field.cast) + lost
}

/// Receipts of the last so much time.
fn recent(receipts: &Receipts, within: Duration) -> u64 {
    let at = |order: u64| receipts.page(order, 1).first().map_or(0, |receipt| receipt.at_ms);
    let count = receipts.len();
    let from = at(count.saturating_sub(1)).saturating_sub(u32::try_from(within.as_millis()).unwrap_or(u32::MAX));
    // They are in the order of their times.
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if at(middle) < from { low = middle + 1 } else { high = middle }
    }
    count - low
}

/// Sends to everyone through the first door.
pub(super) async fn send(field: &Field, title: &str, timeline: &Timeline) -> anyhow::Result<(String, Letter)> {
    let letter = Letter::new(title, "all");
    let doors = field.doors()?;
    let door = doors.first().context("nobody takes requests")?;
    let id = door.api.broadcast(&letter.request(&field.platforms()), &letter.key).await?;
    timeline.say(format_args!("broadcast `{title}` accepted: {id}"));
    Ok((id, letter))
}

/// After the last fault: everything acknowledged comes to its end, one more broadcast reaches everyone who registered, and
/// all of it is judged.
pub(super) async fn conclude(
    options: &Options,
    field: &mut Field,
    timeline: &Timeline,
    verdict: &mut Verdict,
    (everyone, acknowledged): ((String, Letter), Acknowledged),
) -> anyhow::Result<()> {
    let doors = field.doors()?;
    let mut during = Vec::new();
    for (id, letter) in std::iter::once(everyone).chain(acknowledged.letters) {
        let standing = over(&doors, &id, options.within).await.with_context(|| field.logs())?;
        during.push(Delivered { letter, standing });
    }
    let broadcasts = during.len();
    timeline.say(format_args!("{broadcasts} broadcasts are over"));
    field.answer_after(Duration::ZERO);
    verdict.registered = acknowledged.to - acknowledged.from;
    let population = options.targets + verdict.registered;
    for door in &doors {
        let count = door.api.count("all").await?.count;
        if count != population {
            verdict.breaches.push(format!("{} counts {count} devices, registered are {population}", door.name));
        }
    }
    let (id, letter) = send(field, "After", timeline).await?;
    let standing = over(&doors, &id, options.within).await.with_context(|| field.logs())?;
    let after = Delivered { letter, standing };

    let platforms = field.platforms();
    let mut all = bodies(&during, &platforms);
    all.extend(bodies(std::slice::from_ref(&after), &platforms));
    // Who registered meanwhile may have been in time for a broadcast or not.
    let mut oracle = Oracle::new(field.devices, population);
    oracle.excuse(options.targets..population);
    let mut latest = Oracle::new(field.devices, population);
    for one in during.iter().chain([&after]) {
        let oracle = if one.letter.key == after.letter.key { &mut latest } else { &mut oracle };
        let judgement = one.judge(oracle, field.devices, &field.books(), &all)?;
        verdict.breaches.extend(one.breaches(&judgement, oracle.excused()));
        verdict.total += &judgement.total;
        verdict.broadcasts += 1;
    }
    if verdict.total.extra > verdict.allowed {
        let breach = format!("{} repeats, where the faults allow {}", verdict.total.extra, verdict.allowed);
        verdict.breaches.push(breach);
    }
    for node in field.everybody()? {
        match watch::difference(&node).await {
            Some(0.0) => {}
            other => verdict.breaches.push(format!("{}: conservation difference {other:?} at the end", node.name)),
        }
    }
    for platform in platforms {
        let violations = gateway(&field.fleet, platform).counts().violations;
        if violations.any() {
            verdict.breaches.push(format!("the gateway of {platform} was spoken to wrongly: {violations:?}"));
        }
    }
    Ok(())
}

/// Returns the broadcast's end, asking one door after the other.
pub async fn over(doors: &[Door], id: &str, within: Duration) -> anyhow::Result<Standing> {
    let mut last = None;
    let looking = async {
        for door in doors.iter().cycle() {
            if let Ok(Ok(standing)) = tokio::time::timeout(PATIENCE, door.api.standing(id)).await {
                if standing.finished_at.is_some() {
                    return Some(standing);
                }
                last = Some(standing);
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    };
    let ended = tokio::time::timeout(within, looking).await;
    ended.ok().flatten().with_context(|| format!("broadcast {id} is not over after {within:?}: {last:?}"))
}

/// Nothing that a broadcast put into Redis stays there.
async fn judge_memory(field: &Field, before: u64, verdict: &mut Verdict) -> anyhow::Result<()> {
    let growth = |now: u64| i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(0);
    let mut grown = i64::MAX;
    // What is trimmed now and then is given its time.
    for _ in 0..100 {
        grown = growth(field.ground.messenger.memory()?.context("Redis is gone")?);
        if grown <= GROWTH {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    verdict.grown = Some(grown);
    if grown > GROWTH {
        verdict.breaches.push(format!("Redis holds {grown} bytes more than before"));
    }
    Ok(())
}
