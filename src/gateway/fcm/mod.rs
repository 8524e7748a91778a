//! FCM: Google's push service, HTTP v1 (`push-services.md` section 2). In here is what it wants to be told, who we are to
//! it, and what it means by its answers; connections and streams are a [`Transport`]'s.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::service::FcmService;
use self::token::{TokenService, Tokens, Trouble};
use super::pool::{TransportSettings, Tuning};
use super::senders::Senders;
use super::transport::{GatewayMeter, Held, Service, Transport};
use super::{Answer, Batch, Gateway, Probe, Reply, SharedRequest, Unsent, connect, tls};
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
mod token;
pub mod verdict;

pub use settings::FcmSettings;

/// Connections in each process: at 100 streams each they carry the usual quota with answers that take 100 ms (2.4).
const CONNECTIONS: usize = 10;
/// Google's own client opens no more on a connection, out of respect for what lies behind (2.4).
const STREAMS: usize = 100;

/// One hub's way to FCM.
#[derive(Debug)]
pub struct FcmGateway {
    service: Arc<dyn Service>,
    tokens: Arc<Tokens>,
    clock: SharedClock,
    transport: Box<dyn Transport>,
}

impl FcmGateway {
    /// Ready to take batches; connections open with the first. The error's field is `ca` or `endpoint`.
    pub fn open(
        settings: &FcmSettings,
        senders: &Arc<Senders>,
        clock: &SharedClock,
        meter: Arc<GatewayMeter>,
    ) -> Result<Self, FieldError> {
        let tls = tls::client_config(tls::roots(settings.ca_pem.as_deref())?, None, &[b"h2"])?;
        let account = &settings.account;
        let carried = |endpoint, connections, service, meter| {
            let tuning = Tuning { streams: STREAMS, ..Tuning::default() };
            let settings = TransportSettings { endpoint, tls: tls.clone(), connections, tuning };
            connect::open(settings, service, senders, meter, clock)
        };
        let token_service: Arc<dyn Service> = Arc::new(TokenService { account: Arc::clone(account) });
        let to_tokens = carried(account.token_endpoint.clone(), 1, token_service, Arc::default());
        let tokens = Arc::new(Tokens::new(Arc::clone(account), to_tokens, Arc::clone(clock)));
        let service: Arc<dyn Service> = Arc::new(FcmService {
            path: format!("/v1/projects/{}/messages:send", account.project_id).into(),
            tokens: Arc::clone(&tokens),
            clock: Arc::clone(clock),
            strange: service::Strange::default(),
        });
        let transport = carried(settings.endpoint.clone(), CONNECTIONS, Arc::clone(&service), meter);
        Ok(Self { service, tokens, clock: Arc::clone(clock), transport })
    }
}

#[async_trait::async_trait]
impl Gateway for FcmGateway {
    fn platform(&self) -> Platform {
        Platform::Fcm
    }

    fn prepare(
        &self,
        id: BroadcastId,
        request: &BroadcastRequest,
        expires: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        request::prepare(id, request, self.clock.now(), expires)
    }

    fn prepare_rendered(
        &self,
        id: BroadcastId,
        request: &BroadcastRequest,
        rendered: &Rendered,
        expires: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        request::prepare_rendered(id, request, rendered, self.clock.now(), expires)
    }

    async fn submit(&self, batch: Batch) {
        self.submit_all(vec![batch]).await;
    }

    /// Without a token nothing is written: refused credentials are the answer for every target, an endpoint that cannot
    /// be reached hands them back.
    async fn submit_all(&self, batches: Vec<Batch>) {
        let what = match self.tokens.ready().await {
            Ok(()) => return self.transport.submit_all(batches).await,
            Err(Trouble::Refused(reason)) => {
                Answer::Verdict { verdict: Verdict::Credentials, reason: Some(reason), written_at: None }
            }
            Err(Trouble::Unreachable(failure)) => {
                tracing::warn!(%failure, "no access token for FCM");
                Answer::Unsent(Unsent::Unreachable)
            }
        };
        for batch in batches {
            let replies = batch.targets.iter().map(|(seq, _)| Reply { seq, what: what.clone() }).collect();
            // A worker that is gone needs no answer.
            let _ = batch.replies.send(replies);
        }
    }

    /// A dry run to a token that no device has: an answer about the token says that the credentials are good.
    async fn probe(&self) -> Probe {
        match self.tokens.ready().await {
            Ok(()) => {}
            Err(Trouble::Refused(reason)) => return Probe::Refused(reason),
            Err(Trouble::Unreachable(failure)) => return Probe::Unreachable(failure),
        }
        let request = SharedRequest {
            headers: vec![("content-type", "application/json".to_owned())],
            body: Bytes::from_static(br#"{"message":{"data":{"probe":"1"}},"validate_only":true}"#),
            broadcast: BroadcastId::new(0),
            lane: Lane::Transactional,
        };
        let nobody = format!("nobody:{:032x}", fastrand::u128(..)).into_bytes();
        let answer = match self.transport.exchange(Arc::new(request), nobody).await {
            Ok(answer) => answer,
            Err(failure) => return Probe::Unreachable(failure),
        };
        let judged = self.service.judge(&answer.as_raw(), &mut Held::default());
        match judged.verdict {
            Verdict::Credentials => Probe::Refused(judged.reason.unwrap_or(Reason::known("credentials"))),
            Verdict::Retry { .. } | Verdict::ConnSafe | Verdict::ConnAmbiguous => {
                Probe::Unreachable(format!("FCM answered {}", answer.status))
            }
            _ => Probe::Works,
        }
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.transport.clock_ahead().or_else(|| self.tokens.clock_ahead())
    }

    async fn close(&self, within: Duration) {
        self.transport.close(within).await;
        self.tokens.close(within).await;
    }
}

#[cfg(test)]
mod tests;
