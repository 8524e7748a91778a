//! The connections of a hostile server: bytes in, bytes out in odd pieces, and an act of chance in between.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fastrand::Rng;
use loadtest::http2::frame::{self, flag, kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::acts::{Mood, Next};
use crate::ledger::Ledger;
use crate::peer::{Heard, Peer};

/// Long enough for a request to be sent anew elsewhere, shorter than any limit of the client's.
const DAWDLES: Duration = Duration::from_millis(30);

#[derive(Clone)]
pub(super) struct Host {
    authority: String,
    pub(super) ledger: Ledger,
    pub(super) mood: Mood,
    /// Connections that went away.
    pub(super) goodbyes: Arc<AtomicU32>,
}

/// One connection.
pub(super) struct Guest {
    pub(super) host: Host,
    pub(super) rng: Rng,
    pub(super) peer: Peer,
    pub(super) out: Vec<u8>,
    /// Streams whose answer has begun and not ended.
    pub(super) halves: Vec<u32>,
    pub(super) acts: u32,
    /// How far its goodbye is.
    pub(super) leaving: u32,
}

impl Host {
    pub(super) fn new(authority: String, ledger: Ledger, mood: Mood) -> Self {
        Self { authority, ledger, mood, goodbyes: Arc::default() }
    }

    pub(super) async fn listen(self, listener: TcpListener, tls: TlsAcceptor, mut rng: Rng) {
        let mut guests = tokio::task::JoinSet::new();
        while let Ok((tcp, _)) = listener.accept().await {
            let (host, tls, rng) = (self.clone(), tls.clone(), rng.fork());
            guests.spawn(async move {
                let Ok(stream) = tls.accept(tcp).await else { return };
                let peer = Peer::new(host.ledger.clone(), host.authority.clone(), super::length);
                let mut guest = Guest { host, rng, peer, out: Vec::new(), halves: Vec::new(), acts: 0, leaving: 0 };
                // The client may close at any time.
                let _ = guest.serve(stream).await;
            });
        }
    }

    pub(super) fn may_go_away(&self, most: u32) -> bool {
        self.goodbyes.fetch_add(1, Ordering::Relaxed) < most
    }
}

impl Guest {
    async fn serve(&mut self, mut stream: TlsStream<TcpStream>) -> io::Result<()> {
        let (mut input, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
        self.greet();
        loop {
            self.write(&mut stream).await?;
            let pause = Duration::from_micros(self.rng.u64(0..2_000));
            let read = tokio::select! {
                read = stream.read(&mut buffer) => Some(read?),
                () = tokio::time::sleep(pause) => None,
            };
            match read {
                Some(0) => return Ok(()),
                Some(read) => {
                    input.extend_from_slice(&buffer[..read]);
                    if !self.hear(&mut input) {
                        return Ok(());
                    }
                }
                None => match self.act() {
                    Next::Go => {}
                    Next::Dawdle => {
                        self.write(&mut stream).await?;
                        tokio::time::sleep(DAWDLES).await;
                    }
                    Next::Close => {
                        self.write(&mut stream).await?;
                        stream.shutdown().await?;
                        // Reads on, so that what was sent is not lost with a reset.
                        while stream.read(&mut buffer).await? > 0 {}
                        return Ok(());
                    }
                    Next::Cut => {
                        self.write(&mut stream).await?;
                        return stream.get_ref().0.set_zero_linger();
                    }
                    Next::Listen => while stream.read(&mut buffer).await? > 0 {},
                    Next::Sleep => std::future::pending().await,
                },
            }
        }
    }

    /// Takes in what came. False when the client broke the rules.
    fn hear(&mut self, input: &mut Vec<u8>) -> bool {
        loop {
            match self.peer.hear(input) {
                Ok(None) => return true,
                Ok(Some(Heard::Settings)) => frame::write_header(&mut self.out, 0, kind::SETTINGS, flag::ACK, 0),
                Ok(Some(Heard::Ping(opaque))) => {
                    frame::write_header(&mut self.out, 8, kind::PING, flag::ACK, 0);
                    self.out.extend_from_slice(&opaque);
                }
                Ok(Some(Heard::Reset(id))) => self.halves.retain(|half| *half != id),
                Ok(Some(_)) => {}
                Err(breach) => {
                    self.host.ledger.breach(breach);
                    return false;
                }
            }
        }
    }

    /// Writes all there is, in pieces of the mood's size: each is a TLS record and a segment.
    async fn write(&mut self, stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
        for piece in std::mem::take(&mut self.out).chunks(self.host.mood.piece) {
            stream.write_all(piece).await?;
            stream.flush().await?;
        }
        Ok(())
    }
}
