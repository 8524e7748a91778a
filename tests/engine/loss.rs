//! Loss at every boundary: one fixed exchange of three requests, and a fault after each byte or frame of what the server
//! sends and after each frame of what it receives. What comes after on other connections is served without fault, so
//! whoever was surely not processed must be delivered in the end, and nobody twice.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare::gateway::Answer;
use fanfare::gateway::pool::Tuning;
use fanfare::gateway::senders::Senders;
use fanfare::model::verdict::Verdict;
use futures_util::{StreamExt as _, stream};
use loadtest::http2::frame::{self, ErrorCode, flag, kind};
use loadtest::http2::hpack::encode_literal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use crate::bench::{Bench, How, Identity, To, quick};
use crate::ledger::Ledger;
use crate::peer::{Heard, Peer, Terms};

/// Requests of the exchange; their streams are 1, 3 and 5.
const REQUESTS: u64 = 3;
/// Frames that a client sends for them: SETTINGS, WINDOW_UPDATE, three heads, two bodies (the first has none), and the
/// acknowledgement.
const HEARD: usize = 8;
/// Bytes of the server's SETTINGS, its acknowledgement, and the head of the first answer.
const FIRST_BYTES: usize = (9 + 24) + 9 + 10;
/// Frames that the server sends.
const SENT: usize = 7;
const AT_ONCE: usize = 24;

fn length(seq: u64) -> usize {
    usize::try_from(seq * 120).unwrap()
}

/// When the fault happens.
#[derive(Clone, Copy, Debug)]
enum When {
    /// After so many bytes were sent.
    Bytes(usize),
    /// After so many frames were sent.
    Sent(usize),
    /// After so many frames were received.
    Heard(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// TCP reset: what was sent last may be lost, too.
    Cut,
    /// Says no more, but reads.
    Close,
    /// Reads, and is silent.
    Stall,
    /// Does not even read.
    Sleep,
    /// GOAWAY with this last stream, and closes.
    GoAwayAndClose(u32),
    /// GOAWAY with this last stream, and answers what is left.
    GoAway(u32),
    /// RST_STREAM on one stream; the others go on.
    Reset(u32, ErrorCode),
}

impl Fault {
    const ENDS: [Self; 4] = [Self::Cut, Self::Close, Self::Stall, Self::Sleep];

    fn all() -> Vec<Self> {
        let away = |last| [Self::GoAwayAndClose(last), Self::GoAway(last)];
        let reset = |code| [1, 3, 5].map(|stream| Self::Reset(stream, code));
        let away = [0, 1, 3, 5, frame::MAX_31_BITS].map(away).concat();
        [&Self::ENDS[..], &away, &reset(ErrorCode::REFUSED_STREAM), &reset(ErrorCode::INTERNAL_ERROR)].concat()
    }
}

/// The server, whose first connection has the fault.
#[derive(Clone)]
struct Server {
    authority: String,
    ledger: Ledger,
    fault: (When, Fault),
    happened: Arc<AtomicBool>,
}

/// One connection.
struct Exchange {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    ledger: Ledger,
    fault: Option<(When, Fault)>,
    bytes: usize,
    sent: usize,
    heard: usize,
}

/// The connection is over.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Server {
    async fn listen(self, listener: TcpListener, tls: TlsAcceptor) {
        let mut exchanges = tokio::task::JoinSet::new();
        while let Ok((tcp, _)) = listener.accept().await {
            let (server, tls) = (self.clone(), tls.clone());
            exchanges.spawn(async move {
                let Ok(stream) = tls.accept(tcp).await else { return };
                let fault = (!server.happened.swap(true, Ordering::Relaxed)).then_some(server.fault);
                let peer = Peer::new(server.ledger.clone(), server.authority, length);
                let ledger = server.ledger;
                let mut exchange = Exchange { stream, peer, ledger, fault, bytes: 0, sent: 0, heard: 0 };
                let _ = exchange.serve().await;
            });
        }
    }
}

impl Exchange {
    async fn serve(&mut self) -> Result<(), Over> {
        let mut settings = Vec::new();
        self.peer.offer(&mut settings, Terms::USUAL);
        self.happen(When::Bytes(0)).await?;
        self.say(&settings).await?;
        let (mut input, mut buffer) = (Vec::new(), vec![0; 4_096]);
        // The exchange with the fault answers when it has all three, so that each boundary is the same in every run.
        let wanted = if self.fault.is_some() { 2 * u32::try_from(REQUESTS).unwrap_or(0) - 1 } else { 0 };
        loop {
            match self.peer.hear(&mut input) {
                Ok(None) => {
                    let read = self.stream.read(&mut buffer).await?;
                    if read == 0 {
                        return Err(Over);
                    }
                    input.extend_from_slice(&buffer[..read]);
                    continue;
                }
                Ok(Some(heard)) => {
                    self.heard += 1;
                    self.happen(When::Heard(self.heard)).await?;
                    if heard == Heard::Settings {
                        self.say(&head(0, kind::SETTINGS, flag::ACK, 0)).await?;
                    }
                }
                Err(breach) => {
                    self.ledger.breach(breach);
                    return Err(Over);
                }
            }
            if self.peer.highest >= wanted && self.peer.streams.values().all(|stream| stream.whole) {
                let open: Vec<u32> = self.peer.streams.keys().copied().collect();
                for id in open {
                    self.answer(id).await?;
                }
            }
        }
    }

