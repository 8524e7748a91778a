//! What a request costs in allocations in steady state: none. What is left is by batch, by pile of replies and by TLS
//! record, each of which holds dozens of requests.
//!
//! The sink is a process of its own, so that every allocation counted here is the sender's. Those of the test's thread are
//! the worker's side (batches, accounting of replies), all others the engine's: gateway, session, connection, TLS.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use fanfare::gateway::connect::Client;
use loadtest::{
    compare::{BODY, Task, senders::send_through_gateway},
    gateways::lean::LeanCredentials,
};

/// The system's allocator, counted.
struct Counting;

static ENGINE: AtomicU64 = AtomicU64::new(0);
static WORKER: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Set on the thread of the worker's side. Neither made nor dropped, so that it may be read while allocating.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    let of = if IS_WORKER.get() { &WORKER } else { &ENGINE };
    of.fetch_add(1, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "there is no other way to count allocations; every call is passed on as it came")]
// SAFETY: all methods pass their arguments to `System`, whose contract is the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Ended when dropped.
struct Sink(Child);

impl Sink {
    fn start(dir: &std::path::Path) -> (Self, LeanCredentials) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        command.args(["gateways", "--lean", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--dir"]).arg(dir);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        (Self(child), serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Allocations of a whole run, the engine's and the worker's: so many requests, on one connection with 1,000 streams.
async fn allocations(of: &LeanCredentials, requests: u64) -> [u64; 2] {
    let address: std::net::SocketAddr = of.endpoint.trim_start_matches("https://").parse().unwrap();
    let task = Task {
        endpoint: of.endpoint.clone(),
        host: address.ip().to_string(),
        port: address.port(),
        ca_file: of.ca_file.clone(),
        topic: of.topic.clone(),
        team_id: of.team_id.clone(),
        key_id: of.key_id.clone(),
        key_file: of.key_file.clone(),
        authorization: String::new(),
        body: BODY.to_owned(),
        tokens: Vec::new(),
        seed: 1,
        connections: 1,
        streams: 1_000,
        warm_up: 1_000,
        requests,
    };
    let counts = || [&ENGINE, &WORKER].map(|count| count.load(Ordering::Relaxed));
    let before = counts();
    let done = send_through_gateway(&task, Client::Frames).await.unwrap();
    assert_eq!(done.outcomes.values().sum::<u64>(), requests + 1_000);
    let after = counts();
    std::array::from_fn(|at| after[at] - before[at])
}

/// Two runs that differ by 100,000 requests.
#[tokio::test]
async fn a_request_costs_no_allocation() {
    IS_WORKER.set(true);
    let dir = tempfile::tempdir().unwrap();
    let (_sink, of) = Sink::start(dir.path());
    let (short, long) = (allocations(&of, 100_000).await, allocations(&of, 200_000).await);
    let [engine, worker] = std::array::from_fn(|at| long[at].saturating_sub(short[at]) as f64 / 100_000.0);
    let shown = format!(
        "a request: engine {engine}, worker {worker} (engine and worker of 100,000: {short:?}, of 200,000: {long:?})"
    );
    assert!(engine < 0.1 && worker < 0.2, "{shown}");
    assert!(engine > 0.0 && worker > 0.0, "nothing was counted: {shown}");
    eprintln!("{shown}");
}
