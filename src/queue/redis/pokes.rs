//! Pokes: by Redis' channels to the other processes, directly to this one.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{RedisResult, Value, cmd};
use futures_util::StreamExt as _;
use tokio::sync::broadcast;

use super::super::{Poke, Result};
use super::link::LIMIT;
use super::node::Node;
use crate::model::id::BroadcastId;

/// How many pokes a slow listener may miss before it is told so; it reads all standings then.
const KEPT: usize = 1_024;

/// How often a silent connection is asked whether it still stands.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The shortest and the longest pause before a broken subscription is made again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The pokes that this process hears. A message is the broadcast's id and the name of who sent it.
#[derive(Debug)]
pub(super) struct Pokes {
    heard: broadcast::Sender<Poke>,
}

impl Pokes {
    pub(super) fn new() -> Self {
        Self { heard: broadcast::channel(KEPT).0 }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Poke> {
        self.heard.subscribe()
    }

    /// Tells everybody. This process hears it whether Redis is there or not.
    pub(super) async fn send(&self, node: &Node, poke: Poke) -> Result<()> {
        // Nobody listening is no failure.
        let _ = self.heard.send(poke);
        let message = [poke.0.as_bytes(), node.name.as_bytes()].concat();
        let mut publish = cmd("PUBLISH");
        publish.arg(channel(node)).arg(message);
        node.command::<()>(node.wire.places.fleet(), &publish).await
    }

    /// Listens for ever: what breaks is made again.
    pub(super) async fn listen(self: Arc<Self>, node: Arc<Node>) {
        let mut pause = PAUSES.0;
        loop {
            if self.follow(&node, &mut pause).await.is_err() {
                tracing::debug!("the subscription to pokes broke; standings are read each second meanwhile");
            }
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn follow(&self, node: &Node, pause: &mut Duration) -> RedisResult<()> {
        let late = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
        let mut listening = tokio::time::timeout(LIMIT, node.wire.links.listening()).await.map_err(late)??;
        tokio::time::timeout(LIMIT, listening.subscribe(channel(node))).await.map_err(late)??;
        *pause = PAUSES.0;
        let (mut sink, mut messages) = listening.split();
        loop {
            tokio::select! {
                message = messages.next() => {
                    let Some(message) = message else { return Ok(()) };
                    self.take(node, message.get_payload_bytes());
                }
                () = tokio::time::sleep(ASK_EVERY) => {
                    tokio::time::timeout(LIMIT, sink.ping::<Value>()).await.map_err(late)??;
                }
            }
        }
    }

    fn take(&self, node: &Node, message: &[u8]) {
        if let Some((id, sender)) = message.split_first_chunk::<16>()
            && sender != node.name.as_bytes()
        {
            let _ = self.heard.send(Poke(BroadcastId::from_bytes(*id)));
        }
    }
}

fn channel(node: &Node) -> String {
    node.wire.places.key(node.wire.places.fleet(), "pokes")
}