    /// One answer is a head alone, one has a body, one has trailers.
    async fn answer(&mut self, id: u32) -> Result<(), Over> {
        self.peer.answered(id);
        if id % 6 == 1 {
            self.say(&[head(1, kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, id), vec![0x88]].concat()).await?;
        } else {
            self.say(&[head(1, kind::HEADERS, flag::END_HEADERS, id), vec![0x88]].concat()).await?;
            // The fault may have been to reset it.
            if !self.peer.streams.contains_key(&id) {
                return Ok(());
            }
            if id % 6 == 3 {
                self.say(&[head(4, kind::DATA, flag::END_STREAM, id), b"body".to_vec()].concat()).await?;
            } else {
                let mut trailers = Vec::new();
                encode_literal(&mut trailers, b"x-end", b"yes");
                let flags = flag::END_HEADERS | flag::END_STREAM;
                self.say(&[head(trailers.len(), kind::HEADERS, flags, id), trailers].concat()).await?;
            }
        }
        self.peer.streams.remove(&id);
        Ok(())
    }

    /// Sends a frame, as far as the fault lets it.
    async fn say(&mut self, frame: &[u8]) -> Result<(), Over> {
        let before = self.bytes;
        self.bytes += frame.len();
        if let Some((When::Bytes(at), _)) = self.fault
            && (before + 1..=self.bytes).contains(&at)
        {
            self.write(&frame[..at - before]).await?;
            self.happen(When::Bytes(at)).await?;
            self.write(&frame[at - before..]).await?;
        } else {
            self.write(frame).await?;
        }
        self.sent += 1;
        self.happen(When::Sent(self.sent)).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Makes the fault when this is its moment.
    async fn happen(&mut self, now: When) -> Result<(), Over> {
        let due = match (self.fault, now) {
            (Some((When::Bytes(at), fault)), When::Bytes(now)) if at == now => fault,
            (Some((When::Sent(at), fault)), When::Sent(now)) if at == now => fault,
            (Some((When::Heard(at), fault)), When::Heard(now)) if at == now => fault,
            _ => return Ok(()),
        };
        self.fault = None;
        let mut out = Vec::new();
        match due {
            Fault::Cut => {
                self.stream.get_ref().0.set_zero_linger()?;
                return Err(Over);
            }
            Fault::Close => return self.close().await,
            Fault::Stall => return self.read_out().await,
            Fault::Sleep => return std::future::pending().await,
            Fault::GoAwayAndClose(last) => {
                self.peer.go_away(&mut out, last);
                self.write(&out).await?;
                return self.close().await;
            }
            Fault::GoAway(last) => self.peer.go_away(&mut out, last),
            Fault::Reset(id, ErrorCode::REFUSED_STREAM) => self.peer.refuse(&mut out, id),
            Fault::Reset(id, code) => {
                if self.peer.streams.remove(&id).is_some() {
                    frame::write_reset(&mut out, id, code);
                }
            }
        }
        self.write(&out).await
    }

    /// Closes its side, and reads on, so that nothing it sent is lost with a reset.
    async fn close(&mut self) -> Result<(), Over> {
        self.stream.shutdown().await?;
        self.read_out().await
    }

    async fn read_out(&mut self) -> Result<(), Over> {
        let mut buffer = [0; 4_096];
        while self.stream.read(&mut buffer).await? > 0 {}
        Err(Over)
    }
}

fn head(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_header(&mut out, length, kind, flags, stream);
    out
}

async fn play(fault: (When, Fault), identity: Arc<Identity>, senders: Arc<Senders>) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ledger = Ledger::default();
    let authority = format!("127.0.0.1:{port}");
    let server = Server { authority, ledger: ledger.clone(), fault, happened: Arc::default() };
    let _server = AbortOnDropHandle::new(tokio::spawn(server.listen(listener, TlsAcceptor::from(identity.server()))));
    let tuning = Tuning {
        // The exchange is that of a connection in use: all requests at once.
        warm_up: Duration::ZERO,
        open_timeout: Duration::from_millis(1_500),
        soft_timeout: Duration::from_millis(500),
        hard_timeout: Duration::from_millis(1_000),
        busy_ping: Duration::from_millis(500),
        ping_timeout: Duration::from_millis(1_000),
        ..quick()
    };
    let targets: Vec<To> = (0..REQUESTS).map(|seq| (seq, format!("/push/{seq}"))).collect();
    let how = How { connections: 1, length, tuning };
    let told = Bench::new(port, &identity, &senders, how).send(&targets, 10).await;
    let mut faults = ledger.faults(&told, false);
    faults.extend(losses(fault.1, &ledger, &told));
    faults
}

