//! A change is told once, though the process is killed between the row's commit and its broadcast (`kill -9` of the real
//! program), or between the broadcast and the note that it went out.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use super::engines::Server;
use super::told::audiences;
use super::*;
use crate::world::ADMIN;

const TOLD: &str = "
[hubs.demo]
weight = 1
[mobile]
hub = 'demo'
[mobile.tables.list.on_change]
audience = 'list:{{list}}'
template = { msg = 'changed' }
min_interval_seconds = 3
";

/// How often it dies at once.
const DEATHS: usize = 6;

/// `fanfare serve`, killed when dropped.
struct Process {
    child: Child,
    /// Open as long as the process: it must not die of a log line.
    _stderr: BufReader<ChildStderr>,
    client: Client,
    admin: Client,
}

impl Process {
    /// Starts it and returns when it listens.
    fn start(folder: &Path, store: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.current_dir(folder).args(["serve", "--config", "fanfare.toml"]).env_remove("FANFARE_LOG");
        command.env("FANFARE__SERVER__LISTEN", "127.0.0.1:0").env("FANFARE__ADMIN__KEY", ADMIN);
        command.env("FANFARE__STORE__URL", store).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let begun = said.len();
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
            let line = &said[begun..];
            let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            if let Some(address) = address {
                break address;
            }
        };
        Self { child, _stderr: stderr, client: Client::new(address, None), admin: Client::bearer(address, ADMIN) }
    }

    async fn change(&self, list: &str) {
        post(&self.client, "list", json!({"list": list})).await;
    }

    /// SIGKILL; returns when it is gone.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often each audience was told.
fn counted(all: &[String], audience: &str) -> usize {
    all.iter().filter(|told| *told == audience).count()
}

async fn play(store: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fanfare.toml"), TOLD).unwrap();
    let start = || Process::start(folder.path(), store);
    // An audience that rests after its first broadcast: what changes then is committed and not told yet.
    let process = start();
    process.change("home").await;
    assert_eq!(audiences(&process.admin, 1).await, ["list:home"]);
    process.change("home").await;
    let told = audiences(&process.admin, 1).await;
    process.kill();
    assert_eq!(told, ["list:home"], "the change was committed and not told when the process died");
    // Audiences that do not rest: it dies with the answer to the write, wherever the broadcast is by then.
    for number in 0..DEATHS {
        let process = start();
        process.change(&format!("other-{number}")).await;
        process.kill();
    }
    let process = start();
    audiences(&process.admin, DEATHS + 2).await;
    // What is owed is told in the order in which it came due: after this one nothing older is left.
    process.change("last").await;
    let all = loop {
        let all = audiences(&process.admin, DEATHS + 3).await;
        if counted(&all, "list:last") == 1 {
            break all;
        }
    };
    assert_eq!(counted(&all, "list:home"), 2, "{all:?}");
    for number in 0..DEATHS {
        assert_eq!(counted(&all, &format!("list:other-{number}")), 1, "{all:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_once_though_the_process_is_killed_before_its_broadcast() {
    play("sqlite:fanfare.db").await;
    let server = Server::start().await;
    play(&server.database()).await;
}
