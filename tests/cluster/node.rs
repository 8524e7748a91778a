//! One process of the service.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::fleet::ADMIN;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// How long a stop may take: more than `server.drain_seconds`.
const STOP: Duration = Duration::from_secs(30);

/// A process; killed when dropped.
pub struct Node {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    listens: Receiver<SocketAddr>,
}

/// One that listens.
pub struct Listening {
    pub node: Node,
    pub address: SocketAddr,
    pub admin: Client,
}

impl Node {
    /// Starts the binary in a folder with these settings, and nothing else of ours in its environment.
    pub fn start(folder: &Path, arguments: &[&str], settings: &[(String, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FANFARE")) {
            command.env_remove(name);
        }
        command.current_dir(folder).args(arguments).envs(settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let (found, listens) = channel();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), said.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let address =
                    line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
                kept.lock().push(line);
                if let Some(address) = address {
                    let _ = found.send(address);
                }
            }
        });
        Self { child, said, listens }
    }

    /// Waits until it takes requests.
    pub fn listening(mut self) -> Listening {
        let end = Instant::now() + START;
        loop {
            if let Ok(address) = self.listens.recv_timeout(Duration::from_millis(50)) {
                return Listening { address, admin: Client::bearer(address, ADMIN), node: self };
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{ended:?} {:#?}", self.said());
        }
    }

    /// What it has written to its log.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().clone()
    }

    /// Waits until it has said this.
    pub fn until_said(&self, words: &str) {
        let end = Instant::now() + START;
        while !self.said.lock().iter().any(|line| line.contains(words)) {
            assert!(Instant::now() < end, "never said {words}: {:#?}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM.
    pub fn signal(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + STOP;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end: {:#?}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Listening {
    /// SIGTERM, and its end with status 0.
    pub fn stop(mut self) {
        self.node.signal();
        let status = self.node.ended();
        assert_eq!(status.code(), Some(0), "{:#?}", self.node.said());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
