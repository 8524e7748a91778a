//! What a process costs, from /proc (proc(5)).
use std::{io, time::Duration};

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all threads, those that ended included; in steps of the kernel's tick, 10 ms as a rule.
    pub cpu: Duration,
    /// Resident memory that no file backs, bytes: heap and stacks, not the program's text nor mapped files.
    pub anonymous: u64,
}

impl Usage {
    /// # Errors
    /// When there is no such process, or what /proc says cannot be read.
    pub fn of(pid: u32) -> io::Result<Self> {
        let cpu = cpu(&std::fs::read_to_string(format!("/proc/{pid}/stat"))?);
        let anonymous = anonymous(&std::fs::read_to_string(format!("/proc/{pid}/status"))?);
        let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "unreadable");
        // A zombie has no memory, and its status does not say so.
        Ok(Self { cpu: cpu.ok_or_else(unreadable)?, anonymous: anonymous.unwrap_or(0) })
    }
}

/// Fields 14 and 15; the second field, the name, may hold blanks and parentheses itself.
fn cpu(stat: &str) -> Option<Duration> {
    let after_name = stat.get(stat.rfind(')')? + 2..)?;
    let mut fields = after_name.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_micros((user + system) * 1_000_000 / per_second))
}

fn anonymous(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_and_parentheses_are_passed_over() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 900 0 3 0 150 50 0 0 20 0 7 0 100 1 2 3";
        let per_second = rustix::param::clock_ticks_per_second();
        assert_eq!(cpu(stat), Some(Duration::from_micros(200_000_000 / per_second)));
        assert_eq!(cpu("42 (x) S 1"), None);
        assert_eq!(anonymous("VmRSS:\t  100 kB\nRssAnon:\t      64 kB\n"), Some(65_536));
    }

    #[test]
    fn a_process_that_fills_memory_shows_it() {
        let before = Usage::of(std::process::id()).unwrap();
        let filled = vec![1_u8; 32 << 20];
        let after = Usage::of(std::process::id()).unwrap();
        assert!(after.anonymous >= before.anonymous + (24 << 20), "{before:?} {after:?}");
        assert!(after.cpu >= before.cpu);
        drop(filled);
    }
}
