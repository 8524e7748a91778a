//! A step of an import: some lines of the input, applied in one commit, and what became of each in the results.
//!
//! `Output.txt` has a line `NUMBER,RESULT` for each line that was applied, `Failed.txt` one for each that was not;
//! numbers count from 1.
//!
//! A step that was applied and not written down is applied again when the job goes on. Ids that lines do not name are
//! made of the job and the line, so the second time finds what the first one made; what it finds just so counts as its
//! own work.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::container::PIECE;
use super::run::{Running, Stopped, append};
use super::state::Read;
use crate::api::App;
use crate::api::hubs::registrations::counted;
use crate::model::job::JobKind;
use crate::model::registration::{self, Registration, RegistrationId};
use crate::store::{JobStep, Precondition, Registered, RegistrationChange};

/// Lines of a step, and bytes after which it takes no more.
const LINES: usize = 512;
const BYTES: u64 = 1024 * 1024;

/// Reads lines of a file from a place on.
pub(super) struct Reader {
    file: Read,
    at: u64,
    /// The piece that `at` lies in, when it was read.
    piece: Option<(u32, Vec<u8>)>,
}

enum Line {
    Text(Vec<u8>),
    TooLong,
}

impl Reader {
    /// The next line without its end; `None` behind the last.
    async fn next(&mut self, app: &App, longest: usize) -> Result<Option<Line>, Stopped> {
        if self.at >= self.file.bytes {
            return Ok(None);
        }
        let (mut text, mut too_long) = (Vec::new(), false);
        while self.at < self.file.bytes {
            let within = usize::try_from(self.at % PIECE as u64).unwrap_or(0);
            let (_, bytes) = self.piece(app).await?;
            let rest = bytes.get(within..).filter(|rest| !rest.is_empty());
            let rest =
                rest.ok_or_else(|| Stopped::Failed("ImportFileUri leads to a file that is cut short".to_owned()))?;
            let end = rest.iter().position(|byte| *byte == b'\n');
            let part = &rest[..end.unwrap_or(rest.len())];
            if text.len() + part.len() > longest + 1 {
                too_long = true;
                text.clear();
            } else if !too_long {
                text.extend_from_slice(part);
            }
            let ended = end.is_some();
            self.at += part.len() as u64 + u64::from(ended);
            if ended {
                break;
            }
        }
        if text.ends_with(b"\r") {
            text.pop();
        }
        too_long |= text.len() > longest;
        Ok(Some(if too_long { Line::TooLong } else { Line::Text(text) }))
    }

    async fn piece(&mut self, app: &App) -> Result<&(u32, Vec<u8>), Stopped> {
        let number = u32::try_from(self.at / PIECE as u64).unwrap_or(u32::MAX);
        if self.piece.as_ref().is_none_or(|(have, _)| *have != number) {
            let gone = || Stopped::Failed("ImportFileUri leads to a file that was replaced or has expired".to_owned());
            let bytes = app.store.file_piece(self.file.file, number).await?.ok_or_else(gone)?;
            self.piece = Some((number, bytes));
        }
        self.piece.as_ref().ok_or(Stopped::Lost)
    }
}

/// What a line asks for, with what is said when it cannot be done.
struct Asked {
    line: u64,
    change: Result<RegistrationChange, String>,
}

pub(super) async fn step(running: &mut Running, reader: &mut Option<Reader>) -> Result<JobStep, Stopped> {
    let file = input(running).await?;
    let reader = reader.get_or_insert_with(|| Reader { file, at: running.state.rest.done, piece: None });
    let (from, mut asked, mut ended) = (reader.at, Vec::new(), false);
    while asked.len() < LINES && reader.at - from < BYTES {
        let longest = running.app.limits.import_line_bytes;
        let Some(line) = reader.next(&running.app, longest).await? else {
            ended = true;
            break;
        };
        running.state.rest.cursor += 1;
        let line_number = running.state.rest.cursor;
        let change = match line {
            Line::TooLong => Err(format!("a line must have at most {longest} bytes")),
            Line::Text(text) if text.trim_ascii().is_empty() => continue,
            Line::Text(text) => change(running, line_number, &text),
        };
        asked.push(Asked { line: line_number, change });
    }
    running.state.rest.done = reader.at;
    let changes: Vec<_> = asked.iter().filter_map(|asked| asked.change.as_ref().ok().cloned()).collect();
    let registered = match changes.is_empty() {
        true => Vec::new(),
        false => running.app.store.register(running.hub, changes).await?,
    };
    for registered in &registered {
        running.app.metrics.registered(running.hub, counted(registered));
    }
    let (mut output, mut failed) = (String::new(), String::new());
    let mut registered = registered.into_iter();
    for Asked { line, change } in asked {
        let told = match change {
            Err(rule) => Err(rule),
            Ok(change) => {
                let registered = registered.next().unwrap_or(Registered::Absent);
                told(running, &change, registered).await?
            }
        };
        let (file, text) = match told {
            Ok(text) => (&mut output, text),
            Err(text) => (&mut failed, text),
        };
        file.push_str(&format!("{line},{}\n", field(&text)));
    }
    let mut step = JobStep::default();
    append(&mut step, &mut running.state.rest.output, output.as_bytes());
    append(&mut step, &mut running.state.rest.failed, failed.as_bytes());
    if ended {
        running.finish_work(&mut step);
    }
    Ok(step)
}

