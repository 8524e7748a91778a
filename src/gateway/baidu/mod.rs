//! Baidu Cloud Push, REST 3.0 (`push-services.md` 5.2). One HTTP/1.1 request a device: the answer to a batch names none of
//! them. Each request is signed by itself, with the hub's secret key and the time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;

use super::requests::Place;
use super::requests::client::Answer;
use super::requests::entry::Own;
use super::requests::one_host::{Judged, OneHost, Service};
use super::requests::ticket::Ticket;
use super::transport::GatewayMeter;
use super::{Batch, Gateway, Probe, SharedRequest};
use crate::clock::SharedClock;
use crate::model::broadcast::BroadcastRequest;
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::template::Rendered;
use crate::model::time::Timestamp;

pub mod request;
pub mod settings;
pub mod sign;
pub mod verdict;

pub use settings::BaiduSettings;

/// Where one device's messages go.
const PATH: &str = "/rest/3.0/push/single_device";

/// One hub's way to Baidu.
#[derive(Debug)]
pub struct BaiduGateway {
    host: OneHost<Baidu>,
    clock: SharedClock,
}

#[derive(Debug)]
struct Baidu {
    /// `https://host[:port]/path`: part of what is signed.
    url: Box<str>,
    settings: BaiduSettings,
}

impl BaiduGateway {
    /// Ready to take batches; connections open with the first. The error's field is `ca`.
    pub fn open(settings: &BaiduSettings, place: &Place<'_>, meter: Arc<GatewayMeter>) -> Result<Self, FieldError> {
        let service = Baidu { url: format!("{}{PATH}", settings.endpoint).into(), settings: settings.clone() };
        Ok(Self { host: OneHost::by_itself(service, place, meter)?, clock: Arc::clone(place.clock) })
    }
}

impl Baidu {
    /// A form with these parameters, signed at `now`.
    fn signed(&self, parameters: &[(&str, &str)], now: Timestamp) -> Option<Request<Full<Bytes>>> {
        let timestamp = now.millis().div_euclid(1_000).to_string();
        let own = [("apikey", &*self.settings.api_key), ("timestamp", &timestamp)];
        let mut all = [parameters, &own].concat();
        let sign = sign::sign(&self.url, &mut all, &self.settings.secret_key);
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(all).append_pair("sign", &sign);
        Request::builder()
            .method(Method::POST)
            .uri(&*self.url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded;charset=utf-8"))
            .header(USER_AGENT, HeaderValue::from_static("BCCS_SDK/3.0 (Fanfare)"))
            .body(Full::new(form.finish().into()))
            .ok()
    }
}

impl Service for Baidu {
    type Entry = Own;

    fn request(&self, ticket: &Ticket, (): &(), now: Timestamp) -> Option<Request<Full<Bytes>>> {
        let shared = &ticket.batch().request;
        let (channel, msg) = (request::channel_id(ticket.channel())?, std::str::from_utf8(&shared.body).ok()?);
        let mut parameters = vec![("channel_id", channel), ("msg", msg)];
        parameters.extend(shared.headers.iter().map(|(name, value)| (*name, value.as_str())));
        self.signed(&parameters, now)
    }

    fn judge(&self, answer: &Answer, now: Timestamp) -> Judged {
        verdict::judge(answer.status, &answer.body, answer.header(http::header::RETRY_AFTER), now).into()
    }

    /// Signed, but without a channel.
    fn probe(&self, now: Timestamp) -> Option<Request<Full<Bytes>>> {
        self.signed(&[], now)
    }
}

#[async_trait::async_trait]
impl Gateway for BaiduGateway {
    fn platform(&self) -> Platform {
        Platform::Baidu
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
        self.host.submit(batch).await;
    }

    /// Whether the service is there; whether it takes the key it may tell only with the first push.
    async fn probe(&self) -> Probe {
        self.host.probe().await
    }

    async fn close(&self, within: Duration) {
        self.host.close(within).await;
    }
}
