//! One broadcast: sent, watched to its end, judged, and what it cost.
use std::{fmt, time::Duration};

use anyhow::{Context, bail};
use fanfare::model::outcome::Counters;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use super::{
    Stage,
    kills::{Moment, repeats_allowed},
};
use crate::{
    client::{Metrics, Standing},
    figures::{grouped, mebibytes, micros_each, per_second, rate},
    gateways::{Simulated, receipts::body_hash},
    oracle::{Judgement, Predicate},
    progress::Progress,
};

/// Between two looks at the broadcast: each costs the service a read.
const LOOK: Duration = Duration::from_millis(100);

/// What to send.
#[derive(Clone, Debug)]
pub struct Order {
    pub audience: String,
    pub title: String,
    /// 0 = as fast as it goes.
    pub rate_per_second: u64,
    pub kills: Vec<Moment>,
    /// How long it may take, restarts included.
    pub within: Duration,
    /// The gateway has a script, so its answers need not all be deliveries.
    pub scripted: bool,
}

/// What became of it. Times in seconds, memory in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub audience: String,
    pub judgement: Judgement,
    pub counters: Counters,
    /// From acceptance to the end, as the service wrote them down.
    pub seconds: f64,
    /// From the first to the last request, as the gateway saw them.
    pub sending_seconds: f64,
    /// Owed devices in `seconds`.
    pub devices_per_second: f64,
    /// Requests in `sending_seconds`.
    pub sending_per_second: f64,
    /// All CPU of the service from acceptance to the end, for each owed device.
    pub cpu_micros_per_device: f64,
    pub anonymous_before: u64,
    pub anonymous_peak: u64,
    pub kills: Vec<Kill>,
    /// Acceptances beyond the first that these kills may have caused.
    pub repeats_allowed: u64,
    /// `fanfare_conservation_difference`, summed over hubs; absent when `/metrics` has none.
    pub conservation_difference: Option<f64>,
    /// What is wrong beside the judgement.
    pub faults: Vec<String>,
}

/// One `kill -9` and the start after it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Kill {
    #[serde(flatten)]
    pub moment: Moment,
    /// From the kill until the service was ready again.
    pub away_seconds: f64,
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        self.judgement.is_good() && self.faults.is_empty()
    }
}

impl Stage {
    /// Sends a broadcast and judges it. The gateway's books hold this broadcast alone afterwards.
    ///
    /// # Errors
    /// When it cannot be sent or does not end in time. A wrong result is no error: see [`Outcome::is_good`].
    pub async fn broadcast(&mut self, order: Order) -> anyhow::Result<Outcome> {
        let audience = Predicate::parse(self.devices, &order.audience)?;
        self.fleet.apns.reset();
        self.service.forget_peak();
        let anonymous_before = self.service.anonymous();
        let metrics_before = self.service.api.metrics().await.unwrap_or_default();
        let payload = json!({ "aps": { "alert": { "body": order.audience, "title": order.title } } });
        let cpu_before = self.service.cpu();
        let id = self.send(&order, &payload).await?;
        let (standing, kills) = self.watch(&id, &order, &audience).await?;
        let cpu = self.service.cpu().saturating_sub(cpu_before);
        let anonymous_peak = self.service.anonymous_peak();

        let metrics = self.service.api.metrics().await.context("no metrics")?;
        let receipts = self.fleet.apns.receipts();
        let judgement = self.oracle.judge(&audience, receipts, body_hash(payload.to_string().as_bytes()));
        let took = standing.finished_at.unwrap_or_default().since(standing.accepted_at);
        let sending = self.sending_time();
        let worker = &self.tuning;
        let killed = u32::try_from(kills.len()).unwrap_or(u32::MAX);
        let mut outcome = Outcome {
            audience: order.audience.clone(),
            seconds: took.as_secs_f64(),
            sending_seconds: sending.as_secs_f64(),
            devices_per_second: per_second(judgement.owed, took),
            sending_per_second: per_second(receipts.len(), sending),
            cpu_micros_per_device: micros_each(cpu, judgement.owed),
            anonymous_before,
            anonymous_peak,
            kills,
            repeats_allowed: repeats_allowed(killed, worker.shards_in_flight, worker.checkpoint_every),
            conservation_difference: metrics.sum("fanfare_conservation_difference"),
            counters: standing.counters,
            judgement,
            faults: Vec::new(),
        };
        outcome.faults = faults(&outcome, &order, &metrics_before, &metrics);
        let violations = self.fleet.apns.counts().violations;
        if violations.any() {
            outcome.faults.push(format!("the gateway was spoken to wrongly: {violations:?}"));
        }
        Ok(outcome)
    }

