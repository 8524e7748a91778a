//! What sign-in providers do beside what they should: silence, too much, outages, by path; and how often each path was
//! asked.
use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;

use super::served::{Said, respond};

/// A body that nobody should read whole: 2 MiB.
const HUGE: usize = 2 << 20;

/// What happens on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is never answered.
    Silence,
    /// A body of 2 MiB, which begins like JSON.
    Huge,
    /// This status, with a page.
    Status(u16),
    /// A redirect to where a client must not follow.
    Redirect,
}

/// The faults of a provider.
#[derive(Debug, Default)]
pub(super) struct Faults {
    by_path: Mutex<BTreeMap<String, Fault>>,
    asked: Mutex<BTreeMap<String, u64>>,
}

impl Faults {
    pub(super) fn set(&self, path: &str, fault: Option<Fault>) {
        let mut faults = self.by_path.lock();
        match fault {
            Some(fault) => faults.insert(path.to_owned(), fault),
            None => faults.remove(path),
        };
    }

    /// How often a path was asked.
    pub(super) fn asked(&self, path: &str) -> u64 {
        self.asked.lock().get(path).copied().unwrap_or(0)
    }

    pub(super) fn is_silent(&self, path: &str) -> bool {
        self.by_path.lock().get(path) == Some(&Fault::Silence)
    }

    /// Counts a request; the answer instead of the right one.
    pub(super) fn answer(&self, path: &str) -> Option<Said> {
        *self.asked.lock().entry(path.to_owned()).or_default() += 1;
        let fault = self.by_path.lock().get(path).copied();
        match fault? {
            Fault::Silence => None,
            Fault::Huge => Some(respond(200, Bytes::from([&b"{\"x\":\""[..], &vec![b'a'; HUGE], b"\"}"].concat()))),
            Fault::Status(status) => Some(respond(status, "<html>no</html>")),
            Fault::Redirect => {
                let mut said = respond(302, "");
                super::served::set(&mut said, "location", "https://127.0.0.1:1/elsewhere");
                Some(said)
            }
        }
    }
}
