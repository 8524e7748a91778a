//! Files that hold one key of Fanfare's own: made at the first start, readable by their owner alone, never overwritten.
//!
//! A key that exists in two versions for a moment is worse than none (what the loser sealed cannot be opened again), so
//! the file appears whole and at most once: the text is written and synced under a name of its own, then linked to the
//! final name, which fails when somebody was quicker. The quicker one's key is the key.

use super::secret::Secret;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// A key file cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[error("key file {}: {source}", path.display())]
pub struct KeyFileError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// What [`open_or_make`] found.
#[derive(Debug)]
pub struct KeyFile {
    /// The text of the file, one trailing newline trimmed.
    pub text: Secret,
    /// Whether it was made just now; a fresh admin key is worth showing once.
    pub fresh: bool,
}

/// Reads a key file. The text is trimmed of one trailing newline, which editors and `echo` add.
pub fn read(path: &Path) -> Result<Secret, KeyFileError> {
    fs::read_to_string(path)
        .map(|text| Secret::new(trim_newline(&text)))
        .map_err(|source| KeyFileError { path: path.to_owned(), source })
}

/// Reads a key file, or makes it (mode 0600, folders as needed) with the text of `make` when there is none.
pub fn open_or_make<E: From<KeyFileError>>(
    path: &Path,
    make: impl FnOnce() -> Result<Secret, E>,
) -> Result<KeyFile, E> {
    match read(path) {
        Ok(text) => return Ok(KeyFile { text, fresh: false }),
        Err(e) if e.source.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e.into()),
    }
    let text = make()?;
    match publish(path, &text) {
        Ok(()) => Ok(KeyFile { text, fresh: true }),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(KeyFile { text: read(path)?, fresh: false }),
        Err(source) => Err(KeyFileError { path: path.to_owned(), source }.into()),
    }
}

fn publish(path: &Path, text: &Secret) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
    name.push(format!(".{:016x}", fastrand::u64(..)));
    let draft = folder.join(name);
    let linked = write_synced(&draft, text).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    linked.and(removed)?;
    // Without this the name can be gone after a power loss, while what was sealed with the key is not.
    File::open(folder)?.sync_all()
}

fn write_synced(path: &Path, text: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", text.expose())?;
    file.sync_all()
}

/// Takes one trailing newline (`\n` or `\r\n`) off, and no more: further white space may be part of a key.
pub fn trim_newline(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn make(text: &'static str) -> impl FnOnce() -> Result<Secret, KeyFileError> {
        move || Ok(Secret::new(text))
    }

    #[test]
    fn is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/some.key");
        let first = open_or_make(&path, make("one")).unwrap();
        assert!(first.fresh);
        let second = open_or_make(&path, make("two")).unwrap();
        assert_eq!((second.text.expose(), second.fresh), ("one", false));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn the_quicker_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.key");
        let rival = path.clone();
        let mine = open_or_make(&path, move || {
            fs::write(&rival, "theirs\n").unwrap();
            Ok::<_, KeyFileError>(Secret::new("mine"))
        });
        assert_eq!(mine.unwrap().text.expose(), "theirs");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn many_at_once_agree() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.key");
        let texts: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = ["a", "b", "c", "d", "e", "f"]
                .map(|text| {
                    scope.spawn({
                        let path = &path;
                        move || open_or_make(path, make(text)).unwrap()
                    })
                })
                .into();
            threads.into_iter().map(|t| t.join().unwrap().text.expose().to_owned()).collect()
        });
        assert!(texts.iter().all(|t| *t == texts[0]), "{texts:?}");
    }

    #[test]
    fn trims_one_newline() {
        for (text, trimmed) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("\n", "")]
        {
            assert_eq!(trim_newline(text), trimmed);
        }
    }

    #[test]
    fn says_which_file() {
        let error = read(Path::new("/nowhere/some.key")).unwrap_err().to_string();
        assert!(error.starts_with("key file /nowhere/some.key: "), "{error}");
    }
}
