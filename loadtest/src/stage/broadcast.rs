//! One broadcast: sent, watched to its end, judged, and what it cost.
use std::{collections::BTreeMap, pin::pin, time::Duration};

use anyhow::{Context, bail, ensure};
use futures_util::future::select_all;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior};

use super::{
    Stage, gateway,
    kills::{Moment, repeats_allowed},
    message::Message,
    outcome::{Kill, Leg, Outcome, faults},
};
use crate::{
    client::Standing,
    devices::Platform,
    figures::{micros_each, per_second},
    gateways::{Fleet, Receipts},
    oracle::{Evidence, Predicate},
    progress::Progress,
};

/// Between two looks at the broadcast: each costs the service a read.
const LOOK: Duration = Duration::from_millis(100);
/// When the gateways have seen as many requests as the awaited platforms owe devices, the end is near.
const LOOK_AT_THE_END: Duration = Duration::from_millis(10);

/// What to send.
#[derive(Clone, Debug)]
pub struct Order {
    pub audience: String,
    pub title: String,
    /// Those that it has a payload for.
    pub platforms: Vec<Platform>,
    /// It is over for the run when none of these has a pending target; what is left is cancelled then, and not judged.
    pub awaited: Vec<Platform>,
    /// 0 = as fast as it goes.
    pub rate_per_second: u64,
    pub kills: Vec<Moment>,
    /// How long it may take, restarts included.
    pub within: Duration,
    /// A gateway has a script, so its answers need not all be deliveries.
    pub scripted: bool,
}

impl Order {
    /// As fast as it goes, all awaited, within ten minutes.
    pub fn new(audience: &str, title: &str, platforms: &[Platform]) -> Self {
        Self {
            audience: audience.to_owned(),
            title: title.to_owned(),
            platforms: platforms.to_vec(),
            awaited: platforms.to_vec(),
            rate_per_second: 0,
            kills: Vec::new(),
            within: Duration::from_mins(10),
            scripted: false,
        }
    }
}

/// What watching found.
struct Watched {
    /// At the end, after a cancel.
    standing: Standing,
    kills: Vec<Kill>,
    /// From the request until nothing was pending.
    ended: BTreeMap<Platform, Duration>,
    /// CPU of the service until the awaited platforms had ended.
    cpu: Duration,
    cancelled: bool,
}

impl Stage {
    /// Sends a broadcast and judges it. The gateways' books hold this broadcast alone afterwards.
    ///
    /// # Errors
    /// When it cannot be sent or does not end in time. A wrong result is no error: see [`Outcome::is_good`].
    pub async fn broadcast(&mut self, order: Order) -> anyhow::Result<Outcome> {
        let audience = Predicate::parse(self.devices, &order.audience)?;
        ensure!(
            !order.awaited.is_empty() && order.awaited.iter().all(|awaited| order.platforms.contains(awaited)),
            "only platforms that the broadcast goes to can be awaited"
        );
        let owed: BTreeMap<_, _> =
            order.awaited.iter().map(|platform| (*platform, self.oracle.owed(&audience, &[*platform]))).collect();
        Platform::ALL.into_iter().for_each(|platform| gateway(&self.fleet, platform).reset());
        self.service.forget_peak();
        let anonymous_before = self.service.anonymous();
        let metrics_before = self.service.api.metrics().await.unwrap_or_default();
        let message = Message { title: &order.title, text: &order.audience };
        let (cpu_before, sent) = (self.service.cpu(), Instant::now());
        let id = self.send(&order, &message).await?;
        let watched = self.watch(&id, &order, &owed, sent).await?;
        let anonymous_peak = self.service.anonymous_peak();

        let metrics = self.service.api.metrics().await.context("no metrics")?;
        let Watched { standing, kills, ended, cpu, cancelled } = watched;
        let evidence: Vec<_> = order
            .awaited
            .iter()
            .map(|platform| Evidence {
                platform: *platform,
                receipts: gateway(&self.fleet, *platform).receipts(),
                body: message.body(*platform, &id, standing.accepted_at.millis()),
                others: None,
            })
            .collect();
        let judgement = self.oracle.judge(&audience, &evidence);
        let took = match cancelled {
            true => ended.values().max().copied().unwrap_or_default(),
            false => standing.finished_at.unwrap_or_default().since(standing.accepted_at),
        };
        let awaited = || order.awaited.iter().map(|platform| gateway(&self.fleet, *platform).receipts());
        let sending = awaited().map(sending_time).max().unwrap_or_default();
        let worker = &self.tuning;
        let killed = u32::try_from(kills.len()).unwrap_or(u32::MAX);
        let total = &judgement.total;
        let mut outcome = Outcome {
            audience: order.audience.clone(),
            seconds: took.as_secs_f64(),
            sending_seconds: sending.as_secs_f64(),
            devices_per_second: per_second(total.owed, took),
            sending_per_second: per_second(awaited().map(Receipts::len).sum(), sending),
            cpu_micros_per_device: micros_each(cpu.saturating_sub(cpu_before), total.owed),
            anonymous_before,
            anonymous_peak,
            platforms: self.legs(&order.platforms, &standing, &ended),
            cancelled,
            kills,
            repeats_allowed: repeats_allowed(killed, worker.shards_in_flight, worker.checkpoint_every),
            conservation_difference: metrics.sum("fanfare_conservation_difference"),
            counters: standing.counters,
            judgement,
            faults: Vec::new(),
        };
        outcome.faults = faults(&outcome, order.scripted, &metrics_before, &metrics);
        for platform in &order.platforms {
            let violations = gateway(&self.fleet, *platform).counts().violations;
            if violations.any() {
                outcome.faults.push(format!("the gateway of {platform} was spoken to wrongly: {violations:?}"));
            }
        }
        Ok(outcome)
    }

