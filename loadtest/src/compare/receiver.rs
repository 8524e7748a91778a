//! What is sent to, as a child process: the lean sink, or nginx, which really decodes every header block.
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

use super::process::{Cores, Spoken, find};
use crate::{
    client::{Connection, connection::Peer},
    gateways::{
        Authority, ProviderKey,
        lean::{Counts, LeanCredentials},
    },
};

/// How long a receiver may take to listen.
const START: Duration = Duration::from_secs(20);

/// Which receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Against {
    /// The lean sink of `loadtest gateways --lean`
    #[default]
    Lean,
    /// nginx, if it is installed: `return 200`
    Nginx,
}

/// How it is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub against: Against,
    pub streams: usize,
    pub delay_ms: u64,
    pub seed: u64,
    pub devices: u64,
}

/// A running receiver. Dropping it kills it.
#[derive(Debug)]
pub struct Receiver {
    process: Spoken,
    pub credentials: Credentials,
    /// The lean sink's.
    control: Option<SocketAddr>,
}

/// Where it is, and what senders need.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub address: SocketAddr,
    pub ca_file: PathBuf,
    pub topic: String,
    pub team_id: String,
    pub key_id: String,
    pub key_file: PathBuf,
}

impl Receiver {
    /// Starts it with its files in `folder` and returns when it listens.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(setting: Setting, cores: Cores, folder: &Path) -> anyhow::Result<Self> {
        match setting.against {
            Against::Lean => Self::lean(setting, cores, folder).await.context("the lean sink"),
            Against::Nginx => Self::nginx(setting, cores, folder).await.context("nginx"),
        }
    }

    async fn lean(setting: Setting, cores: Cores, folder: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program is not to be found")?;
        let mut command = cores.command(cores.receiver, program.as_os_str());
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string();
        command
            .args(["gateways", "--lean", "--with-parent", "--listen", &free, "--control", &free, "--dir"])
            .arg(folder);
        let Setting { streams, delay_ms, seed, devices, .. } = setting;
        let numbers =
            [("--streams", streams as u64), ("--delay-ms", delay_ms), ("--seed", seed), ("--devices", devices)];
        for (name, value) in numbers {
            command.arg(name).arg(value.to_string());
        }
        let mut process = Spoken::start(command).await?;
        let line = tokio::time::timeout(START, process.line()).await.context("it does not start")??;
        let LeanCredentials { endpoint, ca_file, topic, team_id, key_id, key_file, control } =
            serde_json::from_str(&line)?;
        let address = endpoint.trim_start_matches("https://").parse()?;
        let credentials = Credentials { address, ca_file, topic, team_id, key_id, key_file };
        Ok(Self { process, credentials, control: Some(control) })
    }

    async fn nginx(setting: Setting, cores: Cores, folder: &Path) -> anyhow::Result<Self> {
        // Where Debian has it, which is not on everybody's path.
        let usual = || Some(PathBuf::from("/usr/sbin/nginx")).filter(|file| file.is_file());
        let program = find("nginx").or_else(usual).context("is not installed")?;
        if setting.delay_ms != 0 {
            bail!("answers at once: a delay needs the lean sink");
        }
        let authority = Authority::new()?;
        let (certificate, server_key) = authority.write_server_certificate(folder)?;
        let key = ProviderKey::generate("TEAM123456")?;
        let key_file = folder.join("AuthKey.p8");
        key.write_p8(&key_file)?;
        // Free a moment ago; nginx cannot be told to take any free one.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
        let config = folder.join("nginx.conf");
        std::fs::write(&config, nginx_config(folder, address, setting.streams, &certificate, &server_key))?;
        let mut command = cores.command(cores.receiver, program.as_os_str());
        command.arg("-p").arg(folder).arg("-c").arg(&config).args(["-e", "stderr"]);
        let process = Spoken::start(command).await?;
        let listening = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            listens = tokio::time::timeout(START, listening) => listens.context("it does not listen")?,
            _ = process.child.ended() => bail!("it ended at once"),
        }
        let credentials = Credentials {
            address,
            ca_file: authority.write_ca(folder)?,
            topic: "com.example.app".to_owned(),
            team_id: key.team_id.clone(),
            key_id: key.key_id.clone(),
            key_file,
        };
        Ok(Self { process, credentials, control: None })
    }

    /// CPU that it used so far, in steps of 10 ms.
    pub fn cpu(&self) -> Duration {
        self.process.child.cpu()
    }

    /// What it received since the last call; `None` where it does not count.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn take_counts(&self) -> anyhow::Result<Option<Counts>> {
        let Some(control) = self.control else { return Ok(None) };
        let mut connection = Connection::open(&Peer::new(control, "")).await?;
        let answer = connection.call("GET", "/counts", &[]).await?;
        let counts = serde_json::from_slice(answer.body)?;
        connection.call("POST", "/reset", &[]).await?;
        Ok(Some(counts))
    }

    /// Ends it by a signal, and waits.
    pub async fn stop(self) {
        self.process.child.terminate(Duration::from_secs(5)).await;
    }
}

/// One process that answers everything with 200 and never closes a connection by itself.
fn nginx_config(folder: &Path, address: SocketAddr, streams: usize, certificate: &Path, key: &Path) -> String {
    let (folder, certificate, key) = (folder.display(), certificate.display(), key.display());
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {folder}/nginx-body;\n  proxy_temp_path {folder}/nginx-proxy;\n  \
         fastcgi_temp_path {folder}/nginx-fastcgi;\n  uwsgi_temp_path {folder}/nginx-uwsgi;\n  scgi_temp_path {folder}/nginx-scgi;\n  \
         keepalive_requests 1000000000;\n  keepalive_timeout 1h;\n  http2_max_concurrent_streams {streams};\n  \
         server {{\n    listen {address} ssl http2;\n    ssl_protocols TLSv1.3;\n    ssl_certificate {certificate};\n    \
         ssl_certificate_key {key};\n    location / {{ return 200; }}\n  }}\n}}\n"
    )
}
