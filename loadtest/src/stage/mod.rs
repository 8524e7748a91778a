//! Everything that a measured run needs, standing: simulated gateways in this process, Fanfare as a child, a hub, and the
//! oracle that knows who is registered.
//!
//! - [`broadcast`]: one broadcast, watched to its end and judged; [`outcome`]: what became of it.
//! - [`kills`]: when the service is killed meanwhile.
//! - `message`: what it says on each platform.
pub mod broadcast;
pub mod kills;
pub(crate) mod message;
pub mod outcome;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};

use crate::{
    devices::{Devices, Mix, Platform, Ports},
    gateways::{ApnsConfig, FcmConfig, Fleet, FleetConfig, Script, Simulated, WebPushConfig, WnsConfig},
    oracle::Oracle,
    progress::Progress,
    service::{Accounts, Service, Site, Tuning},
};

/// Windows of the simulated gateway, bytes: so large that a sender never waits for them. The real service's are smaller,
/// and its stream limit is what bounds a connection.
pub(crate) const WINDOW: u32 = 16 << 20;

/// How the hub comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HubFrom {
    /// `PUT /v1/hubs/…`
    Api,
    /// It stands in the configuration file.
    Configuration,
}

/// What to set up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the run's folder is made; the system's temporary folder unless given.
    pub dir: Option<PathBuf>,
    /// Leave the folder behind.
    pub keep: bool,
    pub tuning: Tuning,
    /// Of the simulated gateways; those without one accept everything.
    pub scripts: BTreeMap<Platform, Script>,
    pub hub: HubFrom,
    /// Of the devices. The hub has an account of each platform.
    pub mix: Mix,
    /// `rate_per_second` of the hub's FCM account; 0 = unpaced.
    pub fcm_rate: u32,
    /// Of the devices.
    pub seed: u64,
}

/// APNs alone, a hub from the configuration, nothing special.
impl Default for Plan {
    fn default() -> Self {
        Self {
            dir: None,
            keep: false,
            tuning: Tuning::default(),
            scripts: BTreeMap::new(),
            hub: HubFrom::Configuration,
            mix: Mix::default(),
            fcm_rate: 0,
            seed: 1,
        }
    }
}

/// Dropping it ends the service and removes its folder.
#[derive(Debug)]
pub struct Stage {
    pub service: Service,
    pub fleet: Fleet,
    pub devices: Devices,
    /// Devices 0 to `population - 1` are registered.
    pub population: u64,
    pub oracle: Oracle,
    pub tuning: Tuning,
}

impl Stage {
    /// # Errors
    /// When anything does not start; nothing keeps running.
    pub async fn set_up(plan: Plan) -> anyhow::Result<Self> {
        let mut site = Site::new(plan.dir.as_deref())?;
        if plan.keep {
            site.keep();
        }
        let fleet = Fleet::start(fleet_config(plan.scripts), &site.dir().join("gateways")).await?;
        let platforms = plan.mix.platforms();
        let accounts = Accounts {
            credentials: &fleet.credentials,
            platforms: &platforms,
            connections: plan.tuning.connections,
            fcm_rate: plan.fcm_rate,
        };
        site.configure(&plan.tuning, (plan.hub == HubFrom::Configuration).then_some(accounts))?;
        let service = Service::start(site).await?;
        if plan.hub == HubFrom::Api {
            service.api.put_hub(&accounts.document()?).await.context("cannot make the hub")?;
        }
        let devices = Devices::mixed(plan.seed, plan.mix, Ports::of(&fleet));
        let oracle = Oracle::new(devices, 0);
        Ok(Self { service, fleet, devices, population: 0, oracle, tuning: plan.tuning })
    }

    /// Imports `count` more devices and returns how long that took, to the answer for the last one.
    ///
    /// # Errors
    /// When one of them was refused.
    pub async fn import(&mut self, count: u64) -> anyhow::Result<Duration> {
        let range = self.population..self.population + count;
        let progress = Progress::new("registering", count);
        let imported = self.service.api.import(&self.devices, range.clone(), |sent| progress.at(sent)).await;
        let took = progress.done();
        let imported = imported.with_context(|| self.service.site.log_tail())?;
        ensure!(
            imported.imported == count && imported.failed == 0,
            "of {count} installations {} were imported and {} failed: {}",
            imported.imported,
            imported.failed,
            imported.bad.join(" ")
        );
        self.population = range.end;
        self.oracle = Oracle::new(self.devices, self.population);
        Ok(took)
    }

    /// Ends the service cleanly.
    ///
    /// # Errors
    /// When it did not end well.
    pub async fn strike(self) -> anyhow::Result<()> {
        self.service.stop().await
    }
}

fn fleet_config(mut scripts: BTreeMap<Platform, Script>) -> FleetConfig {
    let mut script = |platform| scripts.remove(&platform).unwrap_or_default();
    let free = FleetConfig::on_free_ports();
    FleetConfig {
        apns: ApnsConfig {
            script: script(Platform::Apns),
            stream_window: WINDOW,
            connection_window: WINDOW,
            ..free.apns
        },
        fcm: FcmConfig { script: script(Platform::Fcm), stream_window: WINDOW, connection_window: WINDOW, ..free.fcm },
        wns: WnsConfig { script: script(Platform::Wns), ..free.wns },
        web_push: WebPushConfig { script: script(Platform::WebPush), ..free.web_push },
        ..free
    }
}

/// The simulated service of a platform.
pub fn gateway(fleet: &Fleet, platform: Platform) -> &dyn Simulated {
    match platform {
        Platform::Apns => &*fleet.apns,
        Platform::Fcm => &*fleet.fcm,
        Platform::Wns => &*fleet.wns,
        Platform::WebPush => &*fleet.web_push,
    }
}
