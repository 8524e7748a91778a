//! Gateways that speak to the push services.

use std::io;
use std::sync::Arc;

use crate::clock::SharedClock;
use crate::config::{Transport, WorkerConfig};
use crate::directory::GatewayFactory;
use crate::directory::settings::{
    self, Account, AdmAccount, ApnsAccount, ApnsAuth, BaiduAccount, FcmAccount, WebPushAccount, WnsAccount,
    XiaomiAccount,
};
use crate::gateway::Gateway;
use crate::gateway::adm::{AdmGateway, AdmSettings};
use crate::gateway::apns::{self, ApnsGateway, ApnsSettings, Mints};
use crate::gateway::baidu::{BaiduGateway, BaiduSettings};
use crate::gateway::client_runtime::ClientRuntime;
use crate::gateway::connect::Client;
use crate::gateway::fcm::{FcmGateway, FcmSettings};
use crate::gateway::requests::{Place, Tuning};
use crate::gateway::senders::Senders;
use crate::gateway::transport::GatewayMeter;
use crate::gateway::web_push::{WebPushGateway, WebPushSettings};
use crate::gateway::wns::{WnsAuth, WnsGateway, WnsSettings};
use crate::gateway::xiaomi::{XiaomiGateway, XiaomiSettings};
use crate::model::field::FieldError;
use crate::model::id::HubName;
use crate::telemetry::Metrics;

/// Opens gateways on the sending threads of this process, those that use a library client on threads of their own.
#[derive(Debug)]
pub struct Opener {
    shared: apns::Shared,
    /// Of every gateway with a library client. An answer there costs more than a frame does here, so it has as many threads as the sending
    /// ones; idle they cost nothing.
    clients: Arc<ClientRuntime>,
    metrics: Arc<Metrics>,
}

impl Opener {
    /// Starts the sending threads.
    pub fn start(worker: &WorkerConfig, clock: SharedClock, metrics: Arc<Metrics>) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = worker.threads_on(cores);
        let senders = Senders::start_with(threads, client(worker.transport))?;
        let clients = ClientRuntime::start(threads)?;
        let mints = Mints::new(clock.clone());
        Ok(Self { shared: apns::Shared { clock, mints, senders }, clients, metrics })
    }

    /// Of the gateways with a library client.
    fn place<'a>(&'a self, ca_pem: Option<&'a str>) -> Place<'a> {
        Place { runtime: &self.clients, clock: &self.shared.clock, ca_pem, tuning: Tuning::default() }
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

    fn wns(&self, account: &WnsAccount, meter: Arc<GatewayMeter>) -> Result<WnsGateway, FieldError> {
        let auth = match &account.auth {
            settings::WnsAuth::Entra { tenant_id } => WnsAuth::Entra { tenant_id: tenant_id.as_str().into() },
            settings::WnsAuth::Live => WnsAuth::Live,
        };
        let settings = WnsSettings::new(auth, &account.client_id, account.client_secret.expose())?
            .with_token_endpoint(&account.token_endpoint)?
            .with_allowed_hosts(account.allowed_hosts.iter().map(String::as_str))?;
        WnsGateway::open(&settings, &self.place(account.ca.as_deref()), meter)
    }

    fn web_push(&self, account: &WebPushAccount, meter: Arc<GatewayMeter>) -> Result<WebPushGateway, FieldError> {
        let settings = WebPushSettings::new(&account.subject, account.vapid_private_key.expose())?
            .with_private_networks(account.allow_private_networks);
        WebPushGateway::open(&settings, &self.place(account.ca.as_deref()), meter)
    }

    fn adm(&self, account: &AdmAccount, meter: Arc<GatewayMeter>) -> Result<AdmGateway, FieldError> {
        let secret = account.client_secret.expose();
        let settings = AdmSettings::new(&account.client_id, secret, &account.endpoint, &account.token_endpoint)?;
        AdmGateway::open(&settings, &self.place(account.ca.as_deref()), meter)
    }

    fn baidu(&self, account: &BaiduAccount, meter: Arc<GatewayMeter>) -> Result<BaiduGateway, FieldError> {
        let settings = BaiduSettings::new(&account.api_key, account.secret_key.expose(), &account.endpoint)?;
        BaiduGateway::open(&settings, &self.place(account.ca.as_deref()), meter)
    }

    fn xiaomi(&self, account: &XiaomiAccount, meter: Arc<GatewayMeter>) -> Result<XiaomiGateway, FieldError> {
        let settings = XiaomiSettings::new(account.app_secret.expose(), &account.endpoint)?
            .with_package_name(account.package_name.as_deref())?;
        XiaomiGateway::open(&settings, &self.place(account.ca.as_deref()), meter)
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
            Account::Wns(wns) => Arc::new(self.wns(wns, meter.clone())?),
            Account::WebPush(web_push) => Arc::new(self.web_push(web_push, meter.clone())?),
            Account::Adm(adm) => Arc::new(self.adm(adm, meter.clone())?),
            Account::Baidu(baidu) => Arc::new(self.baidu(baidu, meter.clone())?),
            Account::Xiaomi(xiaomi) => Arc::new(self.xiaomi(xiaomi, meter.clone())?),
        };
        self.metrics.watch_gateway(hub, account.platform(), &meter);
        Ok(gateway)
    }
}
