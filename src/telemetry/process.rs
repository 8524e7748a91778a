//! What this process uses of the machine, read from `/proc/self` (proc(5)); nothing where there is none.

use std::path::Path;

/// Memory, CPU time and files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    pub resident_bytes: u64,
    pub cpu_seconds: f64,
    pub open_files: u64,
}

/// What a file takes of its file system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Disk {
    pub used: u64,
    pub free: u64,
}

/// The kernel reports CPU time in ticks of 1/100 s to every program (`USER_HZ`), whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// What has been used so far.
pub(super) fn usage() -> Option<Usage> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let open_files = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    Some(Usage { resident_bytes: resident(&status)?, cpu_seconds: cpu(&stat)?, open_files })
}

/// The size of the embedded store's files, and the bytes that are left beside them for a process without privileges.
pub(super) fn disk(file: &Path) -> Option<Disk> {
    let size = |ending: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        std::fs::metadata(name).map_or(0, |metadata| metadata.len())
    };
    let system = rustix::fs::statvfs(file).ok()?;
    Some(Disk { used: size("") + size("-wal") + size("-shm"), free: system.f_bavail.saturating_mul(system.f_frsize) })
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Fields 14 and 15 are user and system time; field 2, the program's name, may hold blanks and ends with the last `)`.
fn cpu(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_of_the_kernel() {
        assert_eq!(resident("VmPeak:\t  900 kB\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 500 0 0 0 250 50 0 0 20 0 9 0 100 1 2";
        assert_eq!(cpu(stat), Some(3.0));
        assert_eq!((resident(""), cpu("")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        assert!(usage().is_some_and(|usage| usage.resident_bytes > 0 && usage.open_files > 2));
    }

    #[test]
    fn a_store_is_as_large_as_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fanfare.db");
        assert_eq!(disk(&file), None);
        std::fs::write(&file, [0; 100]).unwrap();
        std::fs::write(folder.path().join("fanfare.db-wal"), [0; 10]).unwrap();
        assert!(disk(&file).is_some_and(|disk| disk.used == 110 && disk.free > 0));
    }
}
