//! WNS: the push service of Windows (`push-services.md` section 3). One HTTP/1.1 request a channel, to whichever host the
//! channel names, with a bearer token that is fetched and renewed here.
//!
//! ```text
//!  submit ─▶ line (two lanes, bounded) ─▶ delivery, at most `in_flight` at once ─▶ replies, one by one
//!                                          ├─ channel: may the token be shown to that host?
//!                                          ├─ token: one for all, renewed early and after a 401
//!                                          ├─ client: kept connections by host
//!                                          └─ verdict: what the answer means
//! ```
//!
//! - A target is in exactly one place, its batch or one ticket, and leaves it by its reply; a ticket that is dropped
//!   replies too.
//! - Everything runs on the [`ClientRuntime`], so that hundreds of connections share few threads.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use self::client::Client;
use self::delivery::Way;
use self::line::Line;
use self::token::{Fault, Tokens};
use super::client_runtime::ClientRuntime;
use super::transport::GatewayMeter;
use super::{Batch, Gateway, Probe, SharedRequest, tls};
use crate::clock::SharedClock;
use crate::model::broadcast::BroadcastRequest;
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::template::Rendered;
use crate::model::time::Timestamp;

pub mod channel;
mod client;
mod counted;
mod delivery;
mod line;
pub mod request;
pub mod settings;
mod ticket;
pub mod toast;
mod token;
pub mod verdict;

pub use settings::{WnsAuth, WnsSettings, WnsTuning};

/// One hub's way to WNS.
#[derive(Debug)]
pub struct WnsGateway {
    way: Arc<Way>,
    line: Line,
    runtime: Arc<ClientRuntime>,
    clock: SharedClock,
}

impl WnsGateway {
    /// Ready to take batches; connections open with the first. The error's field is `ca`.
    pub fn open(
        settings: &WnsSettings,
        runtime: &Arc<ClientRuntime>,
        clock: &SharedClock,
        meter: Arc<GatewayMeter>,
    ) -> Result<Self, FieldError> {
        let tls = tls::client_config(tls::roots(settings.ca_pem.as_deref())?, None, &[])?;
        // Connections for tokens say nothing about WNS: they have a pool of their own, and nobody watches it.
        let for_tokens = Client::new(tls.clone(), &settings.tuning, Arc::default());
        let way = Arc::new(Way {
            tokens: Tokens::new(settings, for_tokens, Arc::clone(clock)),
            client: Client::new(tls, &settings.tuning, Arc::clone(&meter)),
            allowed_hosts: settings.allowed_hosts.clone(),
            clock: Arc::clone(clock),
        });
        let (in_flight, tick) = (settings.tuning.in_flight, settings.tuning.tick);
        let line = Line::open(Arc::clone(&way), Arc::clone(runtime), meter, in_flight, tick);
        Ok(Self { way, line, runtime: Arc::clone(runtime), clock: Arc::clone(clock) })
    }
}

#[async_trait::async_trait]
impl Gateway for WnsGateway {
    fn platform(&self) -> Platform {
        Platform::Wns
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
        self.line.submit(batch).await;
    }

    /// A new token: the only exchange that names no device. Whether the service takes it shows with the first push.
    async fn probe(&self) -> Probe {
        let (tell, told) = oneshot::channel();
        let way = Arc::clone(&self.way);
        self.runtime.spawn(self.line.tasks(), async move {
            // Whoever asked may have stopped waiting.
            let _ = tell.send(way.tokens.renew().await.map(|_| ()));
        });
        match told.await {
            Ok(Ok(())) => Probe::Works,
            Ok(Err(Fault::Refused(reason))) => Probe::Refused(reason),
            Ok(Err(Fault::Unreachable(reason))) => Probe::Unreachable(reason.to_string()),
            Err(_) => Probe::Unreachable("the gateway is closed".to_owned()),
        }
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.way.tokens.clock_ahead()
    }

    async fn close(&self, within: Duration) {
        self.line.close(within).await;
    }
}
