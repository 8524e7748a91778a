//! The embedded store: there, whole, writable, with room.

use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::{Finding, Known};
use crate::store::sqlite;

const ABOUT: &str = "store";
/// Less room than this and the next large broadcast may not fit.
const LITTLE: u64 = 2 << 30;
/// Less, and accepting stops within the hour.
const NONE: u64 = 128 << 20;

pub(super) fn embedded(path: &Path) -> (Vec<Finding>, Known) {
    let shown = path.display();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The nearest folder that is there: `serve` makes the ones below it.
    let present = folder.ancestors().find(|folder| folder.exists() || folder.as_os_str().is_empty());
    let present = present.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut findings = Vec::new();
    let mut known = Known::default();
    if path.exists() {
        match sqlite::inspect(path) {
            Ok(found) => {
                findings.push(opened(path, &found));
                known.0 = found.hubs;
            }
            Err(error) => findings.push(Finding::fail(
                ABOUT,
                format!("{shown} cannot be read: {error}; check its owner, or restore it from a backup"),
            )),
        }
    } else {
        findings.push(Finding::ok(ABOUT, format!("{shown} is not there yet; `serve` or `migrate` makes it")));
    }
    let denied = [path, present].into_iter().filter(|at| at.exists()).find(|at| access(*at, Access::WRITE_OK).is_err());
    findings.push(match denied {
        Some(at) => {
            Finding::fail(ABOUT, format!("{} is not writable; give it to the user that runs fanfare", at.display()))
        }
        None => Finding::ok(ABOUT, format!("{} is writable", present.display())),
    });
    findings.push(match statvfs(present) {
        Ok(disk) => room(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => Finding::warn(ABOUT, format!("cannot tell how much room {} has: {error}", present.display())),
    });
    (findings, known)
}

fn opened(path: &Path, found: &sqlite::Inspection) -> Finding {
    let shown = path.display();
    let (has, knows) = (found.schema_version, found.known_version);
    if has > knows {
        let text = format!("{shown} has schema version {has}, this build knows up to {knows}; run the newer version");
        return Finding::fail(ABOUT, text);
    }
    if has < knows {
        return Finding::warn(
            ABOUT,
            format!("{shown} has schema version {has}; `fanfare migrate` brings it to {knows}"),
        );
    }
    match found.in_use {
        true => Finding::ok(ABOUT, format!("{shown} opens; a running service has it, so it was only read")),
        false => Finding::ok(ABOUT, format!("{shown} opens; no service has it")),
    }
}

fn room(bytes: u64) -> Finding {
    let text = format!("{} MiB free on its disk", bytes >> 20);
    match bytes {
        ..NONE => Finding::fail(ABOUT, format!("{text}; free some, or nothing can be accepted soon")),
        NONE..LITTLE => Finding::warn(
            ABOUT,
            format!(
                "{text}; free some, or lower retention.broadcast_days or set retention.max_gigabytes in the configuration"
            ),
        ),
        _ => Finding::ok(ABOUT, text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn little_room_is_told_in_time() {
        assert_eq!(room(1 << 20).state, State::Fail);
        assert_eq!(room(1 << 30).state, State::Warn);
        assert_eq!(room(1 << 40).state, State::Ok);
    }

    #[test]
    fn a_file_that_is_no_store_fails_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        std::fs::write(&path, "no database at all, but long enough to be looked at as one".repeat(20)).unwrap();
        let (findings, _) = embedded(&path);
        assert_eq!(findings[0].state, State::Fail, "{findings:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
    }
}
