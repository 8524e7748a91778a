//! Who sends. Fanfare's own clients and hyper's run in a child process of this program, which measures itself between
//! warm-up and end; so do the scripts. h2load cannot be told to leave its start out, so a run that only starts is taken
//! off.
//!
//! | | |
//! |---|---|
//! | `engine` | Fanfare's gateway on its own HTTP/2 client: batches of 1,000 in, replies counted and recorded as sets |
//! | `h2` | the same gateway on the `h2` crate |
//! | `hyper` | hyper's `conn::http2`, one task for each request in flight, one thread |
//! | `h2load` | the yardstick: a load generator in C on libnghttp2 (Debian: `nghttp2-client`) |
//! | `node-apn` | `@parse/node-apn`, where node finds it (`NODE_PATH`) |
//! | `aioapns` | the Python package, where `python3` finds it (`PYTHONPATH`) |
//!
//! `a2` is not among them: its client takes no other hosts than Apple's two and no other roots than the public ones, so it
//! can only be pointed elsewhere in a patched copy.
mod gateway;
mod h2load;
mod hyper;
mod script;

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{
    Done, Task,
    process::{Cores, Spoken, find},
};
pub use gateway::send as send_through_gateway;

/// The longest that one turn may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// Fanfare's gateway on its own HTTP/2 client
    Engine,
    /// Fanfare's gateway on the h2 crate
    H2,
    /// The yardstick
    H2load,
    /// hyper's client
    Hyper,
    /// @parse/node-apn
    NodeApn,
    /// aioapns
    Aioapns,
}

impl Sender {
    /// All, in the order of their turns.
    pub const ALL: [Self; 6] = [Self::Engine, Self::H2load, Self::H2, Self::Hyper, Self::NodeApn, Self::Aioapns];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::H2 => "h2",
            Self::H2load => "h2load",
            Self::Hyper => "hyper",
            Self::NodeApn => "node-apn",
            Self::Aioapns => "aioapns",
        }
    }

    /// One of so many requests is enough of it: it takes about that much longer than the engine.
    pub const fn slowness(self) -> u64 {
        match self {
            Self::Engine => 1,
            Self::H2load | Self::H2 => 5,
            Self::Hyper => 10,
            Self::NodeApn => 50,
            Self::Aioapns => 200,
        }
    }

    /// Whether each of its requests is for another device; else it goes round a list of tokens.
    pub const fn computes_tokens(self) -> bool {
        matches!(self, Self::Engine | Self::H2 | Self::Hyper)
    }

    /// Why it cannot take part, if it cannot.
    pub async fn absent(self) -> Option<&'static str> {
        match self {
            Self::Engine | Self::H2 | Self::Hyper => None,
            Self::H2load => find("h2load").is_none().then_some("h2load is not installed"),
            Self::NodeApn => {
                let asked = script::is_there("node", &["-e", "require.resolve('@parse/node-apn')"]).await;
                (!asked).then_some("node does not find @parse/node-apn")
            }
            Self::Aioapns => {
                let asked = script::is_there("python3", &["-c", "import aioapns"]).await;
                (!asked).then_some("python3 does not find aioapns")
            }
        }
    }

    /// One turn.
    ///
    /// # Errors
    /// When it fails, or what it says cannot be read.
    pub async fn take_turn(self, task: &Task, cores: Cores, folder: &Path) -> anyhow::Result<Done> {
        let turn = async {
            match self {
                Self::H2load => h2load::measure(task, cores, folder).await,
                Self::NodeApn | Self::Aioapns => {
                    let (program, text) = script::of(self);
                    let file = folder.join(text.name);
                    std::fs::write(&file, text.source)?;
                    let mut command = cores.command(cores.sender, program.as_ref());
                    command.arg(file).arg(write_task(task, folder)?);
                    said(command).await
                }
                Self::Engine | Self::H2 | Self::Hyper => {
                    let program = std::env::current_exe().context("this program is not to be found")?;
                    let mut command = cores.command(cores.sender, program.as_os_str());
                    command.args(["compare-sender", self.label()]).arg(write_task(task, folder)?);
                    said(command).await
                }
            }
        };
        turn.await.with_context(|| self.label())
    }

    /// Does the task in this process, on this thread and those that a gateway has.
    ///
    /// # Errors
    /// When it cannot be done here.
    pub async fn send(self, task: &Task) -> anyhow::Result<Done> {
        use fanfare::gateway::connect::Client;
        match self {
            Self::Engine => gateway::send(task, Client::Frames).await,
            Self::H2 => gateway::send(task, Client::H2).await,
            Self::Hyper => hyper::send(task).await,
            Self::H2load | Self::NodeApn | Self::Aioapns => {
                anyhow::bail!("{} is a program of its own", self.label())
            }
        }
    }
}

fn write_task(task: &Task, folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let file = folder.join("task.json");
    std::fs::write(&file, serde_json::to_string(task)?)?;
    Ok(file)
}

/// Runs a sender that measures itself.
async fn said(command: Command) -> anyhow::Result<Done> {
    let (text, _) = Spoken::start(command).await?.output(PATIENCE).await?;
    serde_json::from_str(&text).with_context(|| format!("it said: {text}"))
}

/// Counts by a label.
#[derive(Debug, Default)]
struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    fn add(&mut self, label: &'static str, count: u64) {
        *self.0.entry(label).or_default() += count;
    }

    fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn into_owned(self) -> BTreeMap<String, u64> {
        self.0.into_iter().map(|(label, count)| (label.to_owned(), count)).collect()
    }
}
