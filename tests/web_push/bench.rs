//! A gateway, the services it speaks to, and a worker's side of the seam.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{BootInstant, Clock, SharedClock, SystemClock};
use fanfare::gateway::client_runtime::ClientRuntime;
use fanfare::gateway::requests::{Place, Tuning};
use fanfare::gateway::transport::GatewayMeter;
use fanfare::gateway::web_push::{WebPushGateway, WebPushSettings};
use fanfare::gateway::{Batch, Gateway, Reply, SharedRequest, StopFlag, Targets};
use fanfare::model::broadcast::{Content, Payloads};
use fanfare::model::channel::Channel;
use fanfare::model::id::Seq;
use fanfare::model::platform::Platform;
use loadtest::gateways::{Authority, Script, Token, WebPushConfig, WebPushSim};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::prepared::prepared;
use crate::seam::{Told, gather};

pub(crate) const SUBJECT: &str = "mailto:ops@example.com";

pub(crate) struct Bench {
    pub(crate) sim: WebPushSim,
    pub(crate) authority: Authority,
    pub(crate) runtime: Arc<ClientRuntime>,
    pub(crate) clock: SharedClock,
    pub(crate) gateway: WebPushGateway,
}

impl Bench {
    pub(crate) async fn new(config: WebPushConfig) -> Self {
        let authority = Authority::new().unwrap();
        let sim = WebPushSim::start_under(config, &authority).await.unwrap();
        let (runtime, clock) = (ClientRuntime::start(1).unwrap(), SystemClock::shared());
        let gateway = open(&settings(&sim), &authority, &runtime, &clock, Arc::default());
        Self { sim, authority, runtime, clock, gateway }
    }

    pub(crate) async fn scripted(script: Script) -> Self {
        Self::new(WebPushConfig { script, ..WebPushConfig::default() }).await
    }

    /// Another service that takes the same key.
    pub(crate) async fn another(&self, config: WebPushConfig) -> WebPushSim {
        WebPushSim::start_beside(config, &self.authority, &self.sim.vapid_private_key()).await.unwrap()
    }

    pub(crate) fn settings(&self) -> WebPushSettings {
        settings(&self.sim)
    }

    pub(crate) fn reopen(&mut self, settings: &WebPushSettings) {
        self.gateway = open(settings, &self.authority, &self.runtime, &self.clock, Arc::default());
    }

    /// Opens the gateway anew with a meter of its own.
    pub(crate) fn metered(&mut self) -> Arc<GatewayMeter> {
        let meter = Arc::<GatewayMeter>::default();
        self.gateway = open(&self.settings(), &self.authority, &self.runtime, &self.clock, meter.clone());
        meter
    }

    pub(crate) fn request(&self, payload: &str) -> Arc<SharedRequest> {
        let content = Content::Payloads(Payloads::from([("web_push".to_owned(), payload.to_owned())]));
        prepared(&self.gateway, content, self.clock.now()).unwrap()
    }

    pub(crate) async fn send(&self, seqs: Range<u64>) -> Sent {
        let channels = seqs.map(|seq| (seq, self.sim.subscription(&token(seq)))).collect();
        self.send_to(channels).await
    }

    pub(crate) async fn send_to(&self, subscriptions: Vec<(u64, Value)>) -> Sent {
        self.send_by("Hello", subscriptions, SystemClock.boot().plus(Duration::from_hours(1))).await
    }

    pub(crate) async fn send_by(&self, payload: &str, subscriptions: Vec<(u64, Value)>, deadline: BootInstant) -> Sent {
        let (tell, replies) = unbounded_channel();
        let (stop, mut targets) = (StopFlag::default(), Targets::default());
        let owed = subscriptions.len();
        for (seq, subscription) in subscriptions {
            let channel = Channel::parse(Platform::WebPush, subscription).unwrap();
            targets.push(Seq(seq), channel.bytes());
        }
        let batch = Batch { request: self.request(payload), targets, deadline, stop: stop.clone(), replies: tell };
        self.gateway.submit(batch).await;
        Sent { owed, stop, replies }
    }
}

fn settings(sim: &WebPushSim) -> WebPushSettings {
    WebPushSettings::new(SUBJECT, &sim.vapid_private_key()).unwrap().with_private_networks(true)
}

/// Trusts the authority.
fn open(
    settings: &WebPushSettings,
    authority: &Authority,
    runtime: &Arc<ClientRuntime>,
    clock: &SharedClock,
    meter: Arc<GatewayMeter>,
) -> WebPushGateway {
    let ca = authority.ca_pem();
    let place = Place { runtime, clock, ca_pem: Some(&ca), tuning: quick() };
    WebPushGateway::open(settings, &place, meter).unwrap()
}

/// Short enough for a test, long enough for a busy machine.
pub(crate) fn quick() -> Tuning {
    Tuning { in_flight: 16, tick: Duration::from_millis(20), ..Tuning::default() }
}

/// The token of a target: its seq, twice.
pub(crate) fn token(seq: u64) -> Token {
    Token::new(&[seq.to_be_bytes(); 2].concat())
}

/// The hex digits by which a script knows a target.
pub(crate) fn prefix(seq: u64) -> String {
    format!("{seq:016x}")
}

/// A subscription that leads somewhere else, with the keys of that target.
pub(crate) fn leading_to(sim: &WebPushSim, seq: u64, endpoint: &str) -> Value {
    let mut subscription = sim.subscription(&token(seq));
    subscription["endpoint"] = endpoint.into();
    subscription
}

/// What was submitted, and what is said of it.
pub(crate) struct Sent {
    owed: usize,
    pub(crate) stop: StopFlag,
    replies: UnboundedReceiver<Vec<Reply>>,
}

impl Sent {
    /// Waits for the word on every target.
    pub(crate) async fn told(self) -> Told {
        gather(self.owed, self.replies).await
    }
}
