//! The threads that send. Each runs a single-threaded runtime and owns whole connections, so that requests of many
//! streams leave in one write and answers of many come in one read (figures.md section 2). Made once per process and
//! shared by all gateways.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::connect::Client;

type LocalTask = Pin<Box<dyn Future<Output = ()>>>;
type Errand = Box<dyn FnOnce() -> LocalTask + Send>;

/// How long a thread lets answers gather that would come in dribs and drabs: nothing beside a round trip to a push
/// service, and it makes one read of many (`figures.md` section 1).
const GATHERING: Duration = Duration::from_micros(150);

/// A thread's wish to let answers gather before it looks for more. Any connection of the thread may have it; the thread
/// grants it once, when it has nothing else to do.
#[derive(Clone, Debug, Default)]
pub struct Gathering(Arc<AtomicBool>);

impl Gathering {
    /// Wishes it.
    pub fn wish(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[expect(clippy::disallowed_methods, reason = "timers are too coarse, and the thread has nothing else to do")]
    fn grant(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            std::thread::sleep(GATHERING);
        }
    }
}

/// The sending threads of a process. When it is dropped they end, and with them every connection; gateways are closed
/// before that.
#[derive(Debug)]
pub struct Senders {
    threads: Vec<Thread>,
    /// Gateways begin on different threads, so that those with one connection do not all share the first.
    next: AtomicUsize,
    client: Client,
}

#[derive(Debug)]
struct Thread {
    errands: mpsc::UnboundedSender<Errand>,
    handle: JoinHandle<()>,
    gathering: Gathering,
}

impl Senders {
    /// Starts that many threads, at least one. Fails when the system grants no more threads or handles.
    pub fn start(threads: usize) -> io::Result<Arc<Self>> {
        Self::start_with(threads, Client::default())
    }

    /// The same, and they send with this client.
    pub fn start_with(threads: usize, client: Client) -> io::Result<Arc<Self>> {
        let threads = (0..threads.max(1)).map(Thread::start).collect::<io::Result<_>>()?;
        Ok(Arc::new(Self { threads, next: AtomicUsize::new(0), client }))
    }

    /// What they send with.
    pub const fn client(&self) -> Client {
        self.client
    }

    /// How many.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// That of thread `at % threads`.
    pub fn gathering(&self, at: usize) -> Gathering {
        self.threads[at % self.threads.len()].gathering.clone()
    }

    /// A number to count a gateway's connections from.
    pub fn stagger(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Runs a task on thread `at % threads`: made there, so that it need not be `Send`.
    pub fn spawn<F, T>(&self, at: usize, task: F)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = ()> + 'static,
    {
        let thread = &self.threads[at % self.threads.len()];
        // A thread only ends with the pool, so there is nobody to tell of an errand that it does not take.
        let _ = thread.errands.send(Box::new(move || Box::pin(task())));
    }

    /// Ends the threads and waits for them. Tasks still running are dropped.
    pub fn stop(self) {
        for Thread { errands, handle, .. } in self.threads {
            drop(errands);
            let _ = handle.join();
        }
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<Self> {
        let gathering = Gathering::default();
        let granted = gathering.clone();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().on_thread_park(move || granted.grant()).build()?;
        let (errands, mut arriving) = mpsc::unbounded_channel::<Errand>();
        let handle = std::thread::Builder::new().name(format!("fanfare-send-{number}")).spawn(move || {
            let tasks = LocalSet::new();
            tasks.block_on(&runtime, async {
                while let Some(errand) = arriving.recv().await {
                    tokio::task::spawn_local(errand());
                }
            });
        })?;
        Ok(Self { errands, handle, gathering })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_run_on_their_thread_and_end_with_the_pool() {
        let senders = Senders::start(2).unwrap();
        let (tell, mut told) = mpsc::unbounded_channel();
        for at in 0..4 {
            let tell = tell.clone();
            senders.spawn(at, move || async move {
                let name = std::thread::current().name().map(str::to_owned);
                tell.send((at, name)).unwrap();
                std::future::pending::<()>().await;
            });
        }
        drop(tell);
        for _ in 0..4 {
            let (at, name) = told.recv().await.unwrap();
            assert_eq!(name, Some(format!("fanfare-send-{}", at % 2)));
        }
        tokio::task::spawn_blocking(move || Arc::into_inner(senders).unwrap().stop()).await.unwrap();
        assert_eq!(told.recv().await, None);
    }
}
