//! The queue: there, of a version that does, and what its loss would cost.

use super::Finding;
use crate::config::{Config, QueueUrl};
use crate::queue::redis::{self, Inspection, Server};

const ABOUT: &str = "queue";
/// The oldest Redis with the commands that are used (`XAUTOCLAIM`, `GETDEL` and friends came with it).
const OLDEST: (u32, u32) = (6, 2);
/// Fewer Sentinels cannot agree when one is gone.
const SENTINELS: usize = 3;

pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let url = match &config.queue.url {
        QueueUrl::Memory => {
            let text = "memory: keeps nothing across a restart, and need not: what was accepted is in the store and is \
                        taken up again from there; one process only";
            return vec![Finding::ok(ABOUT, text)];
        }
        QueueUrl::Redis(url) | QueueUrl::Sentinel(url) | QueueUrl::Cluster(url) => url,
    };
    match redis::inspect(url).await {
        Ok(found) => judge(&found),
        Err(error) => vec![Finding::fail(ABOUT, format!("{error}; check queue.url and that the server runs"))],
    }
}

fn judge(found: &Inspection) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, asked) in &found.sentinels {
        findings.push(match asked {
            Ok(said) => Finding::ok(format!("{ABOUT} sentinel {at}"), said),
            Err(error) => Finding::fail(
                format!("{ABOUT} sentinel {at}"),
                format!("{error}; it cannot fail over: check the Sentinels and their quorum"),
            ),
        });
    }
    if (1..SENTINELS).contains(&found.sentinels.len()) {
        let text = format!("{} Sentinels are named; with fewer than 3 none may be lost", found.sentinels.len());
        findings.push(Finding::warn(ABOUT, text));
    }
    if !found.cluster.is_empty() {
        findings.extend(cluster(found));
    }
    for (at, asked) in &found.servers {
        let about = format!("{ABOUT} {at}");
        match asked {
            Ok(server) => findings.extend(self::server(&about, server)),
            Err(error) => {
                let text = format!("{error}; check queue.url, that the server runs, and its password");
                findings.push(Finding::fail(about, text));
            }
        }
    }
    findings
}

fn cluster(found: &Inspection) -> Vec<Finding> {
    let said = |name: &str| found.cluster.get(name).map_or("", String::as_str);
    let mut findings = vec![match said("cluster_state") {
        "ok" => Finding::ok(ABOUT, format!("the Cluster is whole: {} masters", said("cluster_size"))),
        state => Finding::fail(
            ABOUT,
            format!(
                "the Cluster is {state}, {} of 16384 slots are served; bring its nodes back",
                said("cluster_slots_ok")
            ),
        ),
    }];
    if found.without_replica > 0 {
        let text = format!(
            "{} masters have no replica: while one is away the part of the queue on it waits",
            found.without_replica
        );
        findings.push(Finding::warn(ABOUT, text));
    }
    findings
}

fn server(about: &str, server: &Server) -> Vec<Finding> {
    vec![version(about, server), eviction(about, server), durability(about, server), room(about, server)]
}

fn version(about: &str, server: &Server) -> Finding {
    let shown = format!("Redis {}", server.text("redis_version"));
    match server.version() >= OLDEST {
        true => Finding::ok(about, shown),
        false => Finding::fail(about, format!("{shown} is too old; it must be 6.2 or later")),
    }
}

/// A queue that throws entries away still loses nobody, but sends late and loses count of rates.
fn eviction(about: &str, server: &Server) -> Finding {
    let policy = server.text("maxmemory_policy");
    match (policy, server.number("maxmemory")) {
        ("noeviction", _) => Finding::ok(about, "maxmemory-policy noeviction: it throws nothing away"),
        (policy, 0) => {
            Finding::warn(about, format!("maxmemory-policy {policy} waits for a maxmemory; set it to noeviction"))
        }
        (policy, _) => Finding::fail(
            about,
            format!("maxmemory-policy {policy} throws queued work away when memory is short; set it to noeviction"),
        ),
    }
}

