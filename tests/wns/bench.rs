//! A gateway, the service it speaks to, and a worker's side of the seam.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{BootInstant, Clock, SharedClock, SystemClock};
use fanfare::gateway::client_runtime::ClientRuntime;
use fanfare::gateway::requests::{Place, Tuning};
use fanfare::gateway::transport::GatewayMeter;
use fanfare::gateway::wns::{WnsAuth, WnsGateway, WnsSettings};
use fanfare::gateway::{Batch, Gateway, Reply, SharedRequest, StopFlag, Targets};
use fanfare::model::id::Seq;
use loadtest::gateways::{Authority, Token, WnsConfig, WnsSim};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::prepared::{hello, prepared};
use crate::seam::{Told, gather};

pub(crate) struct Bench {
    pub(crate) sim: WnsSim,
    pub(crate) config: WnsConfig,
    authority: Authority,
    pub(crate) runtime: Arc<ClientRuntime>,
    pub(crate) clock: SharedClock,
    pub(crate) gateway: WnsGateway,
}

impl Bench {
    pub(crate) async fn new(config: WnsConfig) -> Self {
        let authority = Authority::new().unwrap();
        let sim = WnsSim::start_under(config.clone(), &authority).await.unwrap();
        let (runtime, clock) = (ClientRuntime::start(1).unwrap(), SystemClock::shared());
        let gateway = open(&settings(&sim, &config), &authority, &runtime, &clock, Arc::default());
        Self { sim, config, authority, runtime, clock, gateway }
    }

    /// The hub's account by Entra ID.
    pub(crate) fn settings(&self) -> WnsSettings {
        settings(&self.sim, &self.config)
    }

    pub(crate) fn reopen(&mut self, settings: &WnsSettings) {
        self.gateway = open(settings, &self.authority, &self.runtime, &self.clock, Arc::default());
    }

    /// Opens the gateway anew with a meter of its own.
    pub(crate) fn metered(&mut self) -> Arc<GatewayMeter> {
        let meter = Arc::<GatewayMeter>::default();
        self.gateway = open(&self.settings(), &self.authority, &self.runtime, &self.clock, meter.clone());
        meter
    }

    pub(crate) fn request(&self) -> Arc<SharedRequest> {
        prepared(&self.gateway, hello(), self.clock.now()).unwrap()
    }

    pub(crate) async fn send(&self, seqs: Range<u64>) -> Sent {
        let channels = seqs.map(|seq| (seq, self.sim.channel(&token(seq)))).collect();
        self.send_to(channels, SystemClock.boot().plus(Duration::from_hours(1))).await
    }

    pub(crate) async fn send_to(&self, channels: Vec<(u64, String)>, deadline: BootInstant) -> Sent {
        let (tell, replies) = unbounded_channel();
        let (stop, mut targets) = (StopFlag::default(), Targets::default());
        channels.iter().for_each(|(seq, channel)| targets.push(Seq(*seq), channel.as_bytes()));
        let batch = Batch { request: self.request(), targets, deadline, stop: stop.clone(), replies: tell };
        self.gateway.submit(batch).await;
        Sent { owed: channels.len(), stop, replies }
    }
}

fn settings(sim: &WnsSim, config: &WnsConfig) -> WnsSettings {
    let auth = WnsAuth::Entra { tenant_id: config.tenant_id.as_str().into() };
    WnsSettings::new(auth, &config.client_id, &config.client_secret)
        .unwrap()
        .with_token_endpoint(&sim.entra_endpoint())
        .unwrap()
        .with_allowed_hosts([sim.allowed_host().as_str(), "localhost:1"])
        .unwrap()
}

/// Trusts the authority.
fn open(
    settings: &WnsSettings,
    authority: &Authority,
    runtime: &Arc<ClientRuntime>,
    clock: &SharedClock,
    meter: Arc<GatewayMeter>,
) -> WnsGateway {
    let ca = authority.ca_pem();
    let place = Place { runtime, clock, ca_pem: Some(&ca), tuning: quick() };
    WnsGateway::open(settings, &place, meter).unwrap()
}

/// Short enough for a test, long enough for a busy machine.
fn quick() -> Tuning {
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
