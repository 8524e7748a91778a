//! A service without opinions, a transport to it, and a worker's side of the seam.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare::clock::{Clock, SystemClock};
use fanfare::gateway::connect;
use fanfare::gateway::endpoint::Endpoint;
use fanfare::gateway::pool::{TransportSettings, Tuning};
use fanfare::gateway::senders::Senders;
use fanfare::gateway::tls::{client_config, roots};
use fanfare::gateway::transport::{
    Addressed, Authorization, GatewayMeter, Held, Judgement, RawAnswer, Service, Transport,
};
use fanfare::gateway::{Answer, Batch, Reply, SharedRequest, StopFlag, Targets};
use fanfare::model::broadcast::Lane;
use fanfare::model::id::{BroadcastId, Seq};
use fanfare::model::verdict::{Reason, Verdict};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::mpsc::unbounded_channel;

/// What no exchange takes unless something hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// A target: its number, and the path that it is sent to.
pub(crate) type To = (u64, String);

/// The path is the target's channel, the id its number, and the body is made from the number.
#[derive(Debug)]
struct Plain {
    /// How long the body of a target is.
    length: fn(u64) -> usize,
}

/// The body of a target: its number, drawn out to a length.
pub(crate) fn body(seq: u64, length: usize) -> Vec<u8> {
    let mut body = format!("{seq};").into_bytes();
    body.resize(length.max(body.len()), b'x');
    if length == 0 { Vec::new() } else { body }
}

impl Service for Plain {
    fn id_field(&self) -> Option<&'static str> {
        Some("x-id")
    }

    fn never_indexed(&self, field: &str) -> bool {
        field == "x-once"
    }

    fn address(&self, _: &SharedRequest, seq: Seq, channel: &[u8], out: &mut Addressed) {
        out.path.extend_from_slice(channel);
        out.id.extend_from_slice(seq.0.to_string().as_bytes());
        out.body.extend_from_slice(&body(seq.0, (self.length)(seq.0)));
    }

    fn authorize(&self, held: &mut Held) {
        let value = Bytes::from_static(b"bearer of good news");
        held.authorization.get_or_insert(Authorization { value, number: 1 });
    }

    fn judge(&self, answer: &RawAnswer<'_>, _: &mut Held) -> Judgement {
        let verdict = match answer.status {
            200 => Verdict::Delivered,
            410 => Verdict::DropToken { since: None },
            _ => Verdict::FixRequest { for_all: false },
        };
        let reason = String::from_utf8_lossy(answer.body);
        Judgement::plain(verdict, (!reason.is_empty()).then(|| Reason::foreign(&reason)))
    }
}

/// Short enough for a test, long enough for a busy machine.
pub(crate) fn quick() -> Tuning {
    Tuning {
        tick: Duration::from_millis(20),
        patience: Duration::from_secs(20),
        stagger: Duration::from_millis(2),
        least_pause: Duration::from_millis(1),
        most_pause: Duration::from_millis(20),
        refused_rest: Duration::from_millis(2),
        ..Tuning::default()
    }
}

/// The key and certificate of a server on this machine, in PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}

/// A transport to a server on a port of this machine.
pub(crate) struct Bench {
    transport: Box<dyn Transport>,
    meter: Arc<GatewayMeter>,
    // Connections end with their threads.
    _senders: Arc<Senders>,
}

impl Bench {
    pub(crate) fn new(port: u16, identity: &Identity, senders: &Arc<Senders>, how: How) -> Self {
        let settings = TransportSettings {
            endpoint: Endpoint::parse(&format!("https://127.0.0.1:{port}")).unwrap(),
            tls: client_config(roots(Some(&identity.certificate)).unwrap(), None, &[b"h2"]).unwrap(),
            connections: how.connections,
            tuning: how.tuning,
        };
        let service = Arc::new(Plain { length: how.length });
        let meter = Arc::new(GatewayMeter::default());
        let transport = connect::open(settings, service, senders, Arc::clone(&meter), &SystemClock::shared());
        Self { transport, meter, _senders: Arc::clone(senders) }
    }

    /// Sends to all of them in batches of that many, waits for the one word on each, and closes.
    pub(crate) async fn send(self, targets: &[To], batch: usize) -> BTreeMap<u64, Answer> {
        let request = Arc::new(SharedRequest {
            headers: vec![("x-topic", "com.example.app".to_owned()), ("x-once", "once".to_owned())],
            body: Bytes::new(),
            broadcast: BroadcastId::new(1),
            lane: Lane::Bulk,
        });
        let (tell, mut replies) = unbounded_channel();
        let gathered = async {
            let mut told = BTreeMap::new();
            while told.len() < targets.len() {
                let Some(pile) = replies.recv().await else { break };
                for Reply { seq, what } in pile {
                    assert_eq!(told.insert(seq.0, what), None, "target {seq} was answered twice");
                }
            }
            told
        };
        let submitted = async {
            for some in targets.chunks(batch) {
                let mut targets = Targets::default();
                some.iter().for_each(|(seq, path)| targets.push(Seq(*seq), path.as_bytes()));
                let deadline = SystemClock.boot().plus(Duration::from_hours(1));
                let (request, replies, stop) = (Arc::clone(&request), tell.clone(), StopFlag::default());
                self.transport.submit(Batch { request, targets, deadline, stop, replies }).await;
            }
        };
        let (told, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(gathered, submitted) })
            .await
            .unwrap_or_else(|_| panic!("some of {} targets were never answered", targets.len()));
        self.transport.close(PATIENCE).await;
        drop(tell);
        assert_eq!(replies.recv().await, None, "a word too many");
        assert_eq!((self.meter.connections(), self.meter.streams()), (0, 0), "gauges of what is closed");
        told
    }
}

/// How to send.
pub(crate) struct How {
    pub(crate) connections: usize,
    pub(crate) length: fn(u64) -> usize,
    pub(crate) tuning: Tuning,
}

/// A verdict and its reason.
pub(crate) fn verdict(what: &Answer) -> (&Verdict, &str) {
    match what {
        Answer::Verdict { verdict, reason, .. } => (verdict, reason.as_ref().map_or("", Reason::as_str)),
        Answer::Unsent(why) => panic!("not sent: {why:?}"),
    }
}
