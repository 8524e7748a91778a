//! TLS before a small server that a test writes with axum: an app's own code, somebody else's files.
use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{apns::StartError, authority::Authority, listener};

/// For `axum::serve`. Handshakes are made one after the other, which a test's few connections can bear.
pub struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
    address: SocketAddr,
}

impl TlsListener {
    /// On a free port of 127.0.0.1, with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]: there is no port, or certificates cannot be made.
    pub async fn bind(authority: &Authority) -> Result<Self, StartError> {
        let (tcp, address) = listener::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let tls = TlsAcceptor::from(Arc::new(authority.server_config(false)?));
        Ok(Self { tcp, tls, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsListener").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    /// Whoever breaks off in the handshake was never here.
    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
