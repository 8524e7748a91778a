//! `fanfare installations export`: page by page, in the order of the registry.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};

use anyhow::{Context, bail};
use clap::Args;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Data, Notes};
use crate::cli::Failure;
use crate::cli::client::{Client, hub_path, segment};
use crate::cli::progress::Progress;

/// Documents in one page: the most that the API gives.
const PAGE: usize = 1_000;

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    data: Data,
    /// Only installations whose native target is in this audience, such as 'news && !muted'
    #[arg(long, value_name = "EXPR", default_value = "", hide_default_value = true)]
    audience: String,
}

/// How far it came.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Reached {
    hub: String,
    audience: String,
    cursor: Option<String>,
    written: u64,
    /// Length of the file after the last whole page.
    bytes: u64,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

pub(super) async fn run(export: &Export, client: &Client, stdout: &mut impl Write) -> Result<(), Failure> {
    let notes = export.data.notes();
    let mut reached = begin(export, notes.as_ref())?;
    let asked = json!({ "audience": export.audience });
    let count: Value =
        client.json(Method::POST, &hub_path(&export.data.hub, "/audience"), &asked).await?.into_json().await?;
    let mut progress = Progress::new("exporting", count["count"].as_u64());
    let mut file = export.data.path().map(|path| open(path, reached.bytes)).transpose()?.map(BufWriter::new);
    if reached.written > 0 {
        progress.line(&format!("going on after {} installations", reached.written));
    }
    loop {
        let page = match page(export, reached.cursor.as_deref(), client).await {
            Ok(page) => page,
            Err(error) => {
                progress.done();
                let again = if notes.is_some() { "; the same command goes on there" } else { "" };
                return Err(anyhow::anyhow!("{error}; stopped after {} installations{again}", reached.written).into());
            }
        };
        for item in &page.items {
            reached.bytes += item.get().len() as u64 + 1;
            match &mut file {
                Some(file) => writeln!(file, "{}", item.get()),
                None => writeln!(stdout, "{}", item.get()),
            }
            .context("cannot write")?;
        }
        reached.written += page.items.len() as u64;
        progress.at(reached.written);
        let Some(next) = page.next_cursor else { break };
        reached.cursor = Some(next);
        if let (Some(file), Some(notes)) = (&mut file, &notes) {
            file.flush().context("cannot write")?;
            notes.write(&reached)?;
        }
    }
    progress.done();
    match file {
        None => stdout.flush()?,
        Some(file) => {
            let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.sync_all()?;
        }
    }
    if let Some(notes) = &notes {
        notes.remove();
        writeln!(stdout, "exported {}", reached.written)?;
    }
    Ok(())
}

fn begin(export: &Export, notes: Option<&Notes>) -> anyhow::Result<Reached> {
    let Export { data, audience } = export;
    let fresh = Reached { hub: data.hub.clone(), audience: audience.clone(), ..Reached::default() };
    let Some(notes) = notes else { return Ok(fresh) };
    if data.restart {
        notes.remove();
    }
    match notes.read::<Reached>()? {
        Some(reached) if !reached.hub.eq_ignore_ascii_case(&data.hub) || reached.audience != *audience => {
            bail!("{} is about another hub or audience; --restart begins anew", notes.0.display())
        }
        Some(reached) => Ok(reached),
        None => Ok(fresh),
    }
}

/// The file, cut to what was written in whole pages.
fn open(path: &std::path::Path, bytes: u64) -> anyhow::Result<File> {
    let what = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path).with_context(what)?;
    let length = file.metadata().with_context(what)?.len();
    if length < bytes {
        bail!("{} is shorter than what was written to it; --restart begins anew", path.display());
    }
    // What is no plain file, such as a pipe, has no length to set.
    if length > bytes {
        file.set_len(bytes).with_context(what)?;
    }
    if bytes > 0 {
        file.seek(SeekFrom::End(0)).with_context(what)?;
    }
    Ok(file)
}

async fn page(export: &Export, cursor: Option<&str>, client: &Client) -> Result<Page, crate::cli::client::ClientError> {
    let mut path = format!("/installations?limit={PAGE}&audience={}", segment(&export.audience));
    if let Some(cursor) = cursor {
        path.push_str(&format!("&cursor={}", segment(cursor)));
    }
    client.get(&hub_path(&export.data.hub, &path)).await?.into_json().await
}
