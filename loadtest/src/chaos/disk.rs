//! A small file system of its own, to be filled: a tmpfs, which only root may mount.
use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use rustix::process::getuid;

/// What the ballast is written in.
const PIECE: usize = 64 << 10;

/// Unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Why there can be none here.
    pub fn absent() -> Option<&'static str> {
        (!getuid().is_root()).then_some("mounting a small file system takes root")
    }

    /// Mounts one of that many bytes at a folder, which is made.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(place: &Path, bytes: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(place).with_context(|| format!("{}", place.display()))?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0777"), "fanfare-chaos"]).arg(place);
        let done = mount.output().context("cannot run mount")?;
        ensure!(done.status.success(), "cannot mount a small file system: {}", String::from_utf8_lossy(&done.stderr));
        Ok(Self { place: place.to_owned() })
    }

    pub fn place(&self) -> &Path {
        &self.place
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }

    /// Fills it to the last byte and says how many that took.
    ///
    /// # Errors
    /// When it cannot be written to for another reason than that it is full.
    pub fn fill(&self) -> anyhow::Result<u64> {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).context("no ballast")?;
        let mut size = PIECE;
        loop {
            match ballast.write(&vec![0; size]) {
                Ok(0) => break,
                Ok(_) => {}
                // Ever smaller pieces, until nothing fits.
                Err(error) if error.kind() == ErrorKind::StorageFull && size > 1 => size /= 2,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error).context("cannot fill the disk"),
            }
        }
        Ok(ballast.metadata()?.len())
    }

    /// Frees what [`Self::fill`] took.
    ///
    /// # Errors
    /// When the ballast cannot be removed.
    pub fn free(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.ballast()).context("cannot free the disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: who has a file open there is ended by others, and need not be waited for here.
        drop(Command::new("umount").arg("-l").arg(&self.place).output());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_one_takes_nothing_until_it_is_freed() {
        if Disk::absent().is_some() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::mount(&dir.path().join("disk"), 1 << 20).unwrap();
        assert!(disk.fill().unwrap() > 900_000);
        let mut file = File::create(disk.place().join("file")).unwrap();
        assert_eq!(file.write_all(&[0; 4096]).unwrap_err().kind(), ErrorKind::StorageFull);
        disk.free().unwrap();
        file.write_all(&[0; 4096]).unwrap();
        drop(disk);
        assert!(!dir.path().join("disk/file").exists());
    }
}
