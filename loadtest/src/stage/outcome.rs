//! What became of a broadcast, where the books of the service and of the gateways disagree, and how it reads.
use std::{collections::BTreeMap, fmt};

use fanfare::model::outcome::Counters;
use serde::Serialize;

use super::kills::Moment;
use crate::{
    client::Metrics,
    devices::Platform,
    figures::{grouped, mebibytes, rate},
    oracle::Judgement,
};

/// What became of it. Times in seconds, memory in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub audience: String,
    /// On the platforms that were awaited.
    pub judgement: Judgement,
    pub counters: Counters,
    /// From acceptance to the end, as the service wrote them down; of a broadcast that was cancelled, to the end of the
    /// last awaited platform.
    pub seconds: f64,
    /// From the first to the last request, as the slowest of the awaited gateways saw them.
    pub sending_seconds: f64,
    /// Owed devices in `seconds`.
    pub devices_per_second: f64,
    /// Requests at the awaited gateways in `sending_seconds`.
    pub sending_per_second: f64,
    /// All CPU of the service from acceptance to the end, for each owed device.
    pub cpu_micros_per_device: f64,
    pub anonymous_before: u64,
    pub anonymous_peak: u64,
    /// Of every platform that it went to, awaited or not.
    pub platforms: BTreeMap<Platform, Leg>,
    /// Cancelled when the awaited platforms had ended.
    pub cancelled: bool,
    pub kills: Vec<Kill>,
    /// Acceptances beyond the first that these kills may have caused, each gateway's.
    pub repeats_allowed: u64,
    /// `fanfare_conservation_difference`, summed over hubs; absent when `/metrics` has none.
    pub conservation_difference: Option<f64>,
    /// What is wrong beside the judgement.
    pub faults: Vec<String>,
}

/// One platform's part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Leg {
    pub counters: Counters,
    /// From the request for the broadcast until its last target here had its outcome, as a look a hundredth of a second
    /// later found it; absent when the broadcast was cancelled before.
    pub seconds: Option<f64>,
    /// Delivered in `seconds`.
    pub devices_per_second: Option<f64>,
    /// From the first to the last request, as the gateway saw them.
    pub sending_seconds: f64,
    /// What the gateway received in them.
    pub requests: u64,
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

