//! `fanfare serve` as a process: what it says, how it ends.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;

fn fanfare(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("FANFARE_LOG").env("FANFARE__SERVER__LISTEN", "127.0.0.1:0");
    command.envs(settings.iter().copied());
    command
}

/// A service that listens. One that a failed test leaves behind is killed.
struct Process {
    child: Child,
    /// Open as long as the process: it must not die of a log line.
    _stderr: BufReader<ChildStderr>,
    /// What it said until it listened.
    said: Vec<String>,
    address: SocketAddr,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = fanfare(folder, &["serve"], &[]).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = Vec::new();
        let address = loop {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                panic!("it ended: {said:?} {:?}", child.wait());
            }
            let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            said.push(line);
            if let Some(address) = address {
                break address;
            }
        };
        Self { child, _stderr: stderr, said, address }
    }

    fn terminate(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Exit status and everything on stderr.
fn refused(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[tokio::test]
async fn it_serves_without_a_configuration_and_stops_at_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let (said, address) = (&process.said, process.address);
    let key = std::fs::read_to_string(folder.path().join("data/admin.key")).unwrap();
    assert!(said.iter().any(|line| line.contains("data/admin.key")), "{said:?}");
    assert!(!said.iter().any(|line| line.contains(key.trim())), "no key where nobody looks: {said:?}");
    let admin = Client::bearer(address, key.trim());
    admin.get("/readyz").await.expect(200);
    admin.put("/v1/hubs/demo", &serde_json::json!({})).await.expect(201);
    assert_eq!(process.terminate().code(), Some(0));
    // The next one finds what the first one made, and has no fresh key to speak of.
    let process = Process::start(folder.path());
    let (said, address) = (&process.said, process.address);
    assert!(!said.iter().any(|line| line.contains("admin.key")), "{said:?}");
    Client::bearer(address, key.trim()).get("/v1/hubs/demo").await.expect(200);
    assert_eq!(process.terminate().code(), Some(0));
}

#[tokio::test]
async fn what_is_refused_is_one_line_and_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (&["serve"][..], ("FANFARE__SERVER__LISTEN", "nowhere"), "config: server.listen: must be IP:PORT"),
        (
            &["serve", "--role", "api"],
            ("FANFARE__STORE__URL", "postgres://h/db"),
            "config: queue.url: must be a queue that processes share",
        ),
        (
            &["serve"],
            ("FANFARE__STORE__URL", "postgres://h/db?sslmode=on"),
            "config: store.url: must be usable; sslmode",
        ),
        (&["serve", "--role", "worker"], ("A", ""), "config: store.url: must be a store that processes share"),
        (&["migrate"], ("FANFARE__STORE__URL", "mysql://h"), "config: store.url: must be sqlite:PATH"),
    ];
    for (arguments, setting, line) in cases {
        let (status, said) = refused(fanfare(folder.path(), arguments, &[setting]));
        assert_eq!((status, said.lines().count()), (Some(2), 1), "{arguments:?} {said}");
        assert!(said.starts_with(line), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
    let process = Process::start(folder.path());
    for arguments in [&["serve"][..], &["migrate"]] {
        let (status, said) = refused(fanfare(folder.path(), arguments, &[]));
        let line = "config: store.url: must be a file that no other process uses (got sqlite:data/fanfare.db)\n";
        assert_eq!((status, said.as_str()), (Some(2), line), "{arguments:?}");
    }
    assert_eq!(process.terminate().code(), Some(0));
    let migrated = fanfare(folder.path(), &["migrate"], &[]).output().unwrap();
    assert!(migrated.status.success() && migrated.stderr.is_empty(), "{migrated:?}");
}
