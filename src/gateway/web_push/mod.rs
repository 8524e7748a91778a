//! Web Push: browsers, through whichever push service each has (`push-services.md` section 4; RFC 8030, 8291, 8292). One
//! request a subscription, to the URL that the subscription names, with a message that only the browser can read.
//!
//! ```text
//!  requests::line ─▶ delivery ─▶ replies, one by one
//!                     ├─ address: may it be sent to at all?
//!                     ├─ encryption: a fresh key pair and one buffer for each
//!                     ├─ origin: the VAPID token, one for all that go there; its rest
//!                     ├─ requests::client: HTTP/2 where the origin has it; public addresses alone
//!                     └─ verdict: what the answer means
//! ```

use std::sync::Arc;
use std::time::Duration;

use self::delivery::Way;
use self::origin::Origins;
use super::requests::Place;
use super::requests::client::{Client, Protocols};
use super::requests::line::Line;
use super::transport::GatewayMeter;
use super::{Batch, Gateway, Probe, SharedRequest};
use crate::clock::SharedClock;
use crate::model::broadcast::BroadcastRequest;
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;

pub mod address;
mod delivery;
pub mod encryption;
mod origin;
pub mod request;
pub mod settings;
pub mod vapid;
pub mod verdict;

pub use settings::WebPushSettings;
pub use vapid::VapidKey;

/// One hub's way to browsers.
#[derive(Debug)]
pub struct WebPushGateway {
    way: Arc<Way>,
    line: Line,
    clock: SharedClock,
}

impl WebPushGateway {
    /// Ready to take batches; connections open with the first. The error's field is `ca`.
    pub fn open(settings: &WebPushSettings, place: &Place<'_>, meter: Arc<GatewayMeter>) -> Result<Self, FieldError> {
        let way = Arc::new(Way {
            client: Client::new(place.tls()?, Protocols::Both, settings.reach, &place.tuning, Arc::clone(&meter)),
            origins: Origins::new(settings.reach),
            key: settings.key.clone(),
            subject: settings.subject.clone(),
            reach: settings.reach,
            tuning: place.tuning.clone(),
            clock: Arc::clone(place.clock),
        });
        let line = place.line(&way, meter);
        Ok(Self { way, line, clock: Arc::clone(place.clock) })
    }
}

#[async_trait::async_trait]
impl Gateway for WebPushGateway {
    fn platform(&self) -> Platform {
        Platform::WebPush
    }

    fn prepare(
        &self,
        id: BroadcastId,
        request: &BroadcastRequest,
        expires: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        request::prepare(id, request, self.clock.now(), expires)
    }

    async fn submit(&self, batch: Batch) {
        self.line.submit(batch).await;
    }

    /// Whether the key signs. There is no exchange that addresses no browser, so whether the services take the key shows
    /// with the first push: a sender that they refused goes on to try, and pauses again.
    async fn probe(&self) -> Probe {
        match self.way.key.authorization("https://push.invalid", &self.way.subject, self.clock.now()) {
            Some(_) => Probe::Works,
            None => Probe::Refused(Reason::known("the key does not sign")),
        }
    }

    async fn close(&self, within: Duration) {
        self.line.close(within).await;
    }
}
