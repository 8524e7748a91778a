//! Xiaomi's Mi Push (`push-services.md` 5.3). One HTTP/1.1 request names up to a thousand devices, since its answer names
//! those that are dead.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
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
use crate::model::time::Timestamp;

pub mod request;
pub mod settings;
pub mod verdict;

pub use settings::XiaomiSettings;

/// Where messages to devices by their registration ids go.
const PATH: &str = "/v3/message/regid";

/// One hub's way to Xiaomi.
#[derive(Debug)]
pub struct XiaomiGateway {
    host: OneHost<Xiaomi>,
    package_name: Option<Box<str>>,
    clock: SharedClock,
}

#[derive(Debug)]
struct Xiaomi {
    /// `https://host[:port]/path`.
    url: Box<str>,
    /// `key=…`, sensitive.
    authorization: HeaderValue,
}

impl XiaomiGateway {
    /// Ready to take batches; connections open with the first. The error's field is `ca`.
    pub fn open(settings: &XiaomiSettings, place: &Place<'_>, meter: Arc<GatewayMeter>) -> Result<Self, FieldError> {
        let url = format!("{}{PATH}", settings.endpoint).into();
        let service = Xiaomi { url, authorization: settings.authorization.clone() };
        Ok(Self {
            host: OneHost::by_itself(service, place, meter)?,
            package_name: settings.package_name.clone(),
            clock: Arc::clone(place.clock),
        })
    }
}

impl Xiaomi {
    fn post(&self, form: Bytes) -> Option<Request<Full<Bytes>>> {
        Request::builder()
            .method(Method::POST)
            .uri(&*self.url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded;charset=utf-8"))
            .body(Full::new(form))
            .ok()
    }
}

impl Service for Xiaomi {
    type Entry = Own;

    const AT_ONCE: usize = request::AT_ONCE;

    fn request(&self, ticket: &Ticket, (): &(), _: Timestamp) -> Option<Request<Full<Bytes>>> {
        let shared = &ticket.batch().request.body;
        let devices = request::registration_ids(ticket.channels())?;
        let mut form = BytesMut::with_capacity(shared.len() + devices.len());
        form.extend_from_slice(shared);
        form.extend_from_slice(devices.as_bytes());
        self.post(form.freeze())
    }

    fn judge(&self, answer: &Answer, now: Timestamp) -> Judged {
        verdict::judge(answer.status, &answer.body, answer.header(http::header::RETRY_AFTER), now)
    }

    /// With the key, but without a device.
    fn probe(&self, _: Timestamp) -> Option<Request<Full<Bytes>>> {
        self.post(Bytes::from_static(b"pass_through=1"))
    }
}

#[async_trait::async_trait]
impl Gateway for XiaomiGateway {
    fn platform(&self) -> Platform {
        Platform::Xiaomi
    }

    fn prepare(
        &self,
        id: BroadcastId,
        request: &BroadcastRequest,
        expires: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        request::prepare(id, request, self.package_name.as_deref(), self.clock.now(), expires)
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
