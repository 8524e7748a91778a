//! What a gateway with a library client is opened with besides its account.

use std::sync::Arc;

use rustls::ClientConfig;

use super::client::{Client, Protocols};
use super::guard::Reach;
use super::line::{Deliver, Line};
use super::tuning::Tuning;
use crate::clock::SharedClock;
use crate::gateway::client_runtime::ClientRuntime;
use crate::gateway::tls;
use crate::gateway::transport::GatewayMeter;
use crate::model::field::FieldError;

/// The threads and the clock that it shares with others, and how it connects.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    pub runtime: &'a Arc<ClientRuntime>,
    pub clock: &'a SharedClock,
    /// PEM roots that are trusted besides the public ones; they are read when the gateway opens.
    pub ca_pem: Option<&'a str>,
    /// Other times and sizes than the usual ones are for tests and measurements.
    pub tuning: Tuning,
}

impl Place<'_> {
    /// The error's field is `ca`.
    pub(in crate::gateway) fn tls(&self) -> Result<ClientConfig, FieldError> {
        tls::client_config(tls::roots(self.ca_pem)?, None, &[])
    }

    /// The operator names the host, so where it lies is the operator's business.
    pub(in crate::gateway) fn client(&self, tls: ClientConfig, meter: Arc<GatewayMeter>) -> Client {
        Client::new(tls, Protocols::Http1, Reach::Anywhere, &self.tuning, meter)
    }

    pub(in crate::gateway) fn line<W: Deliver>(&self, way: &Arc<W>, meter: Arc<GatewayMeter>) -> Line {
        Line::open(Arc::clone(way), Arc::clone(self.runtime), meter, Arc::clone(self.clock), &self.tuning)
    }
}
