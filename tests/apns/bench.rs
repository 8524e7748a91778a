//! A gateway, the service it speaks to, and a worker's side of the seam.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{BootInstant, Clock, SystemClock};
use fanfare::gateway::apns::{ApnsAuth, ApnsGateway, ApnsSettings, Mints, Shared};
use fanfare::gateway::pool::Tuning;
use fanfare::gateway::senders::Senders;
use fanfare::gateway::transport::GatewayMeter;
use fanfare::gateway::{Batch, Gateway, Reply, SharedRequest, StopFlag, Targets};
use fanfare::model::broadcast::{BroadcastRequest, Content, Lane, Payloads, Priority};
use fanfare::model::id::{BroadcastId, Seq};
use fanfare::model::time::Timestamp;
use loadtest::gateways::{ApnsConfig, ApnsSim, ProviderKey, Simulated, Token};
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(crate) const TOPIC: &str = "com.example.app";
use crate::seam::{Told, gather};

/// The system's clock, turned ahead by hand.
#[derive(Debug, Default)]
pub(crate) struct TurnedClock(Mutex<Duration>);

impl TurnedClock {
    pub(crate) fn turn(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(*self.0.lock())
    }

    fn boot(&self) -> BootInstant {
        SystemClock.boot().plus(*self.0.lock())
    }
}

/// Short enough for a test, long enough for a busy machine.
pub(crate) fn quick() -> Tuning {
    Tuning {
        tick: Duration::from_millis(20),
        patience: Duration::from_millis(400),
        stagger: Duration::from_millis(5),
        least_pause: Duration::from_millis(5),
        most_pause: Duration::from_millis(100),
        ..Tuning::default()
    }
}

pub(crate) struct Bench {
    pub(crate) sim: ApnsSim,
    pub(crate) key: ProviderKey,
    pub(crate) clock: Arc<TurnedClock>,
    pub(crate) shared: Shared,
    pub(crate) meter: Arc<GatewayMeter>,
    pub(crate) gateway: Arc<ApnsGateway>,
}

impl Bench {
    /// A gateway with that many connections, by provider token.
    pub(crate) async fn new(config: ApnsConfig, connections: usize) -> Self {
        Self::tuned(config, connections, quick()).await
    }

    pub(crate) async fn tuned(config: ApnsConfig, connections: usize, tuning: Tuning) -> Self {
        let sim = ApnsSim::start(config).await.unwrap();
        let key = sim.issue_key("TEAM123456").unwrap();
        let clock = Arc::new(TurnedClock::default());
        let shared = Shared {
            clock: clock.clone(),
            mints: Mints::new(clock.clone()),
            senders: Senders::start_with(2, crate::CLIENT).unwrap(),
        };
        let auth = ApnsAuth::token(&key.team_id, &key.key_id, key.p8()).unwrap();
        let meter = Arc::new(GatewayMeter::default());
        let settings = settings(&sim, auth).with_connections(connections).unwrap().with_tuning(tuning);
        let gateway = Arc::new(ApnsGateway::open(&settings, &shared, Arc::clone(&meter)).unwrap());
        Self { sim, key, clock, shared, meter, gateway }
    }

    /// The usual request.
    pub(crate) fn request(&self, lane: Lane) -> Arc<SharedRequest> {
        Arc::new(prepared(&self.gateway, lane, r#"{"aps":{"alert":"Hello"}}"#))
    }

    /// Submits targets `seqs` in one lane.
    pub(crate) async fn send(&self, lane: Lane, seqs: Range<u64>) -> Sent {
        self.send_request(self.request(lane), seqs, far()).await
    }

    pub(crate) async fn send_request(
        &self,
        request: Arc<SharedRequest>,
        seqs: Range<u64>,
        deadline: BootInstant,
    ) -> Sent {
        let (tell, replies) = unbounded_channel();
        let stop = StopFlag::default();
        for from in seqs.clone().step_by(1_000) {
            let mut targets = Targets::default();
            (from..seqs.end.min(from + 1_000)).for_each(|seq| targets.push(Seq(seq), token(seq).as_bytes()));
            let (request, stop, replies) = (Arc::clone(&request), stop.clone(), tell.clone());
            self.gateway.submit(Batch { request, targets, deadline, stop, replies }).await;
        }
        Sent { seqs, stop, replies }
    }

    /// Every device got exactly one push, and the sender broke no rule.
    pub(crate) fn assert_each_got_one(&self, seqs: Range<u64>) {
        let owed: Vec<Token> = seqs.map(token).collect();
        assert_eq!(self.sim.receipts().missing(&owed), Vec::<&Token>::new());
        assert_eq!(self.sim.receipts().repeated(), vec![]);
        self.assert_no_violation();
    }

    pub(crate) fn assert_no_violation(&self) {
        let counts = self.sim.counts();
        assert!(!counts.violations.any(), "{counts:?}");
    }
}

pub(crate) fn settings(sim: &ApnsSim, auth: ApnsAuth) -> ApnsSettings {
    ApnsSettings::new(&sim.endpoint(), TOPIC, auth).unwrap().with_ca(Some(&sim.authority().ca_pem()))
}

/// The token of a target: its seq, four times over. In hex a seq below 2^32 begins with eight zeros and its own digits.
pub(crate) fn token(seq: u64) -> Token {
    Token::new(&[seq.to_be_bytes(); 4].concat())
}

/// The hex digits by which a script knows a target.
pub(crate) fn prefix(seq: u64) -> String {
    format!("{seq:016x}")
}

pub(crate) fn far() -> BootInstant {
    SystemClock.boot().plus(Duration::from_hours(24))
}

pub(crate) fn asked(lane: Lane, payload: &str) -> BroadcastRequest {
    BroadcastRequest {
        audience: String::new(),
        content: Content::Payloads(Payloads::from([("apns".to_owned(), payload.to_owned())])),
        ttl_seconds: 3_600,
        collapse_key: None,
        priority: Priority::High,
        lane,
        weight: 1,
        rate_per_second: 0,
        schedule_at: None,
    }
}

pub(crate) fn prepared(gateway: &ApnsGateway, lane: Lane, payload: &str) -> SharedRequest {
    let now = SystemClock.now();
    let id = BroadcastId::new(now.millis().unsigned_abs());
    gateway.prepare(id, &asked(lane, payload), now.plus(Duration::from_hours(1))).unwrap()
}

/// What was submitted, and what is said of it.
pub(crate) struct Sent {
    seqs: Range<u64>,
    pub(crate) stop: StopFlag,
    replies: UnboundedReceiver<Vec<Reply>>,
}

impl Sent {
    /// Waits for the word on every target.
    pub(crate) async fn told(self) -> Told {
        let told = gather(usize::try_from(self.seqs.end - self.seqs.start).unwrap(), self.replies).await;
        assert!(told.0.keys().all(|seq| self.seqs.contains(seq)));
        told
    }
}
