//! A push service in memory: keeps every receipt, answers by script, and obeys the seam's rules about deadlines and
//! stop flags. Its receipts outlive the process that sent them, as a real service's do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare::clock::{BootInstant, SharedClock};
use fanfare::gateway::{Answer, Batch, Gateway, Probe, Reply, SharedRequest, Unsent};
use fanfare::model::broadcast::BroadcastRequest;
use fanfare::model::field::FieldError;
use fanfare::model::id::{BroadcastId, Seq};
use fanfare::model::platform::Platform;
use fanfare::model::template::Rendered;
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::{Reason, Verdict};
use parking_lot::Mutex;
use uuid::Uuid;

/// What the service does with the nth try (from 1) for a device.
pub type Script = Arc<dyn Fn(u64, u32) -> Act + Send + Sync>;

/// One answer of the script.
#[derive(Clone, Debug)]
pub enum Act {
    /// Takes the message and says so.
    Accept,
    /// Takes the message; the connection dies before the answer.
    AcceptAndVanish,
    /// Does not take it and answers so.
    Answer(Verdict, &'static str),
    /// Never comes to write it.
    Unreachable,
}

/// What a device got.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Times the process came with a message for it, written or not.
    pub tries: u32,
    /// Requests, whatever came of them.
    pub requests: u32,
    /// Messages taken.
    pub accepted: u32,
    pub ids: std::collections::BTreeSet<Uuid>,
    pub last_written: Option<BootInstant>,
    /// The last message taken.
    pub body: bytes::Bytes,
}

/// The service, outside of any process.
pub struct Service {
    pub devices: Mutex<HashMap<u64, Received>>,
    pub script: Mutex<Script>,
    /// Messages that templates made and that were prepared.
    pub prepared: AtomicU64,
    pub latency: Duration,
}

impl Service {
    pub fn new(latency: Duration, script: Script) -> Arc<Self> {
        Arc::new(Self { devices: Mutex::default(), script: Mutex::new(script), prepared: AtomicU64::new(0), latency })
    }

    pub fn accepting(latency: Duration) -> Arc<Self> {
        Self::new(latency, Arc::new(|_, _| Act::Accept))
    }

    pub fn accepted(&self) -> u64 {
        self.devices.lock().values().map(|device| u64::from(device.accepted)).sum()
    }

    pub fn requests(&self) -> u64 {
        self.devices.lock().values().map(|device| u64::from(device.requests)).sum()
    }

    /// Devices that took a message, each counted once.
    pub fn reached(&self) -> u64 {
        self.devices.lock().values().filter(|device| device.accepted > 0).count() as u64
    }

    pub fn by_device(&self) -> BTreeMap<u64, Received> {
        self.devices.lock().iter().map(|(device, received)| (*device, received.clone())).collect()
    }
}

/// A process' way to the service.
pub struct FakeGateway {
    pub service: Arc<Service>,
    pub clock: SharedClock,
    /// Targets per write.
    pub write: usize,
    /// The most targets that were with this gateway at once.
    pub in_flight: Arc<Mutex<(u64, u64)>>,
    /// Targets that this process came with.
    pub taken: AtomicU64,
}

impl FakeGateway {
    pub fn new(service: Arc<Service>, clock: SharedClock) -> Self {
        Self { service, clock, write: 64, in_flight: Arc::default(), taken: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Gateway for FakeGateway {
    fn platform(&self) -> Platform {
        Platform::Apns
    }

    fn prepare(
        &self,
        broadcast: BroadcastId,
        request: &BroadcastRequest,
        _: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        if request.collapse_key.as_deref() == Some("unsendable") {
            return Err(FieldError::new("collapse_key", "must be sendable"));
        }
        Ok(SharedRequest { headers: Vec::new(), body: bytes::Bytes::from_static(b"{}"), broadcast, lane: request.lane })
    }

    fn prepare_rendered(
        &self,
        broadcast: BroadcastId,
        request: &BroadcastRequest,
        rendered: &Rendered,
        _: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        self.service.prepared.fetch_add(1, Ordering::Relaxed);
        if rendered.body.len() > 4_096 {
            return Err(FieldError::new("template", "must have at most 4096 bytes"));
        }
        let body = bytes::Bytes::copy_from_slice(rendered.body.as_bytes());
        Ok(SharedRequest { headers: Vec::new(), body, broadcast, lane: request.lane })
    }

    async fn submit(&self, batch: Batch) {
        let (service, clock, write, in_flight) =
            (self.service.clone(), self.clock.clone(), self.write, self.in_flight.clone());
        {
            let mut in_flight = in_flight.lock();
            in_flight.0 += batch.targets.len() as u64;
            in_flight.1 = in_flight.1.max(in_flight.0);
        }
        self.taken.fetch_add(batch.targets.len() as u64, Ordering::Relaxed);
        tokio::spawn(async move {
            let targets: Vec<_> = batch.targets.iter().map(|(seq, channel)| (seq, device(channel))).collect();
            for write in targets.chunks(write) {
                let unsent = if clock.boot() >= batch.deadline {
                    Some(Unsent::Deadline)
                } else if batch.stop.is_raised() {
                    Some(Unsent::Stopped)
                } else {
                    None
                };
                let replies = match unsent {
                    Some(why) => write.iter().map(|(seq, _)| reply(*seq, Answer::Unsent(why))).collect(),
                    None => {
                        let replies = written(&service, &clock, &batch.request, write);
                        tokio::time::sleep(service.latency).await;
                        replies
                    }
                };
                in_flight.lock().0 -= write.len() as u64;
                drop(batch.replies.send(replies));
            }
        });
    }

    async fn probe(&self) -> Probe {
        Probe::Works
    }

    async fn close(&self, _: Duration) {}
}

fn written(service: &Service, clock: &SharedClock, request: &SharedRequest, targets: &[(Seq, u64)]) -> Vec<Reply> {
    let script = service.script.lock().clone();
    let mut devices = service.devices.lock();
    let answer = |verdict, reason: Option<&'static str>| Answer::Verdict {
        verdict,
        reason: reason.map(Reason::known),
        written_at: Some(clock.now()),
    };
    let replies = targets.iter().map(|(seq, device)| {
        let received = devices.entry(*device).or_default();
        received.tries += 1;
        let act = script(*device, received.tries);
        if matches!(act, Act::Unreachable) {
            return reply(*seq, Answer::Unsent(Unsent::Unreachable));
        }
        received.requests += 1;
        received.ids.insert(request.broadcast.message_id(*seq));
        received.body = request.body.clone();
        received.last_written = Some(clock.boot());
        let what = match act {
            Act::Accept => {
                received.accepted += 1;
                answer(Verdict::Delivered, None)
            }
            Act::AcceptAndVanish => {
                received.accepted += 1;
                answer(Verdict::ConnAmbiguous, Some("connection_lost"))
            }
            Act::Answer(verdict, reason) => answer(verdict, Some(reason)),
            Act::Unreachable => Answer::Unsent(Unsent::Unreachable),
        };
        reply(*seq, what)
    });
    replies.collect()
}

fn reply(seq: Seq, what: Answer) -> Reply {
    Reply { seq, what }
}

/// The device number that `world::token` wrote into a channel.
fn device(channel: &[u8]) -> u64 {
    u64::from_be_bytes(channel[channel.len() - 8..].try_into().expect("channels of tests end in 8 bytes"))
}
