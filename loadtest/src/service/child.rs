//! One child process and the thread that keeps it.
//!
//! The keeper starts the process, samples it, ends it when told and notices when it ends by itself. It is one thread for
//! the whole life of the process because the kernel ties a child to the thread that started it: a child that asked to die
//! with its parent (see [`Command::Fanfare`](crate::commands::fanfare)) dies with that thread.
use std::{
    io,
    process::{Child as Process, Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use super::usage::Usage;

/// Between two looks at a process that is to stand still.
const LOOK: Duration = Duration::from_millis(1);
/// Between two samples.
const INTERVAL: Duration = Duration::from_millis(20);

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    orders: Sender<Signal>,
    samples: Arc<Samples>,
    exit: watch::Receiver<Option<ExitStatus>>,
    keeper: Option<JoinHandle<()>>,
}

/// What was sampled so far.
#[derive(Debug, Default)]
struct Samples {
    cpu_micros: AtomicU64,
    anonymous_peak: AtomicU64,
}

impl Samples {
    fn take(&self, pid: u32) -> Option<Usage> {
        let usage = Usage::of(pid).ok()?;
        self.cpu_micros.fetch_max(u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.anonymous_peak.fetch_max(usage.anonymous, Ordering::Relaxed);
        Some(usage)
    }
}

impl Child {
    /// Starts the command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(command: Command) -> io::Result<Self> {
        let (orders, ordered) = channel();
        let (exited, exit) = watch::channel(None);
        let (started, starting) = tokio::sync::oneshot::channel();
        let samples = Arc::new(Samples::default());
        let kept = Arc::clone(&samples);
        let keep = move || keep(command, started, &ordered, &kept, &exited);
        let keeper = std::thread::Builder::new().name("keeper".to_owned()).spawn(keep)?;
        let pid = starting.await.map_err(|_| io::Error::other("the keeper ended"))??;
        Ok(Self { pid, orders, samples, exit, keeper: Some(keeper) })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// CPU used so far; after the end that of the last sample.
    pub fn cpu(&self) -> Duration {
        if self.exit.borrow().is_none() {
            self.samples.take(self.pid);
        }
        Duration::from_micros(self.samples.cpu_micros.load(Ordering::Relaxed))
    }

    /// Anonymous memory now; 0 after the end.
    pub fn anonymous(&self) -> u64 {
        if self.exit.borrow().is_some() {
            return 0;
        }
        self.samples.take(self.pid).map_or(0, |usage| usage.anonymous)
    }

    /// The highest anonymous memory that a sample saw.
    pub fn anonymous_peak(&self) -> u64 {
        self.samples.anonymous_peak.load(Ordering::Relaxed)
    }

    /// Forgets the highest sample, so that the next one is that of what follows.
    pub fn forget_peak(&self) {
        self.samples.anonymous_peak.store(0, Ordering::Relaxed);
    }

    /// Returns when the process has ended; `None` when nobody can say how.
    pub async fn ended(&self) -> Option<ExitStatus> {
        let mut exit = self.exit.clone();
        let status = exit.wait_for(Option::is_some).await.ok()?;
        *status
    }

    /// SIGKILL: no destructor, no flush. Returns when it is gone.
    pub async fn kill9(&self) -> Option<ExitStatus> {
        self.order(Signal::KILL);
        self.ended().await
    }

    /// SIGSTOP: it holds everything and does nothing, until [`Self::wake`]. Returns when each of its threads stands still,
    /// or it has ended.
    pub async fn freeze(&self) {
        self.order(Signal::STOP);
        while self.exit.borrow().is_none() && !stands_still(self.pid) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// SIGCONT
    pub fn wake(&self) {
        self.order(Signal::CONT);
    }

    /// SIGHUP
    pub fn hang_up(&self) {
        self.order(Signal::HUP);
    }

    /// An error would mean that the keeper is gone, which it is only after the end of the process.
    fn order(&self, signal: Signal) {
        let _ = self.orders.send(signal);
    }

    /// SIGTERM, and SIGKILL when it is not gone `within` that time: then `None`.
    pub async fn terminate(&self, within: Duration) -> Option<ExitStatus> {
        self.order(Signal::TERM);
        match tokio::time::timeout(within, self.ended()).await {
            Ok(status) => status,
            Err(_) => {
                self.kill9().await;
                None
            }
        }
    }
}

/// Killed and waited for, so that its folder can be removed afterwards.
impl Drop for Child {
    fn drop(&mut self) {
        self.order(Signal::KILL);
        if let Some(keeper) = self.keeper.take() {
            drop(keeper.join());
        }
    }
}

fn keep(
    mut command: Command,
    started: tokio::sync::oneshot::Sender<io::Result<u32>>,
    orders: &Receiver<Signal>,
    samples: &Samples,
    exited: &watch::Sender<Option<ExitStatus>>,
) {
    let mut process = match command.spawn() {
        Ok(process) => process,
        Err(error) => {
            drop(started.send(Err(error)));
            return;
        }
    };
    let pid = process.id();
    drop(started.send(Ok(pid)));
    loop {
        let signal = match orders.recv_timeout(INTERVAL) {
            Ok(signal) => Some(signal),
            Err(RecvTimeoutError::Disconnected) => Some(Signal::KILL),
            Err(RecvTimeoutError::Timeout) => None,
        };
        samples.take(pid);
        let killed = signal == Some(Signal::KILL);
        if let Some(signal) = signal {
            send(&process, signal);
        }
        // Waiting reaps it: until here the pid cannot have become another process.
        match if killed { process.wait().map(Some) } else { process.try_wait() } {
            Ok(None) => {}
            Ok(Some(status)) => {
                exited.send_replace(Some(status));
                return;
            }
            Err(_) => return,
        }
    }
}

/// Whether all threads are stopped. One that is gone counts as well.
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state stands behind the name, which may hold anything.
        stat.rfind(')').is_none_or(|end| matches!(stat.get(end + 2..end + 3), Some("T" | "Z")))
    })
}

