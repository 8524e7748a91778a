//! `fanfare installations import`: a file in portions, each one request. A portion counts once its whole answer came.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};

use anyhow::{Context, bail};
use clap::Args;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};

use super::{Data, Notes};
use crate::cli::Failure;
use crate::cli::client::{Client, ClientError, hub_path};
use crate::cli::progress::Progress;

/// The most bytes of one portion, unless a single line has more.
const PORTION_BYTES: usize = 4 << 20;

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    data: Data,
    /// Lines in one request: the most that an interruption repeats, which changes nothing
    #[arg(long, value_name = "LINES", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    portion: u64,
}

/// How far it came.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Reached {
    hub: String,
    /// Lines whose answer was received.
    line: u64,
    imported: u64,
    failed: u64,
}

/// One line of the service's answer: a bad line, or the sum.
#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Bad { line: u64, error: Reason },
    Sum { imported: u64, failed: u64 },
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    message: String,
}

pub(super) async fn run(import: &Import, client: &Client, stdout: &mut impl Write) -> Result<(), Failure> {
    let notes = import.data.notes();
    let mut reached = begin(&import.data, notes.as_ref())?;
    let (mut input, total): (Box<dyn BufRead>, _) = match import.data.path() {
        None => (Box::new(BufReader::new(io::stdin())), None),
        Some(path) => {
            let file = || File::open(path).with_context(|| format!("cannot read {}", path.display()));
            let total = count_lines(BufReader::with_capacity(1 << 20, file()?))?;
            (Box::new(BufReader::with_capacity(1 << 20, file()?)), Some(total))
        }
    };
    skip_lines(&mut input, reached.line)?;
    let mut progress = Progress::new("importing", total);
    if reached.line > 0 {
        progress.line(&format!("going on after line {}", reached.line));
    }
    loop {
        let (portion, lines) = read_portion(&mut input, import.portion)?;
        if lines == 0 {
            break;
        }
        if let Err(error) = pass_on(portion, &mut reached, client, &progress).await {
            progress.done();
            let again = if notes.is_some() { "; the same command goes on there" } else { "" };
            return Err(anyhow::anyhow!("{error}; stopped after line {}{again}", reached.line).into());
        }
        reached.line += lines;
        if let Some(notes) = &notes {
            notes.write(&reached)?;
        }
        progress.at(reached.line);
    }
    progress.done();
    if let Some(notes) = &notes {
        notes.remove();
    }
    writeln!(stdout, "imported {}, failed {}", reached.imported, reached.failed)?;
    match reached.failed {
        0 => Ok(()),
        failed => Err(anyhow::anyhow!("{failed} lines were refused").into()),
    }
}

fn begin(data: &Data, notes: Option<&Notes>) -> anyhow::Result<Reached> {
    let fresh = Reached { hub: data.hub.clone(), ..Reached::default() };
    let Some(notes) = notes else { return Ok(fresh) };
    if data.restart {
        notes.remove();
    }
    match notes.read::<Reached>()? {
        Some(reached) if !reached.hub.eq_ignore_ascii_case(&data.hub) => {
            bail!("{} is about hub {}; --restart begins anew", notes.0.display(), reached.hub)
        }
        Some(reached) => Ok(reached),
        None => Ok(fresh),
    }
}

/// Lines of a file, the last one with or without its end.
fn count_lines(mut input: impl BufRead) -> anyhow::Result<u64> {
    let (mut lines, mut open) = (0, false);
    loop {
        let piece = input.fill_buf()?;
        let Some(last) = piece.last() else { break };
        open = *last != b'\n';
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = piece.len();
        input.consume(length);
    }
    Ok(lines + u64::from(open))
}

fn skip_lines(input: &mut impl BufRead, lines: u64) -> anyhow::Result<()> {
    for line in 0..lines {
        if input.skip_until(b'\n')? == 0 {
            bail!("the file has only {line} lines and {lines} are done; --restart begins anew");
        }
    }
    Ok(())
}

fn read_portion(input: &mut impl BufRead, most: u64) -> anyhow::Result<(Vec<u8>, u64)> {
    let (mut portion, mut lines) = (Vec::new(), 0);
    while lines < most && portion.len() < PORTION_BYTES {
        let room = PORTION_BYTES as u64;
        let before = portion.len();
        // A line without end would fill the memory; the service refuses it by its first bytes as well.
        if input.by_ref().take(room).read_until(b'\n', &mut portion)? == 0 {
            break;
        }
        if portion.last() != Some(&b'\n') {
            if (portion.len() - before) as u64 == room {
                input.skip_until(b'\n')?;
            }
            portion.push(b'\n');
        }
        lines += 1;
    }
    Ok((portion, lines))
}

/// Sends a portion and adds up what became of it; nothing is added unless its whole answer came.
async fn pass_on(
    portion: Vec<u8>,
    reached: &mut Reached,
    client: &Client,
    progress: &Progress,
) -> Result<(), ClientError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let path = hub_path(&reached.hub, "/installations:import");
    let mut answer = client.send(Method::POST, &path, headers, portion.into()).await?;
    let mut bad = Vec::new();
    while let Some(line) = answer.line().await? {
        match serde_json::from_str(&line) {
            Ok(Told::Bad { line, error }) => bad.push((line, error)),
            Ok(Told::Sum { imported, failed }) => {
                for (line, Reason { code, message }) in bad {
                    progress.line(&format!("line {}: {message} ({code})", reached.line + line));
                }
                reached.imported += imported;
                reached.failed += failed;
                return Ok(());
            }
            Err(error) => return Err(client.foreign(&error)),
        }
    }
    Err(client.broken("the answer ended without its sum"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_end_with_lines() {
        let mut input: &[u8] = b"a\n\nbc";
        assert_eq!(count_lines(input).unwrap(), 3);
        assert_eq!(read_portion(&mut input, 2).unwrap(), (b"a\n\n".to_vec(), 2));
        assert_eq!(read_portion(&mut input, 2).unwrap(), (b"bc\n".to_vec(), 1));
        assert_eq!(read_portion(&mut input, 2).unwrap(), (Vec::new(), 0));
        assert!(skip_lines(&mut &b"a\n"[..], 2).is_err());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut input = vec![b'x'; PORTION_BYTES + 7];
        input.extend_from_slice(b"\ny\n");
        let mut input = &input[..];
        let (portion, lines) = read_portion(&mut input, 5).unwrap();
        assert_eq!((portion.len(), lines), (PORTION_BYTES + 1, 1));
        assert_eq!(read_portion(&mut input, 5).unwrap(), (b"y\n".to_vec(), 1));
    }
}
