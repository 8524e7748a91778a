//! A gateway, the service it speaks to, and a worker's side of the seam.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{Clock, SharedClock, SystemClock};
use fanfare::gateway::fcm::{FcmGateway, FcmSettings};
use fanfare::gateway::senders::Senders;
use fanfare::gateway::{Batch, Gateway, Reply, SharedRequest, StopFlag, Targets};
use fanfare::model::broadcast::Content;
use fanfare::model::id::Seq;
use loadtest::gateways::{Authority, FcmConfig, FcmSim, Script, Simulated, Token};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::prepared::{hello, prepared};
use crate::seam::{Told, gather};

pub(crate) struct Bench {
    pub(crate) sim: FcmSim,
    authority: Authority,
    senders: Arc<Senders>,
    clock: SharedClock,
    pub(crate) gateway: FcmGateway,
}

impl Bench {
    pub(crate) async fn new(config: FcmConfig) -> Self {
        let authority = Authority::new().unwrap();
        let sim = FcmSim::start_under(config, &authority).await.unwrap();
        let (senders, clock) = (Senders::start(2).unwrap(), SystemClock::shared());
        let gateway = open(&sim.endpoint(), &sim.account().json(), &authority, &senders, &clock);
        Self { sim, authority, senders, clock, gateway }
    }

    pub(crate) async fn scripted(script: Script) -> Self {
        Self::new(FcmConfig { script, ..FcmConfig::default() }).await
    }

    /// Another gateway: with this account, at this endpoint.
    pub(crate) fn reopen(&mut self, endpoint: &str, account: &str) {
        self.gateway = open(endpoint, account, &self.authority, &self.senders, &self.clock);
    }

    pub(crate) fn request(&self) -> Arc<SharedRequest> {
        self.prepared(hello())
    }

    pub(crate) fn prepared(&self, content: Content) -> Arc<SharedRequest> {
        prepared(&self.gateway, content, self.clock.now()).unwrap()
    }

    pub(crate) async fn send(&self, seqs: Range<u64>) -> Sent {
        self.send_to(seqs.map(|seq| (seq, token(seq))).collect()).await
    }

    pub(crate) async fn send_to(&self, channels: Vec<(u64, String)>) -> Sent {
        self.send_request(self.request(), channels).await
    }

    pub(crate) async fn send_request(&self, request: Arc<SharedRequest>, channels: Vec<(u64, String)>) -> Sent {
        let (tell, replies) = unbounded_channel();
        let stop = StopFlag::default();
        let deadline = SystemClock.boot().plus(Duration::from_hours(1));
        for channels in channels.chunks(1_000) {
            let mut targets = Targets::default();
            channels.iter().for_each(|(seq, channel)| targets.push(Seq(*seq), channel.as_bytes()));
            let (request, stop, replies) = (Arc::clone(&request), stop.clone(), tell.clone());
            self.gateway.submit(Batch { request, targets, deadline, stop, replies }).await;
        }
        Sent { owed: channels.len(), stop, replies }
    }

    /// Every device got exactly one push, and the sender broke no rule.
    pub(crate) fn assert_each_got_one(&self, seqs: Range<u64>) {
        let owed: Vec<Token> = seqs.map(device).collect();
        assert_eq!(self.sim.receipts().missing(&owed), Vec::<&Token>::new());
        assert_eq!(self.sim.receipts().repeated(), vec![]);
        self.assert_no_violation();
    }

    pub(crate) fn assert_no_violation(&self) {
        let counts = self.sim.counts();
        assert!(!counts.violations.any(), "{counts:?}");
    }
}

fn open(
    endpoint: &str,
    account: &str,
    authority: &Authority,
    senders: &Arc<Senders>,
    clock: &SharedClock,
) -> FcmGateway {
    let settings = FcmSettings::new(endpoint, account).unwrap().with_ca(Some(&authority.ca_pem()));
    FcmGateway::open(&settings, senders, clock, Arc::default()).unwrap()
}

/// The registration token of a target: its seq in digits, and what makes it look like one.
pub(crate) fn token(seq: u64) -> String {
    format!("{seq:08}:APA91b-Device_of_this_test")
}

/// How receipts name a target.
pub(crate) fn device(seq: u64) -> Token {
    Token::new(token(seq).as_bytes())
}

/// The hex digits by which a script knows a target.
pub(crate) fn prefix(seq: u64) -> String {
    Token::new(format!("{seq:08}").as_bytes()).to_string()
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
