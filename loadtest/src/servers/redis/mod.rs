//! Redis: one server, a master with a replica behind Sentinels, a Cluster of three masters.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

mod cluster;
mod sentinels;

pub use cluster::Cluster;
pub use sentinels::Sentinels;

use super::free_port;
use super::process::Process;
pub use super::resp::Reply;
use super::resp::ask;

/// The program; found on the path.
const PROGRAM: &str = "redis-server";

/// A server that is not ready by then never will be.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often is looked whether something has come about.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One `redis-server`. It keeps nothing on disk unless it is told to: a restart is then a loss of everything.
#[derive(Debug)]
pub struct Redis {
    folder: tempfile::TempDir,
    port: u16,
    options: Vec<String>,
    process: Option<Process>,
}

impl Redis {
    /// Starts a server without persistence.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server that writes every change down before it answers, so that a restart loses nothing.
    pub async fn start_durable() -> Result<Self> {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// Starts a server with these words on its command line, such as `--requirepass`, `secret`.
    pub async fn start_with(options: &[&str]) -> Result<Self> {
        let options = options.iter().map(|&word| word.to_owned()).collect();
        let mut server = Self { folder: tempfile::tempdir()?, port: free_port()?, options, process: None };
        server.restart().await?;
        Ok(server)
    }

    /// The port on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address as `queue.url` writes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Ends it where it stands, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// Freezes it: connections stay and nothing is answered.
    pub fn freeze(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::STOP);
        }
    }

    /// Lets a frozen one go on.
    pub fn thaw(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::CONT);
        }
    }

    /// Starts it on its port and folder again, and waits until it answers.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop();
        let port = self.port.to_string();
        let mut words = vec!["--port", &port, "--bind", "127.0.0.1", "--save", "", "--protected-mode", "no"];
        words.extend(self.options.iter().map(String::as_str));
        self.process = Some(Process::start(PROGRAM, &words, self.folder.path())?);
        until("redis-server answers", || match self.ask(&["PING"]) {
            Ok(Reply::Refused(why)) => why.starts_with("NOAUTH"),
            answer => answer.is_ok(),
        })
        .await
    }

    /// Empties it.
    pub fn flush(&self) -> Result<()> {
        self.ask(&["FLUSHALL"]).map(drop)
    }

    /// Sends one command.
    pub fn ask(&self, words: &[&str]) -> Result<Reply> {
        ask(self.port, words)
    }

    /// One figure of `INFO`, such as `used_memory`.
    pub fn info(&self, name: &str) -> Result<String> {
        let answer = self.ask(&["INFO", "everything"])?;
        let lines = answer.text().context("INFO is text")?.lines();
        let value = lines.filter_map(|line| line.split_once(':')).find(|(key, _)| *key == name);
        Ok(value.with_context(|| format!("INFO has no {name}"))?.1.to_owned())
    }

    /// Bytes that its data takes: what it uses beyond what it used when it was empty.
    pub fn used_memory(&self) -> Result<u64> {
        Ok(self.info("used_memory")?.parse()?)
    }
}

/// Waits until something has come about.
async fn until(what: &str, mut reached: impl FnMut() -> bool) -> Result<()> {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !reached() {
        if tokio::time::Instant::now() > end {
            bail!("waited in vain until {what}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
