//! Tables: a broken configuration and the exact line that refuses it. Hubs and apps have their own (`refused_hubs`).
use super::refusal;

pub(super) const KEYS: &str = "[hubs.demo.keys.full]\n";
pub(super) const APNS: &str = "[hubs.demo.apns]\n";
pub(super) const WNS: &str = "[hubs.demo.wns]\n";
const ADDRESS: &str = "must be IP:PORT, such as 127.0.0.1:8080 or [::]:8080";

pub(super) fn all(cases: &[(&str, &str, &str)]) {
    for (section, body, expected) in cases {
        assert_eq!(refusal(&format!("{section}{body}"), &[]), format!("config: {expected}"), "{section}{body}");
    }
}

#[test]
fn unknown_keys_name_the_nearest() {
    all(&[
        ("", "srver = 1", "srver: unknown key; the nearest known one is server (got 1)"),
        ("", "[sevrer]", "sevrer: unknown key; the nearest known one is server (got a section)"),
        (
            "[server]\n",
            "port = 80",
            "server.port: unknown key; known ones are listen, drain_seconds, start_seconds, tls (got 80)",
        ),
        (
            "[worker]\n",
            "leas_seconds = 3",
            "worker.leas_seconds: unknown key; the nearest known one is lease_seconds (got 3)",
        ),
        ("[hubs.demo]\n", "wieght = 2", "hubs.demo.wieght: unknown key; the nearest known one is weight (got 2)"),
        (
            "[hubs.'my.hub']\n",
            "wieght = 2",
            "hubs.\"my.hub\".wieght: unknown key; the nearest known one is weight (got 2)",
        ),
        (APNS, "topc = 'a.b'", "hubs.demo.apns.topc: unknown key; the nearest known one is topic (got a.b)"),
        (
            KEYS,
            "primry = 'hush'",
            "hubs.demo.keys.full.primry: unknown key; the nearest known one is primary (got ***)",
        ),
        (
            WNS,
            "client_secrte = 'hush'",
            "hubs.demo.wns.client_secrte: unknown key; the nearest known one is client_secret (got ***)",
        ),
        (
            "[mobile.api]\n",
            "password = 'hush'",
            "mobile.api.password: unknown key; known ones are upstream, access, timeout_seconds, ca_file (got ***)",
        ),
        (
            KEYS,
            "x = 'hush'",
            "hubs.demo.keys.full.x: unknown key; known ones are rights, primary, primary_file, secondary, secondary_file (got ***)",
        ),
    ]);
}

#[test]
fn server() {
    all(&[
        ("", "server = 5", "server: must be a section (got 5)"),
        ("[server]\n", "listen = 'localhost:80'", &format!("server.listen: {ADDRESS} (got localhost:80)")),
        ("[server]\n", "listen = '127.0.0.1:70000'", &format!("server.listen: {ADDRESS} (got 127.0.0.1:70000)")),
        ("[server]\n", "listen = 8080", "server.listen: must be text in quotes (got 8080)"),
        ("[server]\n", "listen = ''", &format!("server.listen: {ADDRESS} (got \"\")")),
        ("[server]\n", "listen = \"a\\nb\"", &format!("server.listen: {ADDRESS} (got a\\nb)")),
        ("[server]\n", "drain_seconds = -1", "server.drain_seconds: must be a whole number from 0 to 3600 (got -1)"),
        ("[server]\n", "drain_seconds = 1.5", "server.drain_seconds: must be a whole number from 0 to 3600 (got 1.5)"),
        (
            "[server.tls]\n",
            "cert_file = 'c'",
            &format!("server.tls.listen: must be given and {} (got nothing)", &ADDRESS[5..]),
        ),
        (
            "[server.tls]\n",
            "listen = '127.0.0.1:8080'",
            "server.tls.listen: must be another address than server.listen (got 127.0.0.1:8080)",
        ),
        ("[server.tls]\n", "listen = '127.0.0.1:1'\ncert_file = ''", "server.tls.cert_file: must be a path (got \"\")"),
    ]);
}

#[test]
fn store_and_queue() {
    const STORE: &str = "store.url: must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE";
    const QUEUE: &str = "queue.url: must be memory:, redis://HOST:PORT/DB, redis+sentinel://HOST:PORT,…/MASTER or redis+cluster://HOST:PORT,…";
    for (url, got) in [
        ("mysql://h/db", "mysql://h/db"),
        ("sqlite:", "sqlite:"),
        ("sqlite::memory:", "sqlite::memory:"),
        ("data.db", "data.db"),
        ("postgres://u:hush@h", "postgres://u:***@h"),
        ("postgres://u:hu/sh@h/db", "postgres://u:***@h/db"),
        ("postgres://u:hush@h:99999/db", "postgres://u:***@h:99999/db"),
    ] {
        assert_eq!(refusal(&format!("[store]\nurl = '{url}'"), &[]), format!("config: {STORE} (got {got})"));
    }
    for (url, got) in [
        ("memory", "memory"),
        ("rabbit://h", "rabbit://h"),
        ("redis://:hush@h/x", "redis://:***@h/x"),
        ("redis://h1,h2/0", "redis://h1,h2/0"),
        ("redis+sentinel://h1,h2", "redis+sentinel://h1,h2"),
        ("redis+cluster://h1:7000,h2:0", "redis+cluster://h1:7000,h2:0"),
    ] {
        assert_eq!(refusal(&format!("[queue]\nurl = '{url}'"), &[]), format!("config: {QUEUE} (got {got})"));
    }
}

