//! APNs: Apple's push service (`push-services.md` section 1). In here is what it wants to be told, who we are to it, and
//! what it means by its answers; connections and streams are a [`Transport`]'s.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::service::ApnsService;
use super::pool::TransportSettings;
use super::senders::Senders;
use super::transport::{GatewayMeter, Held, Resend, Service, Transport};
use super::{Batch, Gateway, Probe, SharedRequest, connect, tls};
use crate::clock::SharedClock;
use crate::model::broadcast::{BroadcastRequest, Lane};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::template::Rendered;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, Verdict};

pub mod request;
mod service;
pub mod settings;
pub mod token;
pub mod verdict;

pub use settings::{ApnsAuth, ApnsSettings};
pub use token::Mints;

/// One hub's way to APNs.
#[derive(Debug)]
pub struct ApnsGateway {
    topic: Box<str>,
    service: Arc<dyn Service>,
    transport: Box<dyn Transport>,
    clock: SharedClock,
}

/// What every gateway of a process shares.
#[derive(Clone, Debug)]
pub struct Shared {
    pub clock: SharedClock,
    pub mints: Arc<Mints>,
    pub senders: Arc<Senders>,
}

impl ApnsGateway {
    /// Ready to take batches; connections open with the first. The error's field is `ca`, `cert`
    /// or `cert_key`.
    pub fn open(settings: &ApnsSettings, shared: &Shared, meter: Arc<GatewayMeter>) -> Result<Self, FieldError> {
        let roots = tls::roots(settings.ca_pem.as_deref())?;
        let (mint, certificate) = match &settings.auth {
            ApnsAuth::Token(key) => (Some(shared.mints.of(key)), None),
            ApnsAuth::Certificate(certificate) => (None, Some(certificate.clone())),
        };
        let tls = tls::client_config(roots, certificate, &[b"h2"])?;
        let service: Arc<dyn Service> = Arc::new(ApnsService::new(mint, Arc::clone(&shared.clock)));
        let transport = connect::open(
            TransportSettings {
                endpoint: settings.endpoint.clone(),
                tls,
                connections: settings.connections,
                tuning: settings.tuning.clone(),
            },
            Arc::clone(&service),
            &shared.senders,
            meter,
            &shared.clock,
        );
        Ok(Self { topic: settings.topic.clone(), service, transport, clock: shared.clock.clone() })
    }

    /// A push that nobody gets: its token is random.
    fn probe_request(&self) -> SharedRequest {
        let now = self.clock.now();
        let headers = vec![
            (request::TOPIC, self.topic.to_string()),
            (request::PUSH_TYPE, request::PushType::Background.as_str().to_owned()),
            (request::PRIORITY, "5".to_owned()),
            (request::EXPIRATION, "0".to_owned()),
        ];
        let broadcast = BroadcastId::new(u64::try_from(now.millis()).unwrap_or(0));
        let body = Bytes::from_static(br#"{"aps":{"content-available":1}}"#);
        SharedRequest { headers, body, broadcast, lane: Lane::Transactional }
    }
}

#[async_trait::async_trait]
impl Gateway for ApnsGateway {
    fn platform(&self) -> Platform {
        Platform::Apns
    }

    fn prepare(
        &self,
        id: BroadcastId,
        request: &BroadcastRequest,
        expires: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        request::prepare(&self.topic, id, request, expires)
    }

    fn prepare_rendered(
        &self,
        id: BroadcastId,
        request: &BroadcastRequest,
        rendered: &Rendered,
        expires: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        request::prepare_rendered(&self.topic, id, request, rendered, expires)
    }

    async fn submit(&self, batch: Batch) {
        self.transport.submit(batch).await;
    }

    async fn submit_all(&self, batches: Vec<Batch>) {
        self.transport.submit_all(batches).await;
    }

    /// An answer about the token says that credentials and topic are good: they are looked at first.
    async fn probe(&self) -> Probe {
        let request = Arc::new(self.probe_request());
        let mut held = Held::default();
        let mut sent_again = false;
        loop {
            let answer = match self.transport.exchange(Arc::clone(&request), service::nobody()).await {
                Ok(answer) => answer,
                Err(failure) => return Probe::Unreachable(failure),
            };
            let judged = self.service.judge(&answer.as_raw(), &mut held);
            match judged.verdict {
                // An expired token was renewed meanwhile.
                Verdict::Credentials if judged.resend == Resend::Renewed && !sent_again => sent_again = true,
                Verdict::Credentials => {
                    return Probe::Refused(judged.reason.unwrap_or(Reason::known("credentials")));
                }
                Verdict::Retry { .. } | Verdict::ConnSafe | Verdict::ConnAmbiguous => {
                    let reason = judged.reason.as_ref().map(Reason::as_str);
                    return Probe::Unreachable(service::describe(answer.status, reason));
                }
                _ => return Probe::Works,
            }
        }
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.transport.clock_ahead()
    }

    async fn close(&self, within: Duration) {
        self.transport.close(within).await;
    }
}
