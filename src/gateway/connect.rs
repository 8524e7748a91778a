//! Which of the two HTTP/2 clients a process sends with.

use std::sync::Arc;

use super::pool::{Pool, TransportSettings};
use super::senders::Senders;
use super::transport::{GatewayMeter, Service, Transport};
use super::{h2_transport, http2};
use crate::clock::SharedClock;

/// An HTTP/2 client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Client {
    /// Our own, frame by frame.
    #[default]
    Frames,
    /// The `h2` crate.
    H2,
}

/// Connections to one service, on the client that these threads send with.
pub fn open(
    settings: TransportSettings,
    service: Arc<dyn Service>,
    senders: &Arc<Senders>,
    meter: Arc<GatewayMeter>,
    clock: &SharedClock,
) -> Box<dyn Transport> {
    let (threads, clock) = (Arc::clone(senders), Arc::clone(clock));
    match senders.client() {
        Client::Frames => Box::new(Pool::<http2::Connection>::open(settings, service, threads, meter, clock)),
        Client::H2 => Box::new(Pool::<h2_transport::Connection>::open(settings, service, threads, meter, clock)),
    }
}
