//! `fanfare doctor`: everything that a service of this configuration would need, tried one by one.
//!
//! Nothing is written, no key file is made and nobody is notified. A service may run on the same store meanwhile: its
//! file is then only read.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;

use super::{Configured, Failure};
use crate::config::{AuthConfig, Config, StoreUrl};
use crate::store::HubRecord;

mod clock;
mod hubs;
mod postgres;
mod queue;
mod store;

/// How a test went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// Works, but not for long or not as one would think.
    Warn,
    /// A service would not start, or would not send.
    Fail,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    state: State,
    /// What was tested.
    about: String,
    /// What was found, and how to mend it where that is called for.
    text: String,
}

impl Finding {
    fn ok(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { state: State::Ok, about: about.into(), text: text.into() }
    }

    fn warn(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { state: State::Warn, about: about.into(), text: text.into() }
    }

    fn fail(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { state: State::Fail, about: about.into(), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok  ",
            State::Warn => "warn",
            State::Fail => "fail",
        };
        // Whatever a system or a service said, a finding is one line.
        let text: String = self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        write!(f, "{state} {}: {text}", self.about)
    }
}

/// What the store knows of hubs, for the tests after its own.
#[derive(Default)]
struct Known(Vec<HubRecord>);

pub(super) fn run(
    args: &Configured,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    stdout: &mut impl Write,
) -> Result<(), Failure> {
    let config = Config::load_with(args.config.as_deref(), environment)?;
    let mut failed = 0_usize;
    let mut tell = |findings: Vec<Finding>| -> std::io::Result<()> {
        for finding in findings {
            failed += usize::from(finding.state == State::Fail);
            writeln!(stdout, "{finding}")?;
        }
        stdout.flush()
    };
    tell(configuration(&config))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (findings, known) = match (&config.store.url, config.store.postgres()) {
        (StoreUrl::Sqlite(path), _) => store::embedded(path),
        (StoreUrl::Postgres(_), Some(options)) => runtime.block_on(postgres::shared(&options)),
        (StoreUrl::Postgres(_), None) => (Vec::new(), Known::default()),
    };
    tell(findings)?;
    tell(runtime.block_on(queue::check(&config)))?;
    tell(clock::system())?;
    tell(runtime.block_on(hubs::probe(&config, &known.0)))?;
    // A name that still resolves must not hold the process.
    runtime.shutdown_background();
    match failed {
        0 => Ok(()),
        1 => Err(anyhow::anyhow!("1 test failed").into()),
        failed => Err(anyhow::anyhow!("{failed} tests failed").into()),
    }
}

/// What the files hold.
fn configuration(config: &Config) -> Vec<Finding> {
    const ABOUT: &str = "configuration";
    let mut findings = Vec::new();
    if let Err(error) = config.check_files() {
        findings.push(Finding::fail(ABOUT, format!("{}: {} (got {})", error.key, error.rule, error.got)));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(ABOUT, "every key is good and every file that it names can be used"));
    }
    let auth = config.mobile.as_ref().and_then(|mobile| mobile.auth.as_ref());
    for key in auth.map(AuthConfig::short_keys).unwrap_or_default() {
        findings.push(Finding::warn(ABOUT, format!("mobile.auth.{key}: should have 32 bytes or more, at random")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding::fail("hub demo", "a\nb");
        assert_eq!(finding.to_string(), "fail hub demo: a b");
    }

    #[test]
    fn a_short_signing_key_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fanfare.toml");
        for (key, told) in [("0011, as text", true), ("of 32 bytes, which is long enough", false)] {
            let auth =
                format!("[mobile.auth]\nsigning_key = '{key}'\naudience = 'https://a/'\nissuer = 'https://a/'\n");
            std::fs::write(&path, auth).unwrap();
            let none: [(OsString, OsString); 0] = [];
            let found = configuration(&Config::load_with(Some(&path), none).unwrap());
            let warned =
                found.iter().any(|finding| finding.to_string().contains("mobile.auth.signing_key: should have"));
            assert_eq!(warned, told, "{key}");
        }
    }
}
