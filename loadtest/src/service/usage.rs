//! What a process costs, from /proc (proc(5)).
use std::{io, time::Duration};

use crate::servers::postgres::children_of;

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

/// CPU of a process, of its children, and of those children that have ended and were waited for: a server that forks.
///
/// # Errors
/// When there is no such process, or what /proc says cannot be read.
pub fn cpu_of_family(pid: u32) -> io::Result<Duration> {
    let of = |pid: u32, fields: usize| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        ticks(&stat, fields).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable"))
    };
    // One that ends just now is among those that were waited for, or will be at the next reading.
    let children = children_of(pid).into_iter().filter_map(|child| of(child, 2).ok()).sum();
    Ok(of(pid, 4)?.saturating_add(children))
}

fn cpu(stat: &str) -> Option<Duration> {
    ticks(stat, 2)
}

/// The sum of so many fields from 14 on: user and system time, then those of children that were waited for. The second field, the name, may hold blanks and parentheses itself.
fn ticks(stat: &str, fields: usize) -> Option<Duration> {
    let after_name = stat.get(stat.rfind(')')? + 2..)?;
    let each = after_name.split(' ').skip(11).take(fields).map(|field| field.parse::<u64>().ok());
    let sum: u64 = each.sum::<Option<u64>>()?;
    // Fields that are missing would be missed.
    after_name.split(' ').nth(10 + fields)?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_micros(sum * 1_000_000 / per_second))
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
        assert_eq!(ticks(stat, 4), Some(Duration::from_micros(200_000_000 / per_second)));
        assert_eq!(cpu("42 (x) S 1"), None);
        assert_eq!(anonymous("VmRSS:\t  100 kB\nRssAnon:\t      64 kB\n"), Some(65_536));
    }

    #[test]
    fn a_familys_cpu_is_that_of_its_children_too() {
        let before = cpu_of_family(std::process::id()).unwrap();
        let spent = std::process::Command::new("/bin/sh")
            .args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"])
            .status()
            .unwrap();
        assert!(spent.success());
        assert!(cpu_of_family(std::process::id()).unwrap() > before);
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
