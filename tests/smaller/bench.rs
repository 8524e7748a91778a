//! A gateway, the service it speaks to, and a worker's side of the seam.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{Clock, SharedClock, SystemClock};
use fanfare::gateway::adm::{AdmGateway, AdmSettings};
use fanfare::gateway::client_runtime::ClientRuntime;
use fanfare::gateway::requests::Tuning;
use fanfare::gateway::{Batch, Gateway, StopFlag, Targets};
use fanfare::model::broadcast::{BroadcastRequest, Content, Lane, Notification, Payloads, Priority};
use fanfare::model::id::{BroadcastId, Seq};
use loadtest::gateways::{AdmConfig, AdmSim, Authority, Script, Token};
use tokio::sync::mpsc::unbounded_channel;

use crate::seam::{Told, gather};

pub(crate) struct Bench {
    pub(crate) sim: AdmSim,
    pub(crate) ca: String,
    runtime: Arc<ClientRuntime>,
    clock: SharedClock,
    pub(crate) gateway: AdmGateway,
}

impl Bench {
    pub(crate) async fn scripted(script: Script) -> Self {
        let config = AdmConfig { script, keep_requests: true, ..AdmConfig::default() };
        let authority = Authority::new().unwrap();
        let sim = AdmSim::start_under(config.clone(), &authority).await.unwrap();
        let (runtime, clock) = (ClientRuntime::start(1).unwrap(), SystemClock::shared());
        let ca = authority.ca_pem();
        let settings =
            AdmSettings::new(&config.client_id, &config.client_secret, &sim.endpoint(), &sim.token_endpoint()).unwrap();
        let tuning = Tuning { in_flight: 16, tick: Duration::from_millis(20), ..Tuning::default() };
        let settings = settings.with_ca(Some(&ca)).with_tuning(tuning);
        let gateway = AdmGateway::open(&settings, &runtime, &clock, Arc::default()).unwrap();
        Self { sim, ca, runtime, clock, gateway }
    }

    pub(crate) fn reopen(&mut self, settings: &AdmSettings) {
        self.gateway = AdmGateway::open(settings, &self.runtime, &self.clock, Arc::default()).unwrap();
    }

    pub(crate) async fn send(&self, seqs: Range<u64>) -> Told {
        let now = self.clock.now();
        let notification = Notification { title: Some("Hello".to_owned()), ..Notification::default() };
        let request = BroadcastRequest {
            audience: String::new(),
            content: Content::Notification { notification, payloads: Payloads::new() },
            ttl_seconds: 3_600,
            collapse_key: None,
            priority: Priority::High,
            lane: Lane::Bulk,
            weight: 1,
            rate_per_second: 0,
            schedule_at: None,
        };
        let id = BroadcastId::new(now.millis().unsigned_abs());
        let request = self.gateway.prepare(id, &request, now.plus(Duration::from_hours(1))).unwrap();
        let (tell, replies) = unbounded_channel();
        let (mut targets, mut owed) = (Targets::default(), 0);
        for seq in seqs {
            targets.push(Seq(seq), token(seq).to_string().as_bytes());
            owed += 1;
        }
        let deadline = SystemClock.boot().plus(Duration::from_hours(1));
        let batch = Batch { request: Arc::new(request), targets, deadline, stop: StopFlag::default(), replies: tell };
        self.gateway.submit(batch).await;
        gather(owed, replies).await
    }
}

/// The token of a target: its seq, twice.
pub(crate) fn token(seq: u64) -> Token {
    Token::new(&[seq.to_be_bytes(); 2].concat())
}

/// The hex digits by which a script knows a target.
pub(crate) fn prefix(seq: u64) -> String {
    format!("{seq:016x}")
}