fn durability(about: &str, server: &Server) -> Finding {
    const COST: &str = "what it loses is issued again from the store: a delay of seconds, nobody is missed";
    if server.number("aof_enabled") == 1 {
        let fsync = server.config.get("appendfsync").map_or("unknown", String::as_str);
        let loses = match fsync {
            "always" => "a restart loses nothing",
            "everysec" => "a crash loses about a second",
            _ => "a crash loses what the system had not written",
        };
        return Finding::ok(about, format!("appendonly yes, appendfsync {fsync}: {loses}; {COST}"));
    }
    match server.config.get("save").map(String::as_str) {
        Some("") => Finding::warn(
            about,
            format!("appendonly no and no save: a restart loses the queue; {COST}. appendonly yes spares the delay"),
        ),
        Some(save) => Finding::ok(
            about,
            format!("appendonly no, save {save}: a crash loses what came since the last one; {COST}"),
        ),
        None => Finding::ok(about, format!("appendonly no, and save cannot be asked for; {COST}")),
    }
}

fn room(about: &str, server: &Server) -> Finding {
    let (used, most) = (server.number("used_memory"), server.number("maxmemory"));
    let mib = |bytes: u64| bytes >> 20;
    if most == 0 {
        return Finding::ok(about, format!("{} MiB used, without a maxmemory", mib(used)));
    }
    let text = format!("{} of {} MiB used", mib(used), mib(most));
    match used.saturating_mul(100) / most {
        95.. => Finding::fail(about, format!("{text}; raise maxmemory: soon nothing can be queued")),
        80.. => Finding::warn(about, format!("{text}; raise maxmemory")),
        _ => Finding::ok(about, text),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::State;
    use super::*;

    fn server_of(info: &[(&str, &str)], config: &[(&str, &str)]) -> Server {
        let mut server = Server::default();
        let good = [("redis_version", "7.0.15"), ("maxmemory_policy", "noeviction"), ("aof_enabled", "1")];
        for (name, value) in good.iter().chain(info) {
            server.info.insert((*name).to_owned(), (*value).to_owned());
        }
        for (name, value) in config {
            server.config.insert((*name).to_owned(), (*value).to_owned());
        }
        server
    }

    fn worst(findings: &[Finding]) -> State {
        let any = |state| findings.iter().any(|finding| finding.state == state);
        [State::Fail, State::Warn].into_iter().find(|state| any(*state)).unwrap_or(State::Ok)
    }

    #[test]
    fn each_bad_setting_is_found() {
        for (info, config, state) in [
            (&[][..], &[("appendfsync", "everysec")][..], State::Ok),
            (&[("redis_version", "6.0.16")], &[], State::Fail),
            (&[("redis_version", "6.2.0")], &[], State::Ok),
            (&[("maxmemory_policy", "allkeys-lru")], &[], State::Warn),
            (&[("maxmemory_policy", "allkeys-lru"), ("maxmemory", "1000")], &[], State::Fail),
            (&[("aof_enabled", "0")], &[("save", "")], State::Warn),
            (&[("aof_enabled", "0")], &[("save", "3600 1")], State::Ok),
            (&[("maxmemory", "1000"), ("used_memory", "850")], &[], State::Warn),
            (&[("maxmemory", "1000"), ("used_memory", "990")], &[], State::Fail),
        ] {
            assert_eq!(worst(&server("queue", &server_of(info, config))), state, "{info:?} {config:?}");
        }
    }

    #[test]
    fn a_broken_cluster_and_a_lost_quorum_fail() {
        let cluster = |state: &str| BTreeMap::from([("cluster_state".to_owned(), state.to_owned())]);
        let found = |inspection: Inspection| worst(&judge(&inspection));
        assert_eq!(found(Inspection { cluster: cluster("ok"), ..Inspection::default() }), State::Ok);
        assert_eq!(found(Inspection { cluster: cluster("fail"), ..Inspection::default() }), State::Fail);
        let lonely = Inspection { cluster: cluster("ok"), without_replica: 1, ..Inspection::default() };
        assert_eq!(found(lonely), State::Warn);
        let sentinels = |said: Result<String, String>| vec![("h:26379".to_owned(), said); 3];
        assert_eq!(
            found(Inspection { sentinels: sentinels(Ok("OK 3 usable".into())), ..Inspection::default() }),
            State::Ok
        );
        assert_eq!(
            found(Inspection { sentinels: sentinels(Err("NOQUORUM".into())), ..Inspection::default() }),
            State::Fail
        );
    }
}
