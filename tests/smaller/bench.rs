//! A gateway, the service it speaks to, and a worker's side of the seam.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{Clock, SharedClock, SystemClock};
use fanfare::gateway::client_runtime::ClientRuntime;
use fanfare::gateway::requests::{Place, Tuning};
use fanfare::gateway::transport::GatewayMeter;
use fanfare::gateway::{Batch, Gateway, StopFlag, Targets};
use fanfare::model::broadcast::Content;
use fanfare::model::field::FieldError;
use fanfare::model::id::Seq;
use loadtest::gateways::{Authority, Token};
use tokio::sync::mpsc::unbounded_channel;

use crate::prepared::{hello, prepared};
use crate::seam::{Told, gather};

/// What every gateway of a bench is opened with.
pub(crate) struct Ground {
    pub(crate) authority: Authority,
    pub(crate) runtime: Arc<ClientRuntime>,
    pub(crate) clock: SharedClock,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let (authority, runtime) = (Authority::new().unwrap(), ClientRuntime::start(1).unwrap());
        Self { authority, runtime, clock: SystemClock::shared() }
    }

    /// Opens a gateway here, which trusts the authority.
    pub(crate) fn open<G>(&self, open: impl FnOnce(&Place<'_>, Arc<GatewayMeter>) -> Result<G, FieldError>) -> G {
        let tuning = Tuning { in_flight: 16, tick: Duration::from_millis(20), ..Tuning::default() };
        let ca = self.authority.ca_pem();
        let place = Place { runtime: &self.runtime, clock: &self.clock, ca_pem: Some(&ca), tuning };
        open(&place, Arc::default()).unwrap()
    }
}

pub(crate) struct Bench<S, G> {
    pub(crate) ground: Ground,
    pub(crate) sim: S,
    pub(crate) gateway: G,
    /// How devices are called there.
    pub(crate) channel: fn(u64) -> String,
}

impl<S, G: Gateway> Bench<S, G> {
    /// Sends a notification to these devices.
    pub(crate) async fn send(&self, seqs: Range<u64>) -> Told {
        self.send_what(hello(), seqs).await.unwrap()
    }

    pub(crate) async fn send_what(&self, content: Content, seqs: Range<u64>) -> Result<Told, FieldError> {
        let request = prepared(&self.gateway, content, self.ground.clock.now())?;
        let (tell, replies) = unbounded_channel();
        let (mut targets, mut owed) = (Targets::default(), 0);
        for seq in seqs {
            targets.push(Seq(seq), (self.channel)(seq).as_bytes());
            owed += 1;
        }
        let deadline = SystemClock.boot().plus(Duration::from_hours(1));
        let batch = Batch { request, targets, deadline, stop: StopFlag::default(), replies: tell };
        self.gateway.submit(batch).await;
        Ok(gather(owed, replies).await)
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
