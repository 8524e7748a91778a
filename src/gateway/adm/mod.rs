//! ADM: the push service of Amazon's devices (`push-services.md` 5.1). One HTTP/1.1 request a device, with a bearer token
//! by client credentials.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;

use self::request::path;
use super::requests::Place;
use super::requests::client::Answer;
use super::requests::one_host::{Judged, OneHost, Service};
use super::requests::ticket::Ticket;
use super::requests::token::{self, AccessToken, Account, Tokens};
use super::transport::GatewayMeter;
use super::{Batch, Gateway, Probe, SharedRequest};
use crate::clock::SharedClock;
use crate::model::broadcast::BroadcastRequest;
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;

pub mod request;
pub mod settings;
pub mod verdict;

pub use settings::AdmSettings;

/// A token's life where its answer does not tell it.
const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// One hub's way to ADM.
#[derive(Debug)]
pub struct AdmGateway {
    host: OneHost<Adm>,
    clock: SharedClock,
}

#[derive(Debug)]
struct Adm {
    /// `https://host[:port]`.
    endpoint: Box<str>,
}

impl AdmGateway {
    /// Ready to take batches; connections open with the first. The error's field is `ca`.
    pub fn open(settings: &AdmSettings, place: &Place<'_>, meter: Arc<GatewayMeter>) -> Result<Self, FieldError> {
        let account = Account {
            service: "ADM",
            endpoint: &settings.token_endpoint,
            client_id: &settings.client_id,
            client_secret: &settings.client_secret,
            scope: "messaging:push",
            usual_life: TOKEN_LIFE,
        };
        let service = Adm { endpoint: settings.endpoint.to_string().into() };
        let host = OneHost::with_tokens(service, &account, place, meter)?;
        Ok(Self { host, clock: Arc::clone(place.clock) })
    }
}

impl Service for Adm {
    type Entry = Tokens;

    fn request(&self, ticket: &Ticket, token: &Arc<AccessToken>, _: Timestamp) -> Option<Request<Full<bytes::Bytes>>> {
        let uri = format!("{}{}", self.endpoint, path(ticket.channel()));
        let request = Request::builder().method(Method::POST).uri(uri);
        token::authorize(request, token)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header("x-amzn-type-version", HeaderValue::from_static(request::MESSAGE_TYPE))
            .header("x-amzn-accept-type", HeaderValue::from_static(request::RESULT_TYPE))
            .body(Full::new(ticket.batch().request.body.clone()))
            .ok()
    }

    fn judge(&self, answer: &Answer, now: Timestamp) -> Judged {
        verdict::judge(answer.status, &answer.body, answer.header(http::header::RETRY_AFTER), now).into()
    }
}

#[async_trait::async_trait]
impl Gateway for AdmGateway {
    fn platform(&self) -> Platform {
        Platform::Adm
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
        self.host.submit(batch).await;
    }

    async fn probe(&self) -> Probe {
        self.host.probe().await
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.host.clock_ahead()
    }

    async fn close(&self, within: Duration) {
        self.host.close(within).await;
    }
}