/// The file to read, looked up once.
async fn input(running: &mut Running) -> Result<Read, Stopped> {
    if let Some(file) = running.state.rest.reads {
        return Ok(file);
    }
    let missing = || Stopped::Failed("ImportFileUri leads to no file".to_owned());
    let (container, name) = running.state.rest.input.clone().ok_or_else(missing)?;
    let file = running.app.store.file(running.hub, &container, &name).await?.ok_or_else(missing)?;
    let file = Read::from(&file);
    running.state.rest.reads = Some(file);
    running.state.rest.total = file.bytes;
    Ok(file)
}

fn change(running: &Running, line: u64, text: &[u8]) -> Result<RegistrationChange, String> {
    let kind = running.state.request.kind;
    let (limits, now) = (&running.app.limits.installation, running.app.clock.now());
    let named =
        |id: Option<String>| id.map(|id| RegistrationId::parse(&id)).transpose().map_err(|error| error.to_string());
    let required = |id: Option<RegistrationId>| id.ok_or_else(|| "RegistrationId is required".to_owned());
    if kind == JobKind::Delete {
        let id = required(named(registration::id_of(text).map_err(|error| error.to_string())?)?)?;
        return Ok(RegistrationChange::Delete { id, only: Precondition::None });
    }
    let draft = registration::read(text, limits, now).map_err(|error| error.to_string())?;
    let id = named(draft.id.clone())?;
    let (id, only) = match kind {
        JobKind::Update => (required(id)?, Precondition::Present),
        JobKind::Create => (id.unwrap_or_else(|| made(&running.leased.job.id, line)), Precondition::Absent),
        _ => (id.unwrap_or_else(|| made(&running.leased.job.id, line)), Precondition::None),
    };
    let mut registration = draft.named(id);
    // One that is deleted meanwhile is found out by the write.
    if let Some(hub) = running.app.directory.by_number(running.hub) {
        registration.expires = hub.settings.latest_end(registration.expires, now);
    }
    Ok(RegistrationChange::Put { registration: Box::new(registration), only })
}

/// An id for a line that names none: the same whenever the line is read.
fn made(job: &str, line: u64) -> RegistrationId {
    let number = |half: u64| xxh3_64_with_seed(job.as_bytes(), line << 1 | half) >> 1;
    let text = format!("{}-{}-1", number(0), number(1));
    // Digits and dashes are an id.
    RegistrationId::parse(&text).unwrap_or_else(|_| RegistrationId::random())
}

/// What is said of a line: applied, or not.
async fn told(
    running: &Running,
    change: &RegistrationChange,
    registered: Registered,
) -> Result<Result<String, String>, Stopped> {
    let id = change.id();
    Ok(match registered {
        Registered::Created { .. } => Ok(format!("created {id}")),
        Registered::Updated { .. } => Ok(format!("updated {id}")),
        Registered::Deleted => Ok(format!("deleted {id}")),
        Registered::Exists if is_own_work(running, change).await? => Ok(format!("created {id}")),
        Registered::Absent if running.uncertain && matches!(change, RegistrationChange::Delete { .. }) => {
            Ok(format!("deleted {id}"))
        }
        Registered::Exists => Err(format!("there is a registration {id} already")),
        Registered::Absent => Err(format!("there is no registration {id}")),
        Registered::OfInstallation => Err(format!("{id} stands for a target of an installation")),
        Registered::Differs => Err(format!("{id} is in another version")),
    })
}

/// Whether what is in the way is what this very step made before it could be written down.
async fn is_own_work(running: &Running, change: &RegistrationChange) -> Result<bool, Stopped> {
    let RegistrationChange::Put { registration, .. } = change else { return Ok(false) };
    if !running.uncertain {
        return Ok(false);
    }
    let stored = running.app.store.registration(running.hub, &registration.id).await?;
    Ok(stored.is_some_and(|stored| stored.etag == 1 && is_same(&stored.registration, registration)))
}

/// Whether both are of the same line. Where the hub says how long registrations live, an end is of the time of writing.
fn is_same(made: &Registration, asked: &Registration) -> bool {
    *made == Registration { expires: made.expires, ..asked.clone() }
}

/// A field of CSV.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_lines_are_theirs() {
        assert_eq!(made("j", 1), made("j", 1));
        assert!(made("j", 1) != made("j", 2) && made("j", 1) != made("k", 1));
        assert_eq!(made("j", 1).target(), None);
    }

    #[test]
    fn a_line_is_known_again_whenever_it_was_written() {
        let limits = crate::model::installation::InstallationLimits::default();
        let read = |token: &str| {
            let line = format!(
                "<FcmV1RegistrationDescription xmlns=\"x\"><FcmV1RegistrationId>{token}</FcmV1RegistrationId>\
                 </FcmV1RegistrationDescription>"
            );
            let now = crate::model::time::Timestamp::default();
            registration::read(line.as_bytes(), &limits, now).unwrap().named(made("j", 1))
        };
        let ending = |at| Registration { expires: Some(crate::model::time::Timestamp::from_millis(at)), ..read("t") };
        assert!(is_same(&ending(1), &ending(2)) && !is_same(&ending(1), &read("u")));
    }

    #[test]
    fn fields_are_quoted_where_they_must() {
        assert_eq!(field("created 1-2-1"), "created 1-2-1");
        assert_eq!(field("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
