//! The chaos suite in its short form: small audiences, one seed, the real command with real servers. Each scenario ends with
//! status 0 only when nothing acknowledged was lost, and says in its last lines what came out.
#![expect(clippy::unwrap_used, reason = "the helper of a test fails as the test does")]
use std::process::Command;

/// Few devices, short leases, small credits: what takes minutes in a whole run takes seconds here.
const SHORT: [&str; 14] = [
    "--seed",
    "1",
    "--span",
    "4",
    "--gone",
    "3",
    "--lease-seconds",
    "2",
    "--checkpoint-every",
    "256",
    "--workers",
    "2",
    "--within",
    "60",
];

fn play(scenario: &str, more: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(["chaos", "--scenario", scenario]).args(SHORT).args(more);
    let played = command.output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&played.stdout), String::from_utf8_lossy(&played.stderr));
    assert!(played.status.success(), "{said}\n{failed}");
    assert!(said.contains("missing 0") || said.contains("skipped"), "{said}");
}

#[test]
fn one_node_is_killed_and_its_links_break() {
    play("crash,gateway", &["--targets", "6000", "--kills", "3"]);
}

#[test]
fn one_nodes_disk_is_full() {
    play("disk", &["--targets", "6000", "--kills", "1"]);
}

#[test]
fn nodes_redis_and_postgresql_are_killed() {
    play("kills", &["--targets", "20000", "--kills", "6"]);
}

#[test]
fn redis_is_emptied() {
    play("flush", &["--targets", "20000", "--kills", "2"]);
}

#[test]
fn redis_is_gone() {
    play("redis-gone", &["--targets", "20000"]);
}

#[test]
fn redis_fails_over() {
    play("sentinel", &["--targets", "20000", "--kills", "1"]);
}

#[test]
fn a_redis_cluster_loses_a_master() {
    play("redis-cluster", &["--targets", "20000", "--kills", "1"]);
}

#[test]
fn a_worker_sleeps_through_its_lease() {
    play("frozen", &["--targets", "20000"]);
}
