//! Opening a connection: name, TCP, TLS.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gateway::endpoint::Endpoint;

/// Addresses that are tried before an opening fails.
const ADDRESSES_TRIED: usize = 3;

/// Bytes that are taken from the network at once. The TLS layer reads by 4 KiB, which would be a system call for some two
/// hundred answers; so it reads from here.
const READ: usize = 64 * 1024;

/// TLS over a socket that is read in large pieces.
pub(in crate::gateway) type Stream = TlsStream<BufReader<TcpStream>>;

/// A stream on which both sides have agreed to speak HTTP/2.
pub(in crate::gateway) struct Dialed {
    pub(in crate::gateway) stream: Stream,
    /// Given back when the connection is gone.
    pub(in crate::gateway) seat: Seat,
}

/// Why no connection could be opened.
#[derive(Debug, thiserror::Error)]
pub(in crate::gateway) enum DialError {
    #[error("the name does not resolve: {0}")]
    Resolve(io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    #[error("the server does not speak HTTP/2")]
    NotHttp2,
    #[error("HTTP/2 failed: {0}")]
    Http2(h2::Error),
    #[error("not open after {} s", .0.as_secs())]
    Timeout(Duration),
}

/// Opens connections to one endpoint.
#[derive(Debug)]
pub(super) struct Dialer {
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    within: Duration,
    /// How many connections each address has: the service asks that they be spread (1.6).
    seats: Arc<Mutex<HashMap<SocketAddr, usize>>>,
}

/// One connection's place at an address.
#[derive(Debug)]
pub(in crate::gateway) struct Seat {
    address: SocketAddr,
    seats: Arc<Mutex<HashMap<SocketAddr, usize>>>,
}

impl Seat {
    fn take(address: SocketAddr, seats: &Arc<Mutex<HashMap<SocketAddr, usize>>>) -> Self {
        *seats.lock().entry(address).or_default() += 1;
        Self { address, seats: Arc::clone(seats) }
    }

    pub(in crate::gateway) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.seats.lock();
        if let Some(taken) = seats.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.address);
            }
        }
    }
}

impl Dialer {
    pub(super) fn new(endpoint: Endpoint, tls: ClientConfig, within: Duration) -> Self {
        Self { endpoint, tls: Arc::new(tls), within, seats: Arc::default() }
    }

    pub(super) async fn open(&self) -> Result<Dialed, DialError> {
        tokio::time::timeout(self.within, self.open_unbounded()).await.unwrap_or(Err(DialError::Timeout(self.within)))
    }

    async fn open_unbounded(&self) -> Result<Dialed, DialError> {
        let (tcp, seat) = self.connect().await?;
        // Requests are already gathered into few writes; waiting for an acknowledgement would only delay them.
        tcp.set_nodelay(true).map_err(DialError::Connect)?;
        let name = self.endpoint.server_name().clone();
        let tcp = BufReader::with_capacity(READ, tcp);
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.map_err(DialError::Tls)?;
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(DialError::NotHttp2);
        }
        Ok(Dialed { stream: tls, seat })
    }

    /// Resolves anew each time, because the service moves its addresses and asks for it (1.6), and takes the address
    /// with the fewest of our connections.
    async fn connect(&self) -> Result<(TcpStream, Seat), DialError> {
        let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((self.endpoint.dial_host(), self.endpoint.port()))
            .await
            .map_err(DialError::Resolve)?
            .collect();
        fastrand::shuffle(&mut addresses);
        {
            let seats = self.seats.lock();
            addresses.sort_by_key(|address| seats.get(address).copied().unwrap_or(0));
        }
        let mut failure = DialError::NoAddress;
        for address in addresses.into_iter().take(ADDRESSES_TRIED) {
            // Taken before it is open, so that connections that open together choose different addresses.
            let seat = Seat::take(address, &self.seats);
            match TcpStream::connect(address).await {
                Ok(tcp) => return Ok((tcp, seat)),
                Err(error) => failure = DialError::Connect(error),
            }
        }
        Err(failure)
    }
}
