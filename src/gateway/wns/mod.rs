//! WNS: the push service of Windows (`push-services.md` section 3). One HTTP/1.1 request a channel, to whichever host the
//! channel names, with a bearer token that is fetched and renewed (`requests`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use self::delivery::Way;
use super::client_runtime::ClientRuntime;
use super::requests::Place;
use super::requests::line::Line;
use super::requests::token::{Account, Fault, Tokens};
use super::transport::GatewayMeter;
use super::{Batch, Gateway, Probe, SharedRequest};
use crate::clock::SharedClock;
use crate::model::broadcast::BroadcastRequest;
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::template::Rendered;
use crate::model::time::Timestamp;

pub mod channel;
mod delivery;
pub mod request;
pub mod settings;
pub mod toast;
pub mod verdict;

pub use settings::{WnsAuth, WnsSettings};

/// A token's life where its answer does not tell it (3.2).
const TOKEN_LIFE: Duration = Duration::from_hours(24);

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
    pub fn open(settings: &WnsSettings, place: &Place<'_>, meter: Arc<GatewayMeter>) -> Result<Self, FieldError> {
        let tls = place.tls()?;
        let account = Account {
            service: "WNS",
            endpoint: &settings.token_endpoint,
            client_id: &settings.client_id,
            client_secret: &settings.client_secret,
            scope: settings.auth.scope(),
            usual_life: TOKEN_LIFE,
        };
        let way = Arc::new(Way {
            // Connections for tokens say nothing about WNS: they have a pool of their own, and nobody watches it.
            tokens: Tokens::new(&account, place.client(tls.clone(), Arc::default()), Arc::clone(place.clock)),
            client: place.client(tls, Arc::clone(&meter)),
            allowed_hosts: settings.allowed_hosts.clone(),
            clock: Arc::clone(place.clock),
        });
        let line = place.line(&way, meter);
        Ok(Self { way, line, runtime: Arc::clone(place.runtime), clock: Arc::clone(place.clock) })
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
