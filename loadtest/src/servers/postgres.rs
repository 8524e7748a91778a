//! A PostgreSQL server of our own: a fresh cluster in a temporary folder, on a free port of the loopback interface.
//!
//! PostgreSQL refuses to run as root; started by root it runs as the user `postgres`, which its package makes.
#![expect(
    clippy::disallowed_methods,
    reason = "a server that starts or ends gives no signal: it is asked until it answers"
)]

use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use super::{ServerError, free_port};

/// How long it may take to start, or to end, however much a busy machine has to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server. Ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    binaries: PathBuf,
    folder: TempDir,
    port: u16,
    user: Option<(u32, u32)>,
    child: Option<Child>,
}

/// What may differ from a plain server.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Lines of `postgresql.conf`, after our own.
    pub settings: Vec<String>,
    /// Where the data folder is made; a temporary folder by default.
    pub inside: Option<PathBuf>,
}

impl Postgres {
    /// Starts one that is durable as a plain installation is.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&PostgresOptions::default())
    }

    /// Starts one.
    pub fn start_with(options: &PostgresOptions) -> Result<Self, ServerError> {
        let binaries = binaries()?;
        let io = |what: &str| {
            let what = what.to_owned();
            move |source| ServerError::Io { what, source }
        };
        let folder = match &options.inside {
            Some(inside) => tempfile::tempdir_in(inside),
            None => tempfile::tempdir(),
        };
        let folder = folder.map_err(io("a folder for PostgreSQL"))?;
        let user = if getuid().is_root() { Some(owner()?) } else { None };
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).map_err(io("the folder of PostgreSQL"))?;
        }
        let port = free_port().map_err(io("a port for PostgreSQL"))?;
        let mut server = Self { binaries, folder, port, user, child: None };
        let mut initdb = server.command("initdb");
        initdb.args(["--auth=trust", "--username=fanfare", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        let made = initdb.arg(server.data()).output().map_err(io("initdb"))?;
        if !made.status.success() {
            return Err(ServerError::Failed(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        let mut settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 200\n\
             shared_buffers = 256MB\nmax_wal_size = 4GB\ncheckpoint_timeout = 15min\nlogging_collector = off\n"
        );
        for line in &options.settings {
            settings.push_str(line);
            settings.push('\n');
        }
        let path = server.data().join("postgresql.conf");
        let before = std::fs::read_to_string(&path).map_err(io("postgresql.conf"))?;
        std::fs::write(&path, before + "\n" + &settings).map_err(io("postgresql.conf"))?;
        server.run()?;
        Ok(server)
    }

    /// Where its database named `name` is. `postgres` is always there.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://fanfare@127.0.0.1:{}/{name}?sslmode=disable", self.port)
    }

    /// Makes a database and answers its URL.
    pub fn database(&self, name: &str) -> Result<String, ServerError> {
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\" TEMPLATE template0"))?;
        Ok(self.url(name))
    }

    /// Runs SQL in a database and answers what `psql` prints of it, unaligned and without headers.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, ServerError> {
        let mut psql = self.command("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql]);
        let said = psql.output().map_err(|source| ServerError::Io { what: "psql".to_owned(), source })?;
        if !said.status.success() {
            return Err(ServerError::Failed(String::from_utf8_lossy(&said.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&said.stdout).trim_end().to_owned())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The process that the others are children of, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends it as a power loss ends its processes: every one of them by SIGKILL. What the kernel was given stays.
    pub fn kill(&mut self) -> Result<(), ServerError> {
        if let Some(child) = &mut self.child {
            // The children first would be seen by their parent, which would then restart.
            for pid in std::iter::once(child.id()).chain(children_of(child.id())) {
                signal(pid, Signal::KILL);
            }
            child.wait().map_err(|source| ServerError::Io { what: "PostgreSQL".to_owned(), source })?;
            self.child = None;
        }
        Ok(())
    }

    /// Stops it in order, without waiting for connections.
    pub fn stop(&mut self) -> Result<(), ServerError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        signal(child.id(), Signal::INT);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                _ => return Ok(()),
            }
        }
        self.child = Some(child);
        self.kill()
    }

    /// Starts it again on its folder and port.
    pub fn run(&mut self) -> Result<(), ServerError> {
        let io = |source| ServerError::Io { what: "postgres".to_owned(), source };
        let log =
            std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).map_err(io)?;
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.data()).stdin(Stdio::null());
        postgres.stdout(log.try_clone().map_err(io)?).stderr(log);
        // A pid file of a killed one, whose number may be somebody else's by now.
        drop(std::fs::remove_file(self.data().join("postmaster.pid")));
        let mut child = postgres.spawn().map_err(io)?;
        let end = Instant::now() + PATIENCE;
        while !self.answers() {
            let ended = child.try_wait().map_err(io)?.is_some();
            if ended || Instant::now() > end {
                signal(child.id(), Signal::KILL);
                drop(child.wait());
                return Err(ServerError::Failed(format!("PostgreSQL did not start:\n{}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child = Some(child);
        Ok(())
    }

    fn answers(&self) -> bool {
        TcpStream::connect(self.address()).is_ok() && self.psql("postgres", "SELECT 1").is_ok()
    }

    /// One of the server's programs, as the user that it runs as.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.current_dir(self.folder.path()).env("LC_ALL", "C").env_remove("PGOPTIONS");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

/// The folder of the newest installed version's programs.
fn binaries() -> Result<PathBuf, ServerError> {
    let missing = || ServerError::Missing("PostgreSQL", "postgresql");
    let versions = std::fs::read_dir("/usr/lib/postgresql").map_err(|_| missing())?;
    let found = versions.flatten().map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    let version = |bin: &PathBuf| {
        let name = bin.parent().and_then(Path::file_name);
        name.and_then(|name| name.to_str()?.parse::<u32>().ok()).unwrap_or_default()
    };
    found.max_by_key(version).ok_or_else(missing)
}

/// The number and group of the user `postgres`.
fn owner() -> Result<(u32, u32), ServerError> {
    let missing = || ServerError::Failed("there is no user postgres to run PostgreSQL as".to_owned());
    let users = std::fs::read_to_string("/etc/passwd").map_err(|_| missing())?;
    let line = users.lines().find_map(|line| line.strip_prefix("postgres:")).ok_or_else(missing)?;
    let mut fields = line.split(':').skip(1);
    let mut number = || fields.next().and_then(|field| field.parse().ok()).ok_or_else(missing);
    Ok((number()?, number()?))
}

/// The processes whose parent is this one.
pub fn children_of(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // One that has ended already is what was wanted.
        let _ = kill_process(pid, signal);
    }
}