fn send(process: &Process, signal: Signal) {
    if let Some(pid) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
        // It may have ended already, which the wait that follows finds out.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::process::ExitStatusExt};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_kill_ends_it_and_its_cpu_stays_known() {
        let child = Child::start(shell("while :; do :; done")).await.unwrap();
        while child.cpu() < Duration::from_millis(30) {
            tokio::task::yield_now().await;
        }
        assert!(child.anonymous() > 0);
        assert_eq!(child.kill9().await.unwrap().signal(), Some(9));
        assert!(child.cpu() >= Duration::from_millis(30));
        assert_eq!(child.anonymous(), 0);
        assert!(child.anonymous_peak() > 0);
    }

    #[tokio::test]
    async fn one_that_ends_by_itself_is_noticed() {
        let child = Child::start(shell("exit 3")).await.unwrap();
        assert_eq!(child.ended().await.unwrap().code(), Some(3));
        assert!(Child::start(Command::new("/nonexistent")).await.is_err());
    }

    /// Started, and past the first line that its script writes.
    async fn started(script: &str) -> Child {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = shell(script);
        command.stdout(writer);
        let child = Child::start(command).await.unwrap();
        reader.read_exact(&mut [0]).unwrap();
        child
    }

    #[tokio::test]
    async fn one_that_heeds_the_signal_ends_its_own_way() {
        let child = started("trap 'exit 7' TERM; echo; while :; do :; done").await;
        assert_eq!(child.terminate(Duration::from_secs(60)).await.unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn a_frozen_one_does_nothing_until_it_is_woken() {
        let child = started("echo; while :; do :; done").await;
        child.freeze().await;
        assert!(stands_still(child.pid()));
        child.wake();
        while stands_still(child.pid()) {
            tokio::task::yield_now().await;
        }
        // Frozen or not, a kill ends it.
        child.freeze().await;
        assert_eq!(child.kill9().await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn a_deaf_one_is_killed_after_its_time() {
        let child = started("trap '' TERM; echo; exec sleep 600").await;
        assert_eq!(child.terminate(Duration::from_millis(100)).await, None);
        assert_eq!(child.ended().await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn dropping_it_ends_it() {
        let child = Child::start(shell("exec sleep 600")).await.unwrap();
        let pid = Pid::from_raw(i32::try_from(child.pid()).unwrap()).unwrap();
        drop(child);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
