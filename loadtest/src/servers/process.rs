//! One process of a server: started in its folder, ended by its id.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A process that is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts it; what it prints goes to `log` in its folder.
    pub(super) fn start(program: &str, arguments: &[impl AsRef<OsStr>], folder: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(folder.join("log"))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        Ok(Self { child })
    }

    /// Sends it a signal. One that has ended already is no failure.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends it where it stands, as `kill -9` does, and waits for its end.
    pub(super) fn kill(&mut self) {
        // One that has ended already cannot be killed; either way it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end and waits until it has.
    pub(super) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A frozen one cannot end before it goes on.
        self.signal(Signal::CONT);
        self.kill();
    }
}
