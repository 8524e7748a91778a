//! `fanfare installations`: the registry in and out, as NDJSON.
//!
//! Both directions can be interrupted and go on: a small file `FILE.progress` beside the data says how far they came,
//! and is gone once they are done.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use super::client::Client;

mod export;
mod import;

#[derive(Debug, Subcommand)]
pub(super) enum Installations {
    /// Register installations from a file, one JSON document a line
    ///
    /// Lines that the service refuses are told by number and reason on stderr and make the exit status 1; the others are
    /// registered. After an interruption the same command goes on with the first line whose answer did not come.
    Import(import::Import),
    /// Write installations to a file, one JSON document a line
    ///
    /// After an interruption the same command goes on where it was. What `import` takes is what this writes.
    Export(export::Export),
}

/// What both directions take.
#[derive(Debug, Args)]
struct Data {
    /// The NDJSON file; - is stdin or stdout, which cannot be taken up again
    file: PathBuf,
    /// The hub
    #[arg(long)]
    hub: String,
    /// Begin anew, whatever FILE.progress says
    #[arg(long)]
    restart: bool,
}

impl Data {
    /// The file; `None` for stdin or stdout.
    fn path(&self) -> Option<&Path> {
        (self.file != Path::new("-")).then_some(&*self.file)
    }

    /// Where its progress is kept.
    fn notes(&self) -> Option<Notes> {
        let mut name = self.path()?.as_os_str().to_owned();
        name.push(".progress");
        Some(Notes(name.into()))
    }
}

/// The file that says how far something came. It appears whole or not at all.
struct Notes(PathBuf);

impl Notes {
    fn read<T: DeserializeOwned>(&self) -> anyhow::Result<Option<T>> {
        let text = match std::fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.0.display())),
        };
        let what = || format!("{} is broken; --restart begins anew", self.0.display());
        serde_json::from_slice(&text).map(Some).with_context(what)
    }

    fn write(&self, notes: &impl Serialize) -> anyhow::Result<()> {
        let mut beside = self.0.as_os_str().to_owned();
        beside.push(".new");
        let what = || format!("cannot write {}", self.0.display());
        std::fs::write(&beside, serde_json::to_vec(notes)?).with_context(what)?;
        std::fs::rename(&beside, &self.0).with_context(what)
    }

    fn remove(&self) {
        // It was never made when everything went through at once.
        drop(std::fs::remove_file(&self.0));
    }
}

pub(super) async fn run(command: &Installations, client: &Client, stdout: &mut impl Write) -> Result<(), Failure> {
    match command {
        Installations::Import(import) => import::run(import, client, stdout).await,
        Installations::Export(export) => export::run(export, client, stdout).await,
    }
}