    /// What each platform's part came to.
    fn legs(
        &self,
        platforms: &[Platform],
        standing: &Standing,
        ended: &BTreeMap<Platform, Duration>,
    ) -> BTreeMap<Platform, Leg> {
        let leg = |platform: &Platform| {
            let counters = standing.platforms.get(platform.label()).copied().unwrap_or_default();
            let receipts = gateway(&self.fleet, *platform).receipts();
            let seconds = ended.get(platform);
            Leg {
                counters,
                seconds: seconds.map(Duration::as_secs_f64),
                devices_per_second: seconds.map(|took| per_second(counters.delivered, *took)),
                sending_seconds: sending_time(receipts).as_secs_f64(),
                requests: receipts.len(),
            }
        };
        platforms.iter().map(|platform| (*platform, leg(platform))).collect()
    }

    async fn send(&self, order: &Order, message: &Message<'_>) -> anyhow::Result<String> {
        let mut request = json!({ "audience": order.audience, "payloads": message.payloads(&order.platforms) });
        if order.rate_per_second > 0 {
            request["rate_per_second"] = order.rate_per_second.into();
        }
        let key = format!("{:032x}", fastrand::u128(..));
        self.service.api.broadcast(&request, &key).await.context("the broadcast was not accepted")
    }

    /// Kills at its moments, looks at the broadcast now and then, cancels what nobody waits for, and returns when it is
    /// over. `owed`: devices of the awaited platforms.
    async fn watch(
        &mut self,
        id: &str,
        order: &Order,
        owed: &BTreeMap<Platform, u64>,
        sent: Instant,
    ) -> anyhow::Result<Watched> {
        let progress = Progress::new("sending", owed.values().sum());
        let fleet = &self.fleet;
        let mut moments = order.kills.iter().copied();
        // Lives across the ticks: a delay that began goes on.
        let mut reached = pin!(reach(fleet, moments.next()));
        let (mut kills, mut ended, mut cpu) = (Vec::new(), BTreeMap::new(), None);
        let mut cancelled = false;
        let end = Instant::now() + order.within;
        let mut ticks = tokio::time::interval(LOOK_AT_THE_END);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked: Option<Instant> = None;
        loop {
            tokio::select! {
                moment = &mut reached => {
                    let killed = Instant::now();
                    self.service.kill9().await;
                    self.service.start_again().await?;
                    reached.set(reach(fleet, moments.next()));
                    kills.push(Kill { moment, away_seconds: killed.elapsed().as_secs_f64() });
                }
                _ = ticks.tick() => {
                    let near = owed.iter().all(|(platform, owed)| {
                        ended.contains_key(platform) || gateway(fleet, *platform).receipts().len() >= *owed
                    });
                    if !near && looked.is_some_and(|last| last.elapsed() < LOOK) {
                        continue;
                    }
                    looked = Some(Instant::now());
                    progress.at(owed.keys().map(|platform| gateway(fleet, *platform).receipts().accepted()).sum());
                    let standing = self.service.api.standing(id).await;
                    let standing = standing.with_context(|| self.service.site.log_tail())?;
                    // A cancel ends everything: of what it ended there is no time.
                    let ended_now = |platform: &&Platform| !cancelled && standing.has_ended(platform.label());
                    for platform in order.platforms.iter().filter(ended_now) {
                        ended.entry(*platform).or_insert_with(|| sent.elapsed());
                    }
                    if cpu.is_none() && owed.keys().all(|platform| ended.contains_key(platform)) {
                        cpu = Some(self.service.cpu());
                    }
                    if standing.finished_at.is_some() {
                        progress.done();
                        let cpu = cpu.unwrap_or_else(|| self.service.cpu());
                        return Ok(Watched { standing, kills, ended, cpu, cancelled });
                    }
                    if cpu.is_some() && !cancelled && owed.len() < order.platforms.len() {
                        self.service.api.cancel(id).await.context("the broadcast cannot be cancelled")?;
                        cancelled = true;
                    }
                    if Instant::now() > end {
                        let log = self.service.site.log_tail();
                        bail!("the broadcast is not over after {:?}: {standing:?}\n{log}", order.within);
                    }
                }
            }
        }
    }
}

/// Returns at the moment: once the gateways have seen that many requests, all together, and its delay is over. Without a
/// moment never.
pub(crate) async fn reach(fleet: &Fleet, moment: Option<Moment>) -> Moment {
    let Some(moment) = moment else { return std::future::pending().await };
    let mut followed: Vec<_> =
        Platform::ALL.into_iter().map(|platform| gateway(fleet, platform).receipts().follow()).collect();
    while followed.iter_mut().map(|seen| *seen.borrow_and_update()).sum::<u64>() < moment.after_requests {
        // The senders live as long as the fleet, so the wait cannot fail.
        drop(select_all(followed.iter_mut().map(|seen| Box::pin(seen.changed()))).await.0);
    }
    tokio::time::sleep(moment.delay()).await;
    moment
}

/// From the first to the last request.
fn sending_time(receipts: &Receipts) -> Duration {
    let at = |order: u64| receipts.page(order, 1).first().map_or(0, |receipt| receipt.at_ms);
    let (first, last) = (at(0), at(receipts.len().saturating_sub(1)));
    Duration::from_millis(u64::from(last.saturating_sub(first)))
}