/// Beyond what always holds: who must be delivered, because the fault does not touch it, or says that it was not
/// processed.
fn losses(fault: Fault, ledger: &Ledger, told: &BTreeMap<u64, Answer>) -> Vec<String> {
    let certain = |seq: u64| {
        let stream = 2 * seq + 1;
        match fault {
            // The word arrives, and so does every other. Up to the last stream nothing is certain when it closes.
            Fault::GoAwayAndClose(last) => stream > u64::from(last),
            Fault::GoAway(_) => true,
            Fault::Reset(id, code) => code == ErrorCode::REFUSED_STREAM || u64::from(id) != stream,
            // What the client had written when it was cut, only the client knows.
            Fault::Cut | Fault::Close | Fault::Stall | Fault::Sleep => false,
        }
    };
    let not = |seq: &u64| !matches!(told[seq], Answer::Verdict { verdict: Verdict::Delivered, .. });
    let lost = told.keys().filter(|seq| certain(**seq) && not(seq));
    lost.map(|seq| format!("target {seq} was surely not processed, and told {:?}: {:?}", told[seq], ledger.fates(*seq)))
        .collect()
}

async fn play_all(faults: Vec<(When, Fault)>) {
    let (identity, senders) = (Arc::new(Identity::new()), Senders::start(2).unwrap());
    let games = stream::iter(faults).map(|fault| {
        let game = tokio::spawn(play(fault, Arc::clone(&identity), Arc::clone(&senders)));
        async move { (fault, game.await.unwrap_or_else(|panic| vec![panic.to_string()])) }
    });
    let games = games.buffer_unordered(AT_ONCE);
    let faulty: Vec<_> = games.filter(|(_, faults)| std::future::ready(!faults.is_empty())).collect().await;
    assert!(faulty.is_empty(), "{faulty:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_every_byte_of_the_first_frames() {
    let fault = |at| Fault::ENDS.map(|fault| (When::Bytes(at), fault));
    play_all((0..=FIRST_BYTES).flat_map(fault).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_every_frame_that_the_server_sends() {
    let fault = |at| Fault::all().into_iter().map(move |fault| (When::Sent(at), fault));
    play_all((1..=SENT).flat_map(fault).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_every_frame_that_the_server_receives() {
    let fault = |at| Fault::all().into_iter().map(move |fault| (When::Heard(at), fault));
    play_all((1..=HEARD).flat_map(fault).collect()).await;
}

/// Much is being written when the connection is cut: what the client handed to the network may have been processed, even
/// when the network then failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_a_long_write() {
    let (identity, senders) = (Arc::new(Identity::new()), Senders::start(1).unwrap());
    for round in 0..4 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ledger = Ledger::default();
        let (tls, books) = (TlsAcceptor::from(identity.server()), ledger.clone());
        let _server = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(stream) = tls.accept(tcp).await else { continue };
                let peer = Peer::new(books.clone(), format!("127.0.0.1:{port}"), long);
                let _ = cut_amid(stream, peer, 10 + round * 20).await;
            }
        }));
        let targets: Vec<To> = (0..400).map(|seq| (seq, format!("/push/{seq}"))).collect();
        let tuning = Tuning { warm_up: Duration::ZERO, ..quick() };
        let how = How { connections: 1, length: long, tuning };
        let told = Bench::new(port, &identity, &senders, how).send(&targets, 400).await;
        assert_eq!(ledger.faults(&told, false), Vec::<String>::new(), "round {round}");
    }
}

fn long(_: u64) -> usize {
    600
}

/// Reads that many requests, and cuts.
async fn cut_amid(mut stream: TlsStream<TcpStream>, mut peer: Peer, requests: usize) -> Result<(), Over> {
    let mut out = Vec::new();
    peer.offer(&mut out, Terms { streams: 1_000, ..Terms::USUAL });
    peer.grant(&mut out, 0, 1 << 24);
    stream.write_all(&out).await?;
    let (mut input, mut buffer, mut whole) = (Vec::new(), vec![0; 4_096], 0);
    while whole < requests {
        match peer.hear(&mut input).map_err(|_| Over)? {
            None => {
                let read = stream.read(&mut buffer).await?;
                if read == 0 {
                    return Err(Over);
                }
                input.extend_from_slice(&buffer[..read]);
            }
            Some(heard) => whole += usize::from(matches!(heard, Heard::Whole(_))),
        }
    }
    Ok(stream.get_ref().0.set_zero_linger()?)
}
