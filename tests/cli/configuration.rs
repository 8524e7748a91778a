//! Broken configurations: exit status 2 and exactly one line, the same from every command that reads one.

use crate::world::fanfare;

#[tokio::test]
async fn ten_broken_configurations_and_their_lines() {
    let cases = [
        (
            "[server]\nlisen = '127.0.0.1:1'",
            "server.lisen: unknown key; the nearest known one is listen (got 127.0.0.1:1)",
        ),
        ("[sevrer]", "sevrer: unknown key; the nearest known one is server (got a section)"),
        (
            "[worker]\nleese_seconds = 3",
            "worker.leese_seconds: unknown key; the nearest known one is lease_seconds (got 3)",
        ),
        ("[admin]\nky = 'hush'", "admin.ky: unknown key; the nearest known one is key (got ***)"),
        (
            "[hubs.demo.apns]\nbundle = 'x'",
            "hubs.demo.apns.bundle: unknown key; known ones are endpoint, topic, team_id, key_id, key, key_file, cert_file, \
             cert_key, cert_key_file, ca_file, connections, rate_per_second (got x)",
        ),
        ("[server]\ndrain_seconds = 'soon'", "server.drain_seconds: must be a whole number from 0 to 3600 (got soon)"),
        (
            "[store]\nurl = 'mysql://root:hush@h/db'",
            "store.url: must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE (got mysql://root:***@h/db)",
        ),
        ("[admin]\nkey_file = 5", "admin.key_file: must be text in quotes (got 5)"),
        ("queue = 'memory:'", "queue: must be a section (got memory:)"),
        ("[worker]\ntransport = 'quic'", "worker.transport: must be one of frames, h2 (got quic)"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (text, line) in cases {
        std::fs::write(folder.path().join("fanfare.toml"), text).unwrap();
        for command in ["check", "serve", "migrate", "doctor"] {
            let ran = fanfare(folder.path(), &[command, "--config", "fanfare.toml"], &[], "").await.expect(2);
            assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", format!("config: {line}\n").as_str()), "{command}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
}
