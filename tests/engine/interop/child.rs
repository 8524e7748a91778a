//! A server that runs as a child process, with its files in a folder of its own.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::bench::Identity;

pub(super) struct Server {
    folder: TempDir,
    child: Child,
    /// The line by which it said that it is ready.
    pub(super) ready: String,
}

/// A folder with the server's certificate (`cert.pem`) and key (`key.pem`).
pub(super) fn folder(identity: &Identity) -> TempDir {
    let folder = TempDir::with_prefix("fanfare-").unwrap();
    std::fs::write(folder.path().join("cert.pem"), &identity.certificate).unwrap();
    std::fs::write(folder.path().join("key.pem"), &identity.key).unwrap();
    folder
}

impl Server {
    /// Starts it and waits for the line that has `word` in it, on either of its outputs.
    pub(super) fn start(folder: TempDir, command: &mut Command, package: &str, word: &str) -> Self {
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("package {package} is needed: {error}"));
        let (tell, lines) = channel();
        hear(child.stdout.take().unwrap(), tell.clone());
        hear(child.stderr.take().unwrap(), tell);
        let mut said = Vec::new();
        let ready = lines.iter().find(|line| {
            said.push(line.clone());
            line.contains(word)
        });
        let Some(ready) = ready else {
            child.wait().unwrap();
            panic!("{package} ended: {said:?}");
        };
        Self { folder, child, ready }
    }

    /// Tells it to end, waits until it has, and answers what it wrote down in `seen.log`: a path and a body on each
    /// line, the body `-` when there was none.
    pub(super) fn end(mut self, signal: Signal) -> Vec<(String, Vec<u8>)> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap();
        let text = std::fs::read_to_string(self.folder.path().join("seen.log")).unwrap();
        let line = |line: &str| {
            let (path, body) = line.split_once(' ').unwrap();
            (path.to_owned(), if body == "-" { Vec::new() } else { body.as_bytes().to_vec() })
        };
        text.lines().map(line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        drop((self.child.kill(), self.child.wait()));
    }
}

/// Passes lines on, and reads further when nobody wants them, so that the server is never held up by what it says.
fn hear(from: impl Read + Send + 'static, tell: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
}