/// What does not add up between the service's own books and the gateways'. `scripted`: they need not have taken all.
pub(super) fn faults(outcome: &Outcome, scripted: bool, before: &Metrics, after: &Metrics) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |holds: bool, fault: String| {
        if !holds {
            faults.push(fault);
        }
    };
    let counters = &outcome.counters;
    let sum = counters.pending + counters.finished();
    expect(sum == counters.targeted, format!("outcomes and pending are {sum}, targeted {}", counters.targeted));
    expect(counters.pending == 0, format!("over with {} pending", counters.pending));
    match outcome.conservation_difference {
        Some(difference) => expect(difference == 0.0, format!("fanfare_conservation_difference is {difference}")),
        None => expect(false, "/metrics has no fanfare_conservation_difference".to_owned()),
    }
    for (platform, tally) in &outcome.judgement.platforms {
        let counters = outcome.platforms.get(platform).map(|leg| leg.counters).unwrap_or_default();
        // Excused devices may be targeted still; without a script nobody is excused.
        if !scripted {
            let (targeted, delivered, allowed) = (counters.targeted, counters.delivered, outcome.repeats_allowed);
            expect(targeted == tally.owed, format!("{platform}: targeted {targeted}, owed {}", tally.owed));
            expect(
                delivered == tally.received,
                format!("{platform}: delivered {delivered}, received {}", tally.received),
            );
            expect(
                tally.refused == 0,
                format!("{platform}: {} were refused, and nothing asks for that", tally.refused),
            );
            expect(
                tally.extra <= allowed,
                format!("{platform}: {} repeats, where {} kills allow {allowed}", tally.extra, outcome.kills.len()),
            );
        }
        if outcome.kills.is_empty() {
            // Counted by the process, so a kill makes them start again.
            let labels = [("platform", platform.label()), ("outcome", "delivered")];
            let read = |metrics: &Metrics| metrics.sum_where("fanfare_outcomes_total", &labels).unwrap_or(0.0);
            let counted = read(after) - read(before);
            expect(
                counted == counters.delivered as f64,
                format!(
                    "{platform}: fanfare_outcomes_total counted {counted} deliveries, the broadcast {}",
                    counters.delivered
                ),
            );
        }
    }
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
            grouped(self.judgement.total.owed),
            self.seconds,
            rate(self.devices_per_second),
            self.sending_seconds,
            rate(self.sending_per_second),
        )?;
        if self.platforms.len() > 1 {
            for (platform, leg) in &self.platforms {
                writeln!(f, "  {platform:<5} {leg}")?;
            }
        }
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
        if self.cancelled {
            let awaited: Vec<_> = self.judgement.platforms.keys().map(|platform| platform.label()).collect();
            writeln!(f, "  cancelled when {} had ended; the rest is not judged", awaited.join(" and "))?;
        }
        if !self.kills.is_empty() {
            writeln!(
                f,
                "  accepted once more {} times, at most {} allowed at each gateway; with another apns-id {}",
                self.judgement.total.extra, self.repeats_allowed, self.judgement.total.other_ids
            )?;
        }
        for line in self.judgement.details().iter().chain(&self.faults) {
            writeln!(f, "  {line}")?;
        }
        write!(f, "{}", self.judgement)
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters { targeted, delivered, .. } = self.counters;
        write!(f, "{} of {} delivered", grouped(delivered), grouped(targeted))?;
        match (self.seconds, self.devices_per_second) {
            (Some(seconds), Some(speed)) => write!(f, " in {seconds:.2} s: {} devices/s", rate(speed)),
            _ => write!(f, " until the rest was cancelled; the gateway saw {} requests", grouped(self.requests)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Tally;

    fn outcome() -> Outcome {
        let tally = |owed| Tally { owed, received: owed, ..Tally::default() };
        let counters = |of| Counters { targeted: of, delivered: of, ..Counters::default() };
        let leg = |of| Leg { counters: counters(of), seconds: Some(1.0), ..Leg::default() };
        let judged = BTreeMap::from([(Platform::Apns, tally(6)), (Platform::Wns, tally(4))]);
        Outcome {
            audience: "all".to_owned(),
            judgement: Judgement::new(judged, BTreeMap::new()),
            counters: counters(10),
            seconds: 1.0,
            sending_seconds: 0.5,
            devices_per_second: 10.0,
            sending_per_second: 20.0,
            cpu_micros_per_device: 1.0,
            anonymous_before: 1 << 20,
            anonymous_peak: 2 << 20,
            platforms: BTreeMap::from([(Platform::Apns, leg(6)), (Platform::Wns, leg(4))]),
            cancelled: false,
            kills: Vec::new(),
            repeats_allowed: 0,
            conservation_difference: Some(0.0),
            faults: Vec::new(),
        }
    }

    fn counted(apns: u64, wns: u64) -> Metrics {
        Metrics::parse(&format!(
            "fanfare_outcomes_total{{hub=\"demo\",platform=\"apns\",outcome=\"delivered\"}} {apns}\n\
             fanfare_outcomes_total{{hub=\"demo\",platform=\"wns\",outcome=\"delivered\"}} {wns}\n"
        ))
    }

    #[test]
    fn books_that_agree_have_no_fault() {
        assert_eq!(faults(&outcome(), false, &counted(5, 1), &counted(11, 5)), Vec::<String>::new());
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
            faults(&changed, false, &none, &none)
        };
        fn wns(outcome: &mut Outcome) -> &mut Tally {
            outcome.judgement.platforms.get_mut(&Platform::Wns).unwrap()
        }
        assert_eq!(with(|_| {}), Vec::<String>::new());
        assert_eq!(
            with(|o| o.counters.pending = 1),
            ["outcomes and pending are 11, targeted 10", "over with 1 pending"]
        );
        assert_eq!(with(|o| wns(o).owed = 5), ["wns: targeted 4, owed 5"]);
        assert_eq!(with(|o| wns(o).received = 3), ["wns: delivered 4, received 3"]);
        assert_eq!(with(|o| wns(o).refused = 1), ["wns: 1 were refused, and nothing asks for that"]);
        assert_eq!(with(|o| wns(o).extra = 3), ["wns: 3 repeats, where 1 kills allow 0"]);
        assert_eq!(with(|o| o.conservation_difference = Some(1.0)), ["fanfare_conservation_difference is 1"]);
        assert_eq!(with(|o| o.conservation_difference = None), ["/metrics has no fanfare_conservation_difference"]);
        // What one platform has too many of, another has not too few of.
        assert_eq!(
            faults(&outcome(), false, &counted(0, 0), &counted(7, 3)),
            [
                "apns: fanfare_outcomes_total counted 7 deliveries, the broadcast 6",
                "wns: fanfare_outcomes_total counted 3 deliveries, the broadcast 4",
            ]
        );
    }

    #[test]
    fn what_a_script_asks_for_is_no_fault() {
        let mut scripted = outcome();
        let tally = scripted.judgement.platforms.get_mut(&Platform::Apns).unwrap();
        (tally.owed, tally.received, tally.refused, tally.extra) = (5, 4, 1, 2);
        assert_eq!(faults(&scripted, true, &counted(0, 0), &counted(6, 4)), Vec::<String>::new());
        assert_eq!(faults(&scripted, false, &counted(0, 0), &counted(6, 4)).len(), 4);
    }
}
