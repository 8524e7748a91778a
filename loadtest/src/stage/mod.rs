//! Everything that a measured run needs, standing: simulated gateways in this process, Fanfare as a child, a hub, and the
//! oracle that knows who is registered.
//!
//! - [`broadcast`]: one broadcast, watched to its end and judged.
//! - [`kills`]: when the service is killed meanwhile.
pub mod broadcast;
pub mod kills;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};

use crate::{
    devices::Devices,
    gateways::{ApnsConfig, Fleet, FleetConfig, Script},
    oracle::Oracle,
    progress::Progress,
    service::{Service, Site, Tuning, site},
};

/// Windows of the simulated gateway, bytes: so large that a sender never waits for them. The real service's are smaller,
/// and its stream limit is what bounds a connection.
const WINDOW: u32 = 16 << 20;

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
    /// Of the simulated gateway.
    pub script: Script,
    pub hub: HubFrom,
    /// Of the devices.
    pub seed: u64,
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
        let free = FleetConfig::on_free_ports();
        let apns = ApnsConfig { script: plan.script, stream_window: WINDOW, connection_window: WINDOW, ..free.apns };
        let fleet = Fleet::start(FleetConfig { apns, ..free }, &site.dir().join("gateways")).await?;
        let configured = (plan.hub == HubFrom::Configuration).then_some(&fleet.credentials);
        site.configure(&plan.tuning, configured)?;
        let service = Service::start(site).await?;
        if plan.hub == HubFrom::Api {
            let settings = site::hub_settings(&fleet.credentials, plan.tuning.connections)?;
            service.api.put_hub(&settings).await.context("cannot make the hub")?;
        }
        let devices = Devices::new(plan.seed);
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
