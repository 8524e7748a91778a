//! The lean sink: an APNs that costs so little that a sender measured against it is not measured against its receiver
//! (figures.md section 1: 0.2 to 0.8 µs a request).
//!
//! It speaks TLS and HTTP/2 like the service, and then looks at next to nothing: of each request at the path, of the path
//! at the token. Every request is answered with the same ten bytes, many in one write. Nothing is verified, no script is
//! followed, no receipt kept: one bit a device says that it got something.
//!
//! - [`marks`]: the bits, and the counts.
//! - [`paths`]: finding the token in a header block, with or without decoding it.
//! - `receiver`: the protocol of one connection, without I/O.
//! - `serving`: its I/O.
//! - `control`: counts over plain HTTP.
mod control;
pub mod marks;
pub mod paths;
mod receiver;
mod serving;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    marks::{Counts, Marks},
    paths::Paths,
};
use super::{
    apns::{ProviderKey, StartError},
    authority::Authority,
    fleet::{FleetError, TEAM_ID, TOPIC, write_private},
    listener,
};
use crate::devices::Devices;

/// How a lean sink is set up.
#[derive(Clone, Debug)]
pub struct LeanConfig {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Likewise, for counts over plain HTTP.
    pub control: SocketAddr,
    /// SETTINGS_MAX_CONCURRENT_STREAMS of each connection, from its start on.
    pub streams: u32,
    /// From a request's arrival to its answer.
    pub delay: Duration,
    /// Whose tokens are known.
    pub seed: u64,
    /// How many devices there are: one bit each.
    pub devices: u64,
    pub paths: Paths,
}

impl Default for LeanConfig {
    /// On free ports.
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: free,
            control: free,
            streams: 1_000,
            delay: Duration::ZERO,
            seed: 1,
            devices: 10_000_000,
            paths: Paths::Read,
        }
    }
}

/// Where a sink is and what a sender needs to speak to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeanCredentials {
    pub endpoint: String,
    pub ca_file: std::path::PathBuf,
    pub topic: String,
    pub team_id: String,
    pub key_id: String,
    pub key_file: std::path::PathBuf,
    /// Address of the control port.
    pub control: SocketAddr,
}

/// What all connections of a sink share.
#[derive(Debug)]
struct Shared {
    marks: Marks,
    streams: u32,
    delay: Duration,
    paths: Paths,
}

/// A running sink. Dropping it ends it.
#[derive(Debug)]
pub struct LeanSink {
    address: SocketAddr,
    control: control::Control,
    authority: Authority,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl LeanSink {
    /// Listens. Connections are served on the runtime that this is called on; one thread is meant.
    ///
    /// # Errors
    /// When an address is taken or not of this machine alone, or no certificate can be made.
    pub async fn start(config: LeanConfig) -> Result<Self, StartError> {
        let authority = Authority::new()?;
        let tls = TlsAcceptor::from(Arc::new(authority.server_config(false)?));
        let (tcp, address) = listener::bind(config.listen).await?;
        let marks = Marks::new(Devices::new(config.seed), config.devices);
        let shared = Arc::new(Shared { marks, streams: config.streams, delay: config.delay, paths: config.paths });
        let control = control::Control::start(config.control, Arc::clone(&shared)).await?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(accept(tcp, tls, Arc::clone(&shared), tasks.clone(), stop.clone()));
        Ok(Self { address, control, authority, shared, tasks, stop })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a hub's configuration names it.
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where `GET /counts` and `POST /reset` are answered.
    pub fn control(&self) -> SocketAddr {
        self.control.address()
    }

    /// The root that its certificate is under.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    pub fn counts(&self) -> Counts {
        self.shared.marks.counts()
    }

    /// Forgets marks and counts; connections stay.
    pub fn reset(&self) {
        self.shared.marks.reset();
    }

    /// Writes root and a provider key into `dir`, which is made when missing. The sink looks at no provider token, but
    /// senders will not go without.
    ///
    /// # Errors
    /// [`FleetError`]
    pub fn write_credentials(&self, dir: &Path) -> Result<LeanCredentials, FleetError> {
        let key = ProviderKey::generate(TEAM_ID)?;
        let (ca_file, key_file) = (dir.join("ca.pem"), dir.join(format!("AuthKey_{}.p8", key.key_id)));
        std::fs::create_dir_all(dir).map_err(|error| FleetError::Write(dir.to_owned(), error))?;
        for (path, text) in [(&ca_file, self.authority.ca_pem().as_str()), (&key_file, key.p8())] {
            write_private(path, text).map_err(|error| FleetError::Write(path.clone(), error))?;
        }
        Ok(LeanCredentials {
            endpoint: self.endpoint(),
            ca_file,
            topic: TOPIC.to_owned(),
            team_id: key.team_id.clone(),
            key_id: key.key_id.clone(),
            key_file,
            control: self.control(),
        })
    }

    /// Says GOAWAY on every connection and waits until all are closed.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for LeanSink {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(tcp: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>, tasks: TaskTracker, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = tcp.accept() => accepted,
        };
        match accepted {
            Ok((tcp, _)) => {
                tasks.spawn(serving::serve(tcp, tls.clone(), Arc::clone(&shared), stop.clone()));
            }
            // Out of descriptors, or gone before it was taken: the next one may do.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
