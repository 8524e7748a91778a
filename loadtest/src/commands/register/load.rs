//! New installations by single PUTs over many connections.
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    client::{Connection, connection::Peer},
    devices::Devices,
    progress::Progress,
};

/// The work that connections take from.
#[derive(Debug)]
struct Work {
    path: String,
    devices: Devices,
    next: AtomicU64,
    end: u64,
    pipeline: u64,
    progress: Progress,
    done: AtomicU64,
}

/// Returns how long it took from the first request to the last answer; connections are opened before.
///
/// # Errors
/// When a connection breaks or a registration is refused.
pub(super) async fn register(
    peer: &Peer,
    path: &str,
    devices: Devices,
    range: Range<u64>,
    connections: u32,
    pipeline: u32,
) -> anyhow::Result<Duration> {
    let mut open = Vec::with_capacity(connections as usize);
    for number in 0..connections {
        open.push(Connection::open(peer).await.with_context(|| format!("connection {number}"))?);
    }
    let work = Arc::new(Work {
        path: path.to_owned(),
        devices,
        progress: Progress::new("registering", range.end - range.start),
        next: AtomicU64::new(range.start),
        end: range.end,
        pipeline: u64::from(pipeline),
        done: AtomicU64::new(0),
    });
    let started = Instant::now();
    let mut running = JoinSet::new();
    for connection in open {
        running.spawn(put_until_done(connection, Arc::clone(&work)));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(started.elapsed())
}

async fn put_until_done(mut connection: Connection, work: Arc<Work>) -> anyhow::Result<()> {
    loop {
        let first = work.next.fetch_add(work.pipeline, Ordering::Relaxed);
        let numbers = first..(first + work.pipeline).min(work.end);
        if numbers.is_empty() {
            return Ok(());
        }
        for n in numbers.clone() {
            let path = format_args!("{}/{}", work.path, work.devices.id(n));
            connection.push("PUT", path, |body| work.devices.write_document(n, body));
        }
        connection.flush().await?;
        for n in numbers {
            let answer = connection.answer().await?;
            let text = || String::from_utf8_lossy(answer.body).into_owned();
            ensure!((200..300).contains(&answer.status), "installation {n} was answered {}: {}", answer.status, text());
            let done = work.done.fetch_add(1, Ordering::Relaxed) + 1;
            // The bar has a lock; a thousandth of the way is often enough.
            if done.is_multiple_of(1000) {
                work.progress.at(done);
            }
        }
    }
}