#[test]
fn own_keys() {
    all(&[
        ("[admin]\n", "key = 'a b'", "admin.key: must be text without white space (got ***)"),
        ("[admin]\n", "key = ''", "admin.key: must not be empty (got ***)"),
        ("[admin]\n", "key = 5", "admin.key: must be text in quotes (got ***)"),
        ("[admin]\n", "key = 'a'\nkey_file = 'b'", "admin.key_file: must not stand beside key (got b)"),
        ("[secrets]\n", "key = 'abc'", "secrets.key: must be 64 hexadecimal digits (got ***)"),
        ("[secrets]\n", "previous_key_files = 'a'", "secrets.previous_key_files: must be a list of paths (got a)"),
        (
            "[secrets]\n",
            "key_file = 'a'\nprevious_key_files = ['a']",
            "secrets.previous_key_files: must not name secrets.key_file (got [\"a\"])",
        ),
        (
            "[secrets]\n",
            "key_file = 'data/admin.key'",
            "secrets.key_file: must be another file than admin.key_file (got data/admin.key)",
        ),
    ]);
}

#[test]
fn numbers() {
    all(&[
        (
            "[worker]\n",
            "sending_threads = 257",
            "worker.sending_threads: must be a whole number from 0 to 256 (got 257)",
        ),
        ("[worker]\n", "transport = 'h3'", "worker.transport: must be one of frames, h2 (got h3)"),
        (
            "[worker]\n",
            "shards_in_flight = 0",
            "worker.shards_in_flight: must be a whole number from 1 to 1024 (got 0)",
        ),
        (
            "[worker]\n",
            "checkpoint_every = 0",
            "worker.checkpoint_every: must be a whole number from 1 to 1000000 (got 0)",
        ),
        (
            "[worker]\n",
            "lease_seconds = true",
            "worker.lease_seconds: must be a whole number from 1 to 3600 (got true)",
        ),
        ("[worker]\n", "max_attempts = '8'", "worker.max_attempts: must be a whole number from 1 to 100 (got 8)"),
        ("[limits]\n", "body_bytes = 1", "limits.body_bytes: must be a whole number from 1024 to 1073741824 (got 1)"),
        (
            "[limits]\n",
            "expression_depth = 9999",
            "limits.expression_depth: must be a whole number from 1 to 256 (got 9999)",
        ),
        ("[limits]\n", "tag_length = 0", "limits.tag_length: must be a whole number from 1 to 1024 (got 0)"),
        (
            "[retention]\n",
            "broadcast_days = 0",
            "retention.broadcast_days: must be a whole number from 1 to 3650 (got 0)",
        ),
        (
            "[retention]\n",
            "max_gigabytes = -5",
            "retention.max_gigabytes: must be a whole number from 0 to 1000000 (got -5)",
        ),
    ]);
}

#[test]
fn the_environment_is_refused_alike() {
    for (name, value, expected) in [
        ("FANFARE__SERVER__LISTEN", "x", &*format!("server.listen: {ADDRESS} (got x)")),
        ("FANFARE__SERVER__LISEN", "x", "server.lisen: unknown key; the nearest known one is listen (got x)"),
        ("FANFARE__SERVER", "x", "server: must be a section (got x)"),
        (
            "FANFARE__WORKER__MAX_ATTEMPTS",
            "many",
            "worker.max_attempts: must be a whole number from 1 to 100 (got many)",
        ),
        ("FANFARE__SERVER____LISTEN", "hush", "FANFARE__SERVER____LISTEN: must be FANFARE__SECTION__KEY (got ***)"),
        ("FANFARE__", "hush", "FANFARE__: must be FANFARE__SECTION__KEY (got ***)"),
        (
            "FANFARE__HUBS__DEMO__KEYS__X__PRIMRY",
            "hush",
            "hubs.demo.keys.x.primry: unknown key; the nearest known one is primary (got ***)",
        ),
    ] {
        assert_eq!(refusal("", &[(name, value)]), format!("config: {expected}"));
    }
}

#[test]
fn the_first_offence_is_always_the_same() {
    let toml = "[worker]\nmax_attempts = 0\n[server]\nzz = 1\ndrain_seconds = -1\n[hubs.b]\nweight = 0\n[hubs.a]\nweight = 0\n";
    assert_eq!(
        refusal(toml, &[]),
        "config: server.zz: unknown key; known ones are listen, drain_seconds, start_seconds, tls (got 1)"
    );
}
