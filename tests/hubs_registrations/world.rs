//! A whole service in a folder of its own, with a hub `demo`.

use std::path::{Path, PathBuf};

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use tokio::net::TcpListener;

use crate::client::{Answer, Client};

pub const TOKEN: &str = "00FC13ADFF785122B4AD28809A3420982341241421348097878E577C991DE8F0";

pub struct World {
    pub folder: tempfile::TempDir,
    pub running: Running,
    pub admin: Client,
    /// May do everything on the hub.
    pub full: Client,
    /// What an app holds.
    pub listen: Client,
    /// The section of its jobs.
    jobs: String,
}

impl World {
    pub async fn start() -> Self {
        Self::with_jobs(String::new()).await
    }

    /// The same with these hosts for jobs, as a TOML list holds them.
    pub async fn allowing(hosts: &str) -> Self {
        Self::with_jobs(format!("allowed_hosts = [{hosts}]")).await
    }

    /// The same with this section of its jobs.
    pub async fn with_jobs(jobs: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::on(folder, jobs).await
    }

    async fn on(folder: tempfile::TempDir, jobs: String) -> Self {
        let running = start(folder.path(), &jobs).await;
        let client = |key| Client::bearer(running.address(), key);
        let (admin, full, listen) = (client("the-admin-key"), client("full-key"), client("listen-key"));
        Self { folder, running, admin, full, listen, jobs }
    }

    /// Stops the service and starts another one on the same folder.
    pub async fn restart(self) -> Self {
        self.restart_after("").await
    }

    /// The same, with this done to its store in between.
    pub async fn restart_after(self, sql: &str) -> Self {
        let Self { folder, running, jobs, .. } = self;
        assert!(running.stop().await, "everything ends by itself");
        let store = rusqlite::Connection::open(folder.path().join("fanfare.db")).unwrap();
        store.execute_batch(sql).unwrap();
        store.close().unwrap();
        Self::on(folder, jobs).await
    }

    /// Registers and answers the id.
    pub async fn create(&self, document: &str) -> String {
        let answer =
            self.listen.send("POST", "/demo/registrations?api-version=2020-06", &[], document.as_bytes()).await;
        text_of(answer.expect(200).text(), "RegistrationId")
    }

    /// Writes a registration under an id.
    pub async fn put(&self, id: &str, document: &str) -> Answer {
        let path = format!("/demo/registrations/{id}?api-version=2020-06");
        self.listen.send("PUT", &path, &[], document.as_bytes()).await
    }

    /// What an address leads to on this service, whatever its scheme and host.
    pub fn path_of(&self, address: &str) -> String {
        let host = format!("https://{}", self.running.address());
        address.strip_prefix(&host).unwrap_or_else(|| panic!("{address} is not on {host}")).to_owned()
    }
}

/// Writes the service's configuration into its folder, with this section of its jobs.
pub fn configured(folder: &Path, jobs: &str) -> PathBuf {
    let file = folder.join("fanfare.toml");
    let text = format!(
        r#"
        [store]
        url = "sqlite:fanfare.db"
        [secrets]
        key_file = "secret.key"
        [admin]
        key = "the-admin-key"
        [hubs.demo.keys.full]
        rights = ["listen", "send", "manage"]
        primary = "full-key"
        [hubs.demo.keys.listen]
        rights = ["listen"]
        primary = "listen-key"
        [hubs.demo.jobs]
        {jobs}
        "#
    );
    std::fs::write(&file, text).unwrap();
    file
}

async fn start(folder: &Path, jobs: &str) -> Running {
    let file = configured(folder, jobs);
    let config = Config::load_with(Some(&file), Vec::<(std::ffi::OsString, std::ffi::OsString)>::new()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Running::start(&config, Options { listener: Some(listener), ..Options::default() }).await.unwrap()
}

/// The text of the first element of this name.
pub fn text_of(document: &str, name: &str) -> String {
    let (_, rest) = document.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{name} in {document}"));
    rest.split_once("</").unwrap().0.to_owned()
}

/// The texts of all elements of this name.
pub fn texts_of(document: &str, name: &str) -> Vec<String> {
    let begin = format!("<{name}>");
    let parts = document.split(&begin).skip(1);
    parts.map(|part| part.split_once("</").unwrap().0.to_owned()).collect()
}
