//! Every metric: its name, kind, unit and help in one place. Names carry the unit; labels are bounded (hub, platform,
//! verdict, lane, route) and never a token, a tag or an id.

use metrics::Unit;

/// A metric's description, as Prometheus shows it.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub help: &'static str,
}

/// What a metric's value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes both ways.
    Gauge,
    /// Is observed, and counted by buckets.
    Histogram,
}

const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Described {
    Described { name, kind: Kind::Counter, unit, help }
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Described {
    Described { name, kind: Kind::Gauge, unit, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Described {
    Described { name, kind: Kind::Histogram, unit: Unit::Seconds, help }
}

/// Labels `hub`, `platform`, `outcome`.
pub const OUTCOMES: Described =
    counter("fanfare_outcomes_total", Unit::Count, "Targets that got their final word, by outcome");
/// Labels `hub`, `platform`, `verdict`.
pub const VERDICTS: Described =
    counter("fanfare_verdicts_total", Unit::Count, "Answers of push services, by what they mean");
/// Labels `hub`, `platform`, `cause`.
pub const UNSENT: Described =
    counter("fanfare_unsent_total", Unit::Count, "Targets that a gateway handed back without writing them, by cause");
/// Label `hub`.
pub const CONSERVATION: Described = gauge(
    "fanfare_conservation_difference",
    Unit::Count,
    "Targeted less pending less finished, summed over broadcasts; anything but 0 is a lost or doubled target",
);
/// Label `lane`.
pub const QUEUE_AGE: Described =
    gauge("fanfare_queue_age_seconds", Unit::Seconds, "How long the oldest due entry of the lane has waited");
/// Labels `hub`, `platform`.
pub const SENDER_PAUSED: Described = gauge(
    "fanfare_sender_paused",
    Unit::Count,
    "1 while the sender is paused for its credentials or by its drop breaker",
);
/// Labels `hub`, `platform`.
pub const DROP_BREAKER: Described = gauge(
    "fanfare_drop_breaker_open",
    Unit::Count,
    "1 while so many addresses are refused that none is removed on such an answer",
);
/// Labels `hub`, `platform`.
pub const SENDER_THROTTLED: Described = gauge(
    "fanfare_sender_throttled",
    Unit::Count,
    "1 while the sender rests because its service throttles it or cannot be reached; it goes on by itself",
);
/// Labels `hub`, `platform`.
pub const SHARDS_HELD: Described =
    gauge("fanfare_shards_held", Unit::Count, "Shards that this process holds by lease and works on");
/// Labels `hub`, `platform`.
pub const RETRIES: Described =
    counter("fanfare_retries_total", Unit::Count, "Targets that were put off to another attempt");
/// Label `lane`.
pub const FIRST_SEND: Described = histogram(
    "fanfare_first_send_seconds",
    "From the time a broadcast was accepted or became due until its first targets go to a gateway",
);
/// Labels `hub`, `result`.
pub const REGISTRATIONS: Described =
    counter("fanfare_registrations_total", Unit::Count, "Changes of installations, by what they did");
/// Label `hub`.
pub const BROADCASTS: Described = counter("fanfare_broadcasts_total", Unit::Count, "Accepted broadcasts");
/// Label `hub`.
pub const ACCEPT: Described =
    histogram("fanfare_accept_seconds", "How long the durable acceptance of a broadcast took, its commit included");
/// Labels `route`, `method`, `status` (the class: `2xx`).
pub const HTTP_REQUESTS: Described =
    counter("fanfare_http_requests_total", Unit::Count, "Answered requests, by route and class of status");
/// Label `route`.
pub const HTTP_SECONDS: Described =
    histogram("fanfare_http_request_seconds", "From the head of a request to the head of its answer");
/// Labels `hub`, `platform`.
pub const GATEWAY_CONNECTIONS: Described =
    gauge("fanfare_gateway_connections", Unit::Count, "Open connections to the push service, draining ones included");
/// Labels `hub`, `platform`.
pub const GATEWAY_STREAMS: Described =
    gauge("fanfare_gateway_streams", Unit::Count, "Requests handed to a connection and not yet answered");
pub const STORE_GROUPS: Described =
    counter("fanfare_store_registration_groups_total", Unit::Count, "Commits of the store that held registrations");
pub const STORE_REGISTRATIONS: Described =
    counter("fanfare_store_registrations_total", Unit::Count, "Registrations in those commits");
pub const STORE_COMMIT: Described =
    histogram("fanfare_store_commit_seconds", "How long transactions of the store's writer took, their sync included");
pub const STORE_UNFOLDED: Described = gauge(
    "fanfare_store_unfolded_rows",
    Unit::Count,
    "Index changes that are committed and not yet folded into the sets; counts and plans read them all",
);
pub const STORE_SIZE: Described =
    gauge("fanfare_store_size_bytes", Unit::Bytes, "The embedded store's files together: data, log and log index");
pub const STORE_FREE: Described =
    gauge("fanfare_store_free_bytes", Unit::Bytes, "What is left on the file system of the embedded store");
/// Label `dependency`: `store` or `queue`.
pub const DEPENDENCY_UP: Described =
    gauge("fanfare_dependency_up", Unit::Count, "1 when the dependency answered while this page was made");
pub const READY: Described = gauge("fanfare_ready", Unit::Count, "What /readyz answers: 1 for 200, 0 for 503");
pub const OPEN_FILES: Described =
    gauge("fanfare_process_open_files", Unit::Count, "Open files and sockets of this process");
pub const RESIDENT: Described =
    gauge("fanfare_process_resident_bytes", Unit::Bytes, "Memory of this process that is in RAM");
pub const CPU: Described =
    counter("fanfare_process_cpu_seconds_total", Unit::Seconds, "CPU time of this process, user and system");
/// Label `version`; always 1.
pub const BUILD: Described = gauge("fanfare_build_info", Unit::Count, "Which version runs");

/// All of them.
pub const ALL: [Described; 30] = [
    OUTCOMES,
    VERDICTS,
    UNSENT,
    CONSERVATION,
    QUEUE_AGE,
    SENDER_PAUSED,
    DROP_BREAKER,
    SENDER_THROTTLED,
    SHARDS_HELD,
    RETRIES,
    FIRST_SEND,
    REGISTRATIONS,
    BROADCASTS,
    ACCEPT,
    HTTP_REQUESTS,
    HTTP_SECONDS,
    GATEWAY_CONNECTIONS,
    GATEWAY_STREAMS,
    STORE_GROUPS,
    STORE_REGISTRATIONS,
    STORE_COMMIT,
    STORE_UNFOLDED,
    STORE_SIZE,
    STORE_FREE,
    DEPENDENCY_UP,
    READY,
    OPEN_FILES,
    RESIDENT,
    CPU,
    BUILD,
];

/// Those with the label `hub`.
pub const OF_A_HUB: [Described; 14] = [
    OUTCOMES,
    VERDICTS,
    UNSENT,
    CONSERVATION,
    SENDER_PAUSED,
    DROP_BREAKER,
    SENDER_THROTTLED,
    SHARDS_HELD,
    RETRIES,
    REGISTRATIONS,
    BROADCASTS,
    ACCEPT,
    GATEWAY_CONNECTIONS,
    GATEWAY_STREAMS,
];

/// Histograms that the recorder keeps, with their upper bounds. [`STORE_COMMIT`] is counted by the store itself.
pub const BUCKETS: [(Described, &[f64]); 3] =
    [(HTTP_SECONDS, &HTTP_SECONDS_BUCKETS), (ACCEPT, &HTTP_SECONDS_BUCKETS), (FIRST_SEND, &FIRST_SEND_BUCKETS)];

/// Upper bounds of [`FIRST_SEND`]: a small broadcast is sent at once, a large one after its first step of planning.
pub const FIRST_SEND_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// Upper bounds of [`HTTP_SECONDS`]: a registration takes a commit (milliseconds), an import minutes.
pub const HTTP_SECONDS_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours_distinct_and_carry_their_unit() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let stem = metric.name.strip_suffix("_total").unwrap_or(metric.name);
            assert!(metric.name.starts_with("fanfare_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, stem != metric.name, "{}", metric.name);
            match metric.unit {
                Unit::Seconds => assert!(stem.ends_with("_seconds"), "{}", metric.name),
                Unit::Bytes => assert!(stem.ends_with("_bytes"), "{}", metric.name),
                _ => {}
            }
        }
    }
}
