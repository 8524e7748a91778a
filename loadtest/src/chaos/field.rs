//! Everything that a run needs, standing: servers, links, nodes, gateways, a hub, and devices that are registered.
use std::{
    fs::Permissions,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::{
    cast::Cast,
    fault::Which,
    ground::Ground,
    link::{
        Link,
        flow::{End, Whom},
        owner::{NodeNo, Residents},
    },
    scenario::Footing,
};
use crate::{
    client::{Api, connection::Peer},
    devices::{Devices, Mix, Platform, Ports},
    gateways::{
        ApnsConfig, ApnsSim, FcmConfig, Fleet, FleetConfig, Receipts, Script, Simulated, WebPushConfig, WnsConfig,
    },
    service::{Accounts, Backing, Entry, HUB, Service, Site, Tuning, usage::cpu_of_family},
    stage::{WINDOW, gateway},
};

/// How long a node may take until it knows the hub that another one made.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// What a field is like.
#[derive(Clone, Debug)]
pub struct Layout {
    pub cast: Cast,
    pub tuning: Tuning,
    pub mix: Mix,
    pub seed: u64,
    /// Until the gateways answer.
    pub latency: Duration,
    /// Streams of one connection to APNs.
    pub streams: u32,
    /// No link stands between the nodes and what they use.
    pub direct: bool,
    /// Make the run's folder in this one.
    pub dir: Option<PathBuf>,
    pub keep: bool,
}

/// Dropping it ends the nodes, then the links, then the servers, and removes the folder.
#[derive(Debug)]
pub struct Field {
    pub nodes: Vec<Service>,
    pub apns: Link,
    fcm: Link,
    pub ground: Ground,
    pub fleet: Fleet,
    /// An APNs of one node's own, so that its requests are told from the others'.
    pub twin: Option<ApnsSim>,
    pub cast: Cast,
    pub residents: Residents,
    pub devices: Devices,
    pub tuning: Tuning,
    folder: TempDir,
}

impl Field {
    /// # Errors
    /// When anything does not start; nothing keeps running.
    pub async fn set_up(footing: Footing, layout: Layout) -> anyhow::Result<Self> {
        let mut folder = folder(layout.dir.as_deref())?;
        folder.disable_cleanup(layout.keep);
        let residents = Residents::default();
        let fleet = Fleet::start(fleet(&layout), &folder.path().join("gateways")).await?;
        let apns = Link::to(fleet.apns.address(), residents.clone()).await?;
        let fcm = Link::to(fleet.fcm.address(), residents.clone()).await?;
        let ground = Ground::lay(footing, layout.direct, folder.path(), &residents).await?;
        let keys = folder.path().join("keys");
        std::fs::create_dir(&keys)?;
        let backing = Backing {
            store: ground.store_url(),
            queue: ground.queue_url(),
            keys: Some(keys),
            data: ground.disk.as_ref().filter(|_| ground.postgres.is_none()).map(|disk| disk.place().join("data")),
        };
        let devices = Devices::mixed(layout.seed, layout.mix, Ports::of(&fleet));
        let (cast, tuning) = (layout.cast.clone(), layout.tuning.clone());
        let mut field =
            Self { nodes: Vec::new(), apns, fcm, ground, fleet, twin: None, cast, residents, devices, tuning, folder };
        for (number, role) in field.cast.clone().roles().iter().enumerate() {
            let site = Site::new(Some(field.folder.path()))?.on(backing.clone());
            site.configure(&field.tuning, None)?;
            let node = Service::spawn(site, Entry { role: *role, clocked: footing.clocked }).await?;
            field.residents.moved_in(number, node.pid());
            field.nodes.push(node);
            if number == 0 {
                // It makes the schema and the keys that the others share.
                field.ready(0).await?;
            }
        }
        for number in 0..field.nodes.len() {
            field.ready(number).await?;
            field.nodes[number].open()?;
        }
        let mut credentials = field.fleet.credentials.clone();
        if !layout.direct {
            credentials.apns.endpoint = local(field.apns.address());
            credentials.fcm.endpoint = local(field.fcm.address());
        }
        let platforms = field.platforms();
        let connections = field.tuning.connections;
        let accounts = Accounts { credentials: &credentials, platforms: &platforms, connections, fcm_rate: 0 };
        field.make_hub(HUB, &accounts.document()?).await?;
        Ok(field)
    }

    pub fn platforms(&self) -> Vec<Platform> {
        self.devices.platforms()
    }

    /// The gateways' books.
    pub fn books(&self) -> Vec<(Platform, &Receipts)> {
        let of = |platform: Platform| (platform, gateway(&self.fleet, platform).receipts());
        let twin = self.twin.iter().map(|twin| (Platform::Apns, twin.receipts()));
        self.platforms().into_iter().map(of).chain(twin).collect()
    }

    /// From now on the node's pushes to APNs go to an instance of their own.
    ///
    /// # Errors
    /// When that cannot be started.
    pub async fn separate(&mut self, node: NodeNo, streams: u32) -> anyhow::Result<()> {
        let script = self.fleet.apns.script();
        let free = FleetConfig::on_free_ports().apns;
        let config = ApnsConfig { script, streams, stream_window: WINDOW, connection_window: WINDOW, ..free };
        let twin = self.fleet.apns.twin(config).await?;
        self.apns.lead(node, twin.address());
        self.apns.end(Whom::Node(node), End::Cut);
        self.twin = Some(twin);
        Ok(())
    }

    /// How long the gateways take to answer from now on.
    pub fn answer_after(&self, latency: Duration) {
        let script = Script::default().latency(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
        let fleet = Platform::ALL.into_iter().map(|platform| gateway(&self.fleet, platform));
        let twin = self.twin.iter().map(|twin| twin as &dyn Simulated);
        fleet.chain(twin).for_each(|gateway| gateway.set_script(script.clone()));
    }

    /// The gateways' books are empty.
    pub fn forget(&self) {
        Platform::ALL.into_iter().for_each(|platform| gateway(&self.fleet, platform).reset());
    }

    async fn ready(&self, number: NodeNo) -> anyhow::Result<()> {
        self.node(number)?.ready().await.with_context(|| self.cast.name(number))
    }

    pub fn node(&self, number: NodeNo) -> anyhow::Result<&Service> {
        self.nodes.get(number).with_context(|| format!("there is no node {number}"))
    }

    /// Every node is ready.
    ///
    /// # Errors
    /// When one is not in time.
    pub async fn all_ready(&self) -> anyhow::Result<()> {
        for number in 0..self.nodes.len() {
            self.ready(number).await?;
        }
        Ok(())
    }

    /// Makes a hub, or changes it; every node that takes requests knows it when this returns.
    ///
    /// # Errors
    /// When it is refused, or not known in time.
    pub async fn make_hub(&self, hub: &str, settings: &serde_json::Value) -> anyhow::Result<()> {
        let doors =
            self.cast.doors().into_iter().map(|door| self.door_to(door, hub)).collect::<anyhow::Result<Vec<_>>>()?;
        let first = doors.first().context("nobody takes requests")?;
        first.api.put_hub(settings).await.with_context(|| format!("cannot make the hub\n{}", self.logs()))?;
        for Door { name, api } in &doors {
            let known = async {
                while api.count("").await.is_err() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            let within = tokio::time::timeout(KNOWN_WITHIN, known).await;
            within.with_context(|| format!("{name} does not know the hub\n{}", self.logs()))?;
        }
        Ok(())
    }

    /// Registers devices 0 to `count - 1`.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn import(&self, count: u64) -> anyhow::Result<()> {
        let door = *self.cast.doors().first().context("nobody takes requests")?;
        let node = self.node(door)?;
        let imported = node.api.import(&self.devices, 0..count, |_| ()).await;
        let imported = imported.with_context(|| node.site.log_tail())?;
        ensure!(imported.imported == count, "of {count} devices {imported:?}");
        Ok(())
    }

    /// The links to what is meant; gateways are two.
    pub fn links(&self, which: Which) -> Vec<&Link> {
        match which {
            Which::Gateway => vec![&self.apns, &self.fcm],
            Which::Store | Which::Queue => self.ground.link(which).into_iter().collect(),
        }
    }

    /// Every link is as it should be.
    pub fn heal(&self) {
        [&self.apns, &self.fcm].into_iter().for_each(Link::heal);
        self.ground.heal();
    }

    /// Where the nodes take requests, by name, with the administrator's key. Restarts change nothing about it.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn doors(&self) -> anyhow::Result<Vec<Door>> {
        self.cast.doors().into_iter().map(|number| self.door(number)).collect()
    }

    /// The same of every node, for requests that any of them answers.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn everybody(&self) -> anyhow::Result<Vec<Door>> {
        (0..self.nodes.len()).map(|number| self.door(number)).collect()
    }

    /// The ends of all logs, for whoever must explain a failure.
    pub fn logs(&self) -> String {
        let of =
            |(number, node): (NodeNo, &Service)| format!("--- {}\n{}", self.cast.name(number), node.site.log_tail());
        self.nodes.iter().enumerate().map(of).collect::<Vec<_>>().join("\n")
    }

    /// One node's address for requests of its own, such as for its metrics.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn door(&self, number: NodeNo) -> anyhow::Result<Door> {
        self.door_to(number, HUB)
    }

    /// As [`Self::door`], to another hub.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn door_to(&self, number: NodeNo, hub: &str) -> anyhow::Result<Door> {
        let site = &self.node(number)?.site;
        let key = std::fs::read_to_string(site.admin_key_file()).context("no admin key")?;
        let api = Api::new(Peer::new(site.address, key.trim()), hub);
        Ok(Door { name: self.cast.name(number), api })
    }

    /// Starts the node's process again, without waiting until it is ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_again(&mut self, number: NodeNo) -> anyhow::Result<()> {
        let node = self.nodes.get_mut(number).context("no such node")?;
        node.spawn_again().await?;
        self.residents.moved_in(number, node.pid());
        Ok(())
    }

    /// CPU of nodes and servers so far.
    ///
    /// # Errors
    /// When a server is gone.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let nodes: Duration = self.nodes.iter().map(Service::cpu).sum();
        let servers = self.ground.pids().into_iter().map(cpu_of_family).sum::<std::io::Result<Duration>>()?;
        Ok(nodes + servers)
    }

    /// Returns when nodes and servers have been all but idle for a while, after `most` at the latest.
    ///
    /// # Errors
    /// When a server is gone.
    pub async fn settle(&self, most: Duration) -> anyhow::Result<()> {
        const WINDOW: Duration = Duration::from_millis(500);
        let end = tokio::time::Instant::now() + most;
        loop {
            let before = self.cpu()?;
            tokio::time::sleep(WINDOW).await;
            let idle = self.cpu()?.saturating_sub(before) <= WINDOW / 8;
            if idle || tokio::time::Instant::now() > end {
                return Ok(());
            }
        }
    }

    /// Ends every node in order.
    ///
    /// # Errors
    /// When one did not end well.
    pub async fn strike(mut self) -> anyhow::Result<()> {
        for (number, node) in self.nodes.drain(..).enumerate() {
            node.stop().await.with_context(|| self.cast.name(number))?;
        }
        Ok(())
    }
}