    async fn send(&self, order: &Order, payload: &Value) -> anyhow::Result<String> {
        let mut request = json!({ "audience": order.audience, "payloads": { "apns": payload } });
        if order.rate_per_second > 0 {
            request["rate_per_second"] = order.rate_per_second.into();
        }
        let key = format!("{:032x}", fastrand::u128(..));
        self.service.api.broadcast(&request, &key).await.context("the broadcast was not accepted")
    }

    /// Kills at its moments, looks at the broadcast now and then, and returns when it is over.
    async fn watch(&mut self, id: &str, order: &Order, audience: &Predicate) -> anyhow::Result<(Standing, Vec<Kill>)> {
        let progress = Progress::new("sending", self.oracle.owed(audience));
        let mut moments = order.kills.iter().copied().peekable();
        let mut kills = Vec::new();
        let end = Instant::now() + order.within;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = moments.peek().copied();
            let receipts = self.fleet.apns.receipts();
            let reached = async {
                match next {
                    Some(moment) => {
                        receipts.wait_for(moment.after_requests).await;
                        tokio::time::sleep(moment.delay()).await;
                        moment
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                moment = reached => {
                    moments.next();
                    let killed = Instant::now();
                    self.service.kill9().await;
                    self.service.start_again().await?;
                    kills.push(Kill { moment, away_seconds: killed.elapsed().as_secs_f64() });
                }
                _ = looks.tick() => {
                    progress.at(receipts.accepted());
                    let standing = self.service.api.standing(id).await;
                    let standing = standing.with_context(|| self.service.site.log_tail())?;
                    if standing.finished_at.is_some() {
                        progress.done();
                        return Ok((standing, kills));
                    }
                    if Instant::now() > end {
                        bail!("the broadcast is not over after {:?}: {standing:?}\n{}", order.within, self.service.site.log_tail());
                    }
                }
            }
        }
    }

    fn sending_time(&self) -> Duration {
        let receipts = self.fleet.apns.receipts();
        let at = |order: u64| receipts.page(order, 1).first().map_or(0, |receipt| receipt.at_ms);
        let (first, last) = (at(0), at(receipts.len().saturating_sub(1)));
        Duration::from_millis(u64::from(last.saturating_sub(first)))
    }
}

/// What does not add up between the service's own books and the gateway's.
fn faults(outcome: &Outcome, order: &Order, before: &Metrics, after: &Metrics) -> Vec<String> {
    let (counters, judgement) = (&outcome.counters, &outcome.judgement);
    let mut faults = Vec::new();
    let mut expect = |holds: bool, fault: String| {
        if !holds {
            faults.push(fault);
        }
    };
    let sum = counters.pending + counters.finished();
    expect(sum == counters.targeted, format!("outcomes and pending are {sum}, targeted {}", counters.targeted));
    expect(counters.pending == 0, format!("over with {} pending", counters.pending));
    // Excused devices may be targeted still; without a script nobody is excused.
    if !order.scripted {
        let (targeted, delivered) = (counters.targeted, counters.delivered);
        expect(targeted == judgement.owed, format!("targeted {targeted}, owed {}", judgement.owed));
        expect(delivered == judgement.received, format!("delivered {delivered}, received {}", judgement.received));
    }
    match outcome.conservation_difference {
        Some(difference) => expect(difference == 0.0, format!("fanfare_conservation_difference is {difference}")),
        None => expect(false, "/metrics has no fanfare_conservation_difference".to_owned()),
    }
    if outcome.kills.is_empty() {
        // Counted by the process, so a kill makes them start again.
        let delivered =
            |metrics: &Metrics| metrics.sum_where("fanfare_outcomes_total", "outcome", "delivered").unwrap_or(0.0);
        let counted = delivered(after) - delivered(before);
        expect(
            counted == counters.delivered as f64,
            format!("fanfare_outcomes_total counted {counted} deliveries, the broadcast {}", counters.delivered),
        );
    }
    let (extra, allowed) = (judgement.extra, outcome.repeats_allowed);
    expect(
        order.scripted || extra <= allowed,
        format!("{extra} repeats, where {} kills allow {allowed}", outcome.kills.len()),
    );
    faults
}

/// For people; the judgement's line comes last.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "broadcast to `{}`", self.audience)?;
        for kill in &self.kills {
            let Moment { after_requests, and_millis } = kill.moment;
            let after = grouped(after_requests);
            writeln!(f, "  kill -9 after {after} requests and {and_millis} ms, away for {:.2} s", kill.away_seconds)?;
        }
        writeln!(
            f,
            "  {} devices in {:.2} s: {} devices/s (first to last request {:.2} s: {} requests/s)",
            grouped(self.judgement.owed),
            self.seconds,
            rate(self.devices_per_second),
            self.sending_seconds,
            rate(self.sending_per_second),
        )?;
        writeln!(
            f,
            "  CPU of fanfare {:.2} µs a device; anonymous memory {}, at most {}",
            self.cpu_micros_per_device,
            mebibytes(self.anonymous_before),
            mebibytes(self.anonymous_peak),
        )?;
        let Counters { targeted, delivered, rejected, dropped, expired, cancelled, skipped, retries, .. } =
            self.counters;
        let difference = self.conservation_difference.map_or_else(|| "unknown".to_owned(), |d| d.to_string());
        writeln!(
            f,
            "  targeted {targeted} = delivered {delivered} + rejected {rejected} + dropped {dropped} + expired {expired} \
             + cancelled {cancelled} + skipped {skipped}; retries {retries}; conservation difference {difference}"
        )?;
        if !self.kills.is_empty() {
            writeln!(
                f,
                "  accepted once more {} times, at most {} allowed; with another apns-id {}",
                self.judgement.extra, self.repeats_allowed, self.judgement.other_ids
            )?;
        }
        for line in self.judgement.details().iter().chain(&self.faults) {
            writeln!(f, "  {line}")?;
        }
        write!(f, "{}", self.judgement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            audience: "all".to_owned(),
            judgement: Judgement { owed: 10, received: 10, ..Judgement::default() },
            counters: Counters { targeted: 10, delivered: 10, ..Counters::default() },
            seconds: 1.0,
            sending_seconds: 0.5,
            devices_per_second: 10.0,
            sending_per_second: 20.0,
            cpu_micros_per_device: 1.0,
            anonymous_before: 1 << 20,
            anonymous_peak: 2 << 20,
            kills: Vec::new(),
            repeats_allowed: 0,
            conservation_difference: Some(0.0),
            faults: Vec::new(),
        }
    }

    fn order() -> Order {
        Order {
            audience: "all".to_owned(),
            title: String::new(),
            rate_per_second: 0,
            kills: Vec::new(),
            within: Duration::from_secs(1),
            scripted: false,
        }
    }

    #[test]
    fn books_that_agree_have_no_fault() {
        let after = Metrics::parse("fanfare_outcomes_total{hub=\"demo\",outcome=\"delivered\"} 15\n");
        let before = Metrics::parse("fanfare_outcomes_total{hub=\"demo\",outcome=\"delivered\"} 5\n");
        assert_eq!(faults(&outcome(), &order(), &before, &after), Vec::<String>::new());
        let text = outcome().to_string();
        assert_eq!(text.lines().last(), Some("owed 10 received 10 missing 0 repeated 0"));
    }

    #[test]
    fn every_disagreement_is_a_fault() {
        let none = Metrics::default();
        let with = |change: fn(&mut Outcome)| {
            let mut changed = outcome();
            // With a kill the process's own counters are not compared.
            let moment = Moment { after_requests: 1, and_millis: 0 };
            changed.kills.push(Kill { moment, away_seconds: 0.1 });
            change(&mut changed);
            faults(&changed, &order(), &none, &none)
        };
        assert_eq!(with(|_| {}), Vec::<String>::new());
        assert_eq!(
            with(|o| o.counters.pending = 1),
            ["outcomes and pending are 11, targeted 10", "over with 1 pending"]
        );
        assert_eq!(with(|o| o.judgement.owed = 11), ["targeted 10, owed 11"]);
        assert_eq!(with(|o| o.judgement.received = 9), ["delivered 10, received 9"]);
        assert_eq!(with(|o| o.conservation_difference = Some(1.0)), ["fanfare_conservation_difference is 1"]);
        assert_eq!(with(|o| o.conservation_difference = None), ["/metrics has no fanfare_conservation_difference"]);
        assert_eq!(with(|o| o.judgement.extra = 3), ["3 repeats, where 1 kills allow 0"]);
        assert_eq!(
            faults(&outcome(), &order(), &none, &none),
            ["fanfare_outcomes_total counted 0 deliveries, the broadcast 10"]
        );
    }
}
