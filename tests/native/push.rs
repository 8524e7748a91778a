//! A push service that takes everything, at once or when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare::directory::GatewayFactory;
use fanfare::directory::settings::Account;
use fanfare::gateway::{Answer, Batch, Gateway, Probe, Reply, SharedRequest, Unsent, apns};
use fanfare::model::broadcast::BroadcastRequest;
use fanfare::model::field::FieldError;
use fanfare::model::id::{BroadcastId, HubName};
use fanfare::model::platform::Platform;
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::{Reason, Verdict};
use tokio::sync::watch;

/// What it does with messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    Accept,
    /// Nothing is answered until the mood changes.
    Hold,
    /// This channel is dead; others are served.
    Dead(Vec<u8>),
    /// The credentials are refused.
    Refuse,
}

/// The service, and how many gateways to it were opened and closed.
pub struct Push {
    mood: watch::Sender<Mood>,
    pub opened: AtomicU64,
    pub closed: watch::Sender<u64>,
}

impl Push {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            mood: watch::Sender::new(Mood::Accept),
            opened: AtomicU64::new(0),
            closed: watch::Sender::new(0),
        })
    }

    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

pub struct Factory(pub Arc<Push>);

impl GatewayFactory for Factory {
    fn open(&self, _: &HubName, account: Account<'_>) -> Result<Arc<dyn Gateway>, FieldError> {
        let Account::Apns(apns) = account else { return Err(FieldError::new("endpoint", "must be of APNs")) };
        if apns.topic.contains(' ') {
            return Err(FieldError::new("topic", "must be a bundle id"));
        }
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(Way { push: self.0.clone(), topic: apns.topic.clone() }))
    }
}

struct Way {
    push: Arc<Push>,
    topic: String,
}

#[async_trait]
impl Gateway for Way {
    fn platform(&self) -> Platform {
        Platform::Apns
    }

    fn prepare(
        &self,
        id: BroadcastId,
        request: &BroadcastRequest,
        expires: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        apns::request::prepare(&self.topic, id, request, expires)
    }

    async fn submit(&self, batch: Batch) {
        let mut mood = self.push.mood.subscribe();
        tokio::spawn(async move {
            let (what, dead) = loop {
                match mood.borrow_and_update().clone() {
                    Mood::Accept => break (verdict(Verdict::Delivered, None), None),
                    Mood::Dead(channel) => break (verdict(Verdict::Delivered, None), Some(channel)),
                    Mood::Refuse => {
                        break (verdict(Verdict::Credentials, Some(Reason::known("InvalidProviderToken"))), None);
                    }
                    Mood::Hold if batch.stop.is_raised() => break (Answer::Unsent(Unsent::Stopped), None),
                    Mood::Hold => {}
                }
                // The seam asks for a look at the stop flag at least every 200 ms.
                let _ = tokio::time::timeout(Duration::from_millis(50), mood.changed()).await;
            };
            let answer = |channel: &[u8]| match &dead {
                Some(dead) if dead == channel => {
                    verdict(Verdict::DropToken { since: Some(Timestamp::from_millis(i64::MAX / 2)) }, None)
                }
                _ => what.clone(),
            };
            let replies = batch.targets.iter().map(|(seq, channel)| Reply { seq, what: answer(channel) }).collect();
            drop(batch.replies.send(replies));
        });
    }

    async fn probe(&self) -> Probe {
        Probe::Works
    }

    async fn close(&self, _: Duration) {
        self.push.closed.send_modify(|closed| *closed += 1);
    }
}

fn verdict(verdict: Verdict, reason: Option<Reason>) -> Answer {
    Answer::Verdict { verdict, reason, written_at: None }
}
