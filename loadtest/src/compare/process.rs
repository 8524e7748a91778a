//! Processes bound to a core.
use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, PipeReader, Read},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};

use crate::service::child::Child;

/// Cores that the receiver and the senders are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    pub receiver: u32,
    pub sender: u32,
    /// Whether `taskset` is there to bind them.
    bind: bool,
}

impl Cores {
    /// The first and the last that this process may use.
    ///
    /// # Errors
    /// When /proc does not say.
    pub fn choose() -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
        let (receiver, sender) = allowed(&status).context("/proc/self/status names no allowed core")?;
        Ok(Self { receiver, sender, bind: find("taskset").is_some() })
    }

    /// A sentence for the sheet.
    pub fn describe(self) -> String {
        let Self { receiver, sender, bind } = self;
        match bind {
            false => "nothing is bound to a core: there is no taskset".to_owned(),
            true if receiver == sender => "a single core, which receiver and senders share".to_owned(),
            true => format!("receiver on core {receiver}, senders on core {sender}"),
        }
    }

    /// A command on that core.
    pub(super) fn command(self, core: u32, program: &OsStr) -> Command {
        if !self.bind {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.arg("-c").arg(core.to_string()).arg(program);
        command
    }
}

/// The ends of `Cpus_allowed_list`, such as `0-1` or `0,2-5`.
fn allowed(status: &str) -> Option<(u32, u32)> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim();
    let mut ends = list.split([',', '-']).map(|core| core.parse().ok());
    let first = ends.next()??;
    Some((first, ends.next_back().flatten().unwrap_or(first)))
}

/// Where a program lies, by `PATH`.
pub(super) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A process and what it writes to stdout.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) child: Child,
    out: Option<BufReader<PipeReader>>,
}

impl Spoken {
    pub(super) async fn start(mut command: Command) -> anyhow::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer);
        let shown = format!("{command:?}");
        let child = Child::start(command).await.with_context(|| format!("cannot start {shown}"))?;
        Ok(Self { child, out: Some(BufReader::new(reader)) })
    }

    /// The first line.
    pub(super) async fn line(&mut self) -> anyhow::Result<String> {
        let mut out = self.out.take().context("its output was taken")?;
        let (line, out) = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            out.read_line(&mut line).map(|_| (line, out))
        })
        .await??;
        self.out = Some(out);
        if line.is_empty() {
            bail!("it ended without a word");
        }
        Ok(line)
    }

    /// All that it writes until it ends, and its CPU in steps of 10 ms.
    pub(super) async fn output(mut self, within: Duration) -> anyhow::Result<(String, Duration)> {
        let mut out = self.out.take().context("its output was taken")?;
        let reading = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).map(|_| text)
        });
        let status = tokio::time::timeout(within, self.child.ended()).await;
        let status = status.with_context(|| format!("it did not end within {} s", within.as_secs()))?;
        let text = reading.await??;
        match status {
            Some(status) if status.success() => Ok((text, self.child.cpu())),
            Some(status) => bail!("{status}: {}", text.trim_end()),
            None => bail!("nobody knows how it ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_allowed_cores() {
        let of = |list: &str| allowed(&format!("Name:\tx\nCpus_allowed_list:\t{list}\n"));
        assert_eq!(of("0-1"), Some((0, 1)));
        assert_eq!(of("0,2-5"), Some((0, 5)));
        assert_eq!(of("3"), Some((3, 3)));
        assert_eq!(of(""), None);
        assert_eq!(allowed("Name:\tx\n"), None);
    }

    #[tokio::test]
    async fn output_and_failure_are_told() {
        let shell = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            Spoken::start(command)
        };
        let within = Duration::from_secs(60);
        let mut spoken = shell("echo first; echo second").await.unwrap();
        assert_eq!(spoken.line().await.unwrap(), "first\n");
        assert_eq!(spoken.output(within).await.unwrap().0, "second\n");
        let failed = shell("echo why; exit 3").await.unwrap().output(within).await.unwrap_err().to_string();
        assert!(failed.contains('3') && failed.contains("why"), "{failed}");
        assert!(shell("exec sleep 600").await.unwrap().output(Duration::from_millis(50)).await.is_err());
    }
}
