//! The bytes of one direction of a connection.
use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::watch,
    time::sleep,
};

use super::{
    flow::{Conditions, Direction, End, Flow},
    owner::NodeNo,
};

/// What is carried at once.
const PIECE: usize = 64 << 10;

pub(super) struct Pump {
    from: OwnedReadHalf,
    to: Quiet,
    direction: Direction,
    owner: Option<NodeNo>,
    conditions: watch::Receiver<Conditions>,
    ended: watch::Receiver<Option<End>>,
}

/// A half that says nothing when it is dropped: tokio's own sends a FIN, and a reset must be the first word of the end.
struct Quiet(Option<OwnedWriteHalf>);

impl Quiet {
    fn half(&mut self) -> io::Result<&mut OwnedWriteHalf> {
        self.0.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            half.forget();
        }
    }
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With a FIN, which was passed on: the other direction may go on.
    Well,
    /// The connection is over.
    Over,
}

impl Pump {
    pub(super) fn new(
        (from, to): (OwnedReadHalf, OwnedWriteHalf),
        (direction, owner): (Direction, Option<NodeNo>),
        conditions: watch::Receiver<Conditions>,
        ended: watch::Receiver<Option<End>>,
    ) -> Self {
        Self { from, to: Quiet(Some(to)), direction, owner, conditions, ended }
    }

    pub(super) async fn run(mut self) -> Ended {
        let mut ended = self.ended.clone();
        let direction = self.direction;
        let ordered = ended.wait_for(|end| match end {
            None => false,
            Some(End::HalfClose(of)) => *of == direction,
            Some(End::Reset | End::Cut) => true,
        });
        let order = tokio::select! {
            // Its sender lives as long as the connection.
            order = ordered => order.ok().and_then(|order| *order),
            done = self.carry() => return done.map_or(Ended::Over, |()| Ended::Well),
        };
        match order {
            Some(End::HalfClose(_)) => match self.finish().await {
                Ok(()) => Ended::Well,
                Err(_) => Ended::Over,
            },
            Some(End::Reset) => {
                // Both streams: the one this direction reads from, and the one that it writes to.
                drop(self.from.as_ref().set_zero_linger());
                drop(self.to.half().and_then(|to| to.as_ref().set_zero_linger()));
                Ended::Over
            }
            Some(End::Cut) | None => Ended::Over,
        }
    }

    /// Until the end of what comes, which is passed on.
    async fn carry(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        loop {
            let flow = self.moving().await;
            let most = match flow {
                Flow::Pass | Flow::Stall => PIECE,
                Flow::Drip { bytes, .. } => bytes.clamp(1, PIECE),
            };
            let read = tokio::select! {
                read = self.from.read(&mut buffer[..most]) => read?,
                // What was decided for another state of the link is decided anew.
                _ = self.conditions.changed() => continue,
            };
            if read == 0 {
                return self.finish().await;
            }
            if let Flow::Drip { every, .. } = flow {
                sleep(every).await;
            }
            // A stall that began meanwhile holds this piece too.
            self.moving().await;
            self.to.half()?.write_all(&buffer[..read]).await?;
        }
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.to.half()?.shutdown().await
    }

    /// Waits while the direction is stalled.
    async fn moving(&mut self) -> Flow {
        let (owner, direction) = (self.owner, self.direction);
        let of = |conditions: &Conditions| conditions.of(owner).flow(direction);
        match self.conditions.wait_for(|now| of(now) != Flow::Stall).await {
            Ok(now) => of(&now),
            // The link is going, and the connection with it.
            Err(_) => Flow::Pass,
        }
    }
}
