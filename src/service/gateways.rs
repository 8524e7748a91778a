//! Gateways that speak to the push services.

use std::io;
use std::sync::Arc;

use crate::clock::SharedClock;
use crate::config::{Transport, WorkerConfig};
use crate::directory::GatewayFactory;
use crate::directory::settings::{Account, ApnsAccount, ApnsAuth, FcmAccount};
use crate::gateway::Gateway;
use crate::gateway::apns::{self, ApnsGateway, ApnsSettings, Mints};
use crate::gateway::connect::Client;
use crate::gateway::fcm::{FcmGateway, FcmSettings};
use crate::gateway::senders::Senders;
use crate::gateway::transport::GatewayMeter;
use crate::model::field::FieldError;
use crate::model::id::HubName;
use crate::telemetry::Metrics;

/// Opens gateways on the sending threads of this process.
#[derive(Debug)]
pub struct Opener {
    shared: apns::Shared,
    metrics: Arc<Metrics>,
}

impl Opener {
    /// Starts the sending threads.
    pub fn start(worker: &WorkerConfig, clock: SharedClock, metrics: Arc<Metrics>) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let senders = Senders::start_with(worker.threads_on(cores), client(worker.transport))?;
        let mints = Mints::new(clock.clone());
        Ok(Self { shared: apns::Shared { clock, mints, senders }, metrics })
    }

    fn apns(&self, account: &ApnsAccount, meter: Arc<GatewayMeter>) -> Result<ApnsGateway, FieldError> {
        let auth = match &account.auth {
            ApnsAuth::Token { team_id, key_id, key } => apns::ApnsAuth::token(team_id, key_id, key.expose())?,
            ApnsAuth::Certificate { cert, key } => apns::ApnsAuth::certificate(cert, key.expose())?,
        };
        let settings = ApnsSettings::new(&account.endpoint, &account.topic, auth)?
            .with_ca(account.ca.as_deref())
            .with_connections(account.connections as usize)?;
        ApnsGateway::open(&settings, &self.shared, meter)
    }

    fn fcm(&self, account: &FcmAccount, meter: Arc<GatewayMeter>) -> Result<FcmGateway, FieldError> {
        let settings =
            FcmSettings::new(&account.endpoint, account.service_account.expose())?.with_ca(account.ca.as_deref());
        FcmGateway::open(&settings, &self.shared.senders, &self.shared.clock, meter)
    }
}

fn client(transport: Transport) -> Client {
    match transport {
        Transport::Frames => Client::Frames,
        Transport::H2 => Client::H2,
    }
}

impl GatewayFactory for Opener {
    fn open(&self, hub: &HubName, account: Account<'_>) -> Result<Arc<dyn Gateway>, FieldError> {
        let meter = Arc::new(GatewayMeter::default());
        let gateway: Arc<dyn Gateway> = match account {
            Account::Apns(apns) => Arc::new(self.apns(apns, meter.clone())?),
            Account::Fcm(fcm) => Arc::new(self.fcm(fcm, meter.clone())?),
        };
        self.metrics.watch_gateway(hub, account.platform(), &meter);
        Ok(gateway)
    }
}
