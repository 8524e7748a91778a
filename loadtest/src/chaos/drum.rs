//! Work that goes on while things break: devices register and small broadcasts are sent, each request made again until it
//! is answered. What was answered is owed.
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, bail};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{field::Door, letter::Letter};
use crate::{
    client::ClientError,
    devices::{Devices, Platform},
};

/// Between two devices of one drummer.
const BEAT: Duration = Duration::from_millis(60);
/// Between two small broadcasts.
const SEND_EVERY: Duration = Duration::from_millis(700);
/// A request that has no answer by then is made again elsewhere.
const PATIENCE: Duration = Duration::from_secs(4);
const AGAIN: Duration = Duration::from_millis(100);
/// How long after the faults a request may still find nobody who answers it.
const GRACE: Duration = Duration::from_secs(90);
const DRUMMERS: u64 = 3;

/// What was acknowledged.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// Devices from this number …
    pub from: u64,
    /// … up to this one are registered.
    pub to: u64,
    /// Small broadcasts with their ids.
    pub letters: Vec<(String, Letter)>,
}

/// Registers devices from `first` on and sends to some of the first `known`, until it is stopped.
///
/// # Errors
/// When a request is refused as wrong, or found no answer for long after the stop.
pub async fn beat(
    doors: Vec<Door>,
    devices: Devices,
    known: u64,
    seed: u64,
    stop: CancellationToken,
) -> anyhow::Result<Acknowledged> {
    let next = AtomicU64::new(known);
    let drummers = (0..DRUMMERS).map(|_| register(&doors, &devices, &next, &stop));
    let (registered, letters) = tokio::join!(join_all(drummers), send(&doors, &devices, known, seed, &stop));
    registered.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
    Ok(Acknowledged { from: known, to: next.into_inner(), letters: letters? })
}

async fn register(doors: &[Door], devices: &Devices, next: &AtomicU64, stop: &CancellationToken) -> anyhow::Result<()> {
    while !stopped_after(stop, BEAT).await {
        let n = next.fetch_add(1, Ordering::Relaxed);
        until_answered(doors, stop, n, Ask::Register(devices, n)).await?;
    }
    Ok(())
}

async fn send(
    doors: &[Door],
    devices: &Devices,
    known: u64,
    seed: u64,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<(String, Letter)>> {
    let mut draw = fastrand::Rng::with_seed(seed);
    let platforms: Vec<Platform> = devices.platforms();
    let mut letters = Vec::new();
    while !stopped_after(stop, SEND_EVERY).await {
        let number = letters.len();
        let audience = match draw.u32(0..3) {
            0 => format!("u:{}", draw.u64(0..known)),
            1 => format!("team:{} && news", draw.u32(0..100)),
            _ => format!("u:{} || u:{}", draw.u64(0..known), draw.u64(0..known)),
        };
        let letter = Letter::new(&format!("Small {number}"), &audience);
        let id = until_answered(doors, stop, number as u64, Ask::Send(&letter, &platforms)).await?;
        letters.push((id, letter));
    }
    Ok(letters)
}

/// Whether it is to stop; looked at for that long.
async fn stopped_after(stop: &CancellationToken, pause: Duration) -> bool {
    tokio::time::timeout(pause, stop.cancelled()).await.is_ok()
}

/// A request.
#[derive(Clone, Copy)]
enum Ask<'a> {
    Register(&'a Devices, u64),
    Send(&'a Letter, &'a [Platform]),
}

impl Ask<'_> {
    /// The broadcast's id, or nothing.
    async fn at(self, door: &Door) -> Result<String, ClientError> {
        match self {
            Self::Register(devices, n) => door.api.register(devices, n).await.map(|()| String::new()),
            Self::Send(letter, platforms) => door.api.broadcast(&letter.request(platforms), &letter.key).await,
        }
    }
}

/// Asks one door after the other, from the `start`th on, until one answers.
async fn until_answered(doors: &[Door], stop: &CancellationToken, start: u64, ask: Ask<'_>) -> anyhow::Result<String> {
    let mut at = usize::try_from(start).unwrap_or_default();
    let asking = async {
        loop {
            let door = doors.get(at % doors.len().max(1)).context("nobody takes requests")?;
            match tokio::time::timeout(PATIENCE, ask.at(door)).await {
                Ok(Ok(done)) => return Ok(done),
                // Busy, or something that it needs is away.
                Ok(Err(ClientError::Refused { status: 429 | 500..=599, .. })) => {}
                Ok(Err(error @ ClientError::Refused { .. })) => bail!("{}: {error}", door.name),
                // Gone before it had answered, or frozen.
                Ok(Err(_)) | Err(_) => {}
            }
            at += 1;
            tokio::time::sleep(AGAIN).await;
        }
    };
    let given_up = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        answered = asking => answered,
        () = given_up => bail!("a request was not answered within {GRACE:?} after the last fault"),
    }
}
