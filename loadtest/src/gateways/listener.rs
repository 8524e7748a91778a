//! Accepts connections for a simulated service and gives each a session.
use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    counters::Counters,
    script::Refusal,
    session::{Service, Session, Shared},
};
use crate::http2::Settings;

const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Simulated services hand out trust and answer anyone: they stay on this machine.
    #[error("{0} is not a loopback address: simulated services listen on loopback only")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Io(SocketAddr, io::Error),
}

/// Listens on a loopback address; port 0 takes a free one.
///
/// # Errors
/// [`ListenError`]
pub(crate) async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    let listener = TcpListener::bind(address).await.map_err(|error| ListenError::Io(address, error))?;
    let bound = listener.local_addr().map_err(|error| ListenError::Io(address, error))?;
    Ok((listener, bound))
}

/// A service and its TLS, as the listener starts them for each connection.
pub(crate) struct Listener<F> {
    pub(crate) tcp: TcpListener,
    pub(crate) tls: TlsAcceptor,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Makes the service of one connection from the client's certificate, with its settings and whether the full stream
    /// limit holds from the start.
    pub(crate) open: F,
}

impl<F, S> Listener<F>
where
    S: Service,
    F: Fn(Option<&CertificateDer<'static>>) -> (S, Settings, bool) + Send + Sync + 'static,
{
    pub(crate) async fn run(self) {
        let this = Arc::new(self);
        loop {
            let tcp = tokio::select! {
                () = this.stop.cancelled() => return,
                accepted = this.tcp.accept() => match accepted {
                    Ok((tcp, _)) => tcp,
                    // Out of descriptors, or gone before it was taken: the next one may do.
                    Err(_) => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                },
            };
            let serving = Arc::clone(&this);
            this.tasks.spawn(async move { serving.serve(tcp).await });
        }
    }

    async fn serve(&self, tcp: TcpStream) {
        let counters = &self.shared.counters;
        Counters::add(&counters.connections_ever, 1);
        let refusal = self.shared.script.borrow().script.refuse_connections;
        match refusal {
            Some(Refusal::Reset) => drop(tcp.set_zero_linger()),
            Some(Refusal::Silence) => self.stop.cancelled().await,
            Some(Refusal::Close) => {}
            None => {
                Counters::add(&counters.connections_open, 1);
                self.handshake(tcp).await;
                counters.connections_open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        counters.announce();
    }

    async fn handshake(&self, tcp: TcpStream) {
        drop(tcp.set_nodelay(true));
        let accepting = tokio::time::timeout(HANDSHAKE_PATIENCE, self.tls.accept(tcp));
        let accepted = tokio::select! {
            () = self.stop.cancelled() => return,
            accepted = accepting => accepted,
        };
        // No ALPN at all is refused as well: HTTP/2 by prior knowledge is not what push services speak.
        let stream = match accepted {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => stream,
            _ => {
                Counters::add(&self.shared.counters.handshakes_failed, 1);
                return;
            }
        };
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
        let (service, settings, unlocked) = (self.open)(certificate.as_ref());
        self.shared.counters.announce();
        Session::new(stream, service, settings, Arc::clone(&self.shared), unlocked).run(self.stop.clone()).await;
    }
}