/// A way to a node that does not depend on its process.
#[derive(Debug)]
pub struct Door {
    pub name: String,
    pub api: Api,
}

fn local(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}

fn folder(parent: Option<&Path>) -> anyhow::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("fanfare-chaos-");
    let made = match parent {
        Some(parent) => {
            std::fs::create_dir_all(parent).with_context(|| format!("{}", parent.display()))?;
            builder.tempdir_in(parent)
        }
        None => builder.tempdir(),
    };
    let made = made.context("cannot make a folder")?;
    // A server that runs as another user may have its disk in it.
    std::fs::set_permissions(made.path(), Permissions::from_mode(0o711)).context("cannot open the folder")?;
    Ok(made)
}

fn fleet(layout: &Layout) -> FleetConfig {
    let free = FleetConfig::on_free_ports();
    let latency = u64::try_from(layout.latency.as_millis()).unwrap_or(u64::MAX);
    let script = || Script::default().latency(latency);
    FleetConfig {
        apns: ApnsConfig {
            script: script(),
            streams: layout.streams,
            stream_window: WINDOW,
            connection_window: WINDOW,
            ..free.apns
        },
        fcm: FcmConfig { script: script(), stream_window: WINDOW, connection_window: WINDOW, ..free.fcm },
        wns: WnsConfig { script: script(), ..free.wns },
        web_push: WebPushConfig { script: script(), ..free.web_push },
        ..free
    }
}
