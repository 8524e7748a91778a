//! `fanfare check`: is this configuration good, and what does it amount to?

use super::{Configured, Failure};
use crate::config::Config;
use anyhow::Context;
use std::{ffi::OsString, io::Write};

/// Prints the effective configuration.
pub(super) fn run(
    args: &Configured,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    stdout: &mut impl Write,
) -> Result<(), Failure> {
    let config = Config::load_with(args.config.as_deref(), environment)?;
    config.check_files()?;
    let toml = config.to_toml().context("the configuration cannot be written as TOML")?;
    stdout.write_all(toml.as_bytes())?;
    Ok(stdout.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report;

    /// Exit status as debug text (it cannot be compared), stdout and stderr.
    fn check(file: Option<&str>, environment: &[(&str, &str)]) -> (String, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let config = file.map(|text| {
            let path = dir.path().join("fanfare.toml");
            std::fs::write(&path, text).unwrap();
            path
        });
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let environment = environment.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let status = report(run(&Configured { config }, environment, &mut out), &mut err);
        (format!("{status:?}"), String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_good_configuration_is_printed() {
        let (status, out, err) =
            check(None, &[("FANFARE__SERVER__LISTEN", "0.0.0.0:9000"), ("FANFARE__ADMIN__KEY", "hush")]);
        assert_eq!((status, err.as_str()), (format!("{:?}", std::process::ExitCode::SUCCESS), ""));
        let printed: toml::Table = out.parse().unwrap();
        assert_eq!(printed["server"]["listen"].as_str(), Some("0.0.0.0:9000"));
        assert_eq!(printed["admin"]["key"].as_str(), Some("***"));
        assert!(!out.contains("hush"));
    }

    #[test]
    fn a_bad_one_is_one_line_and_status_2() {
        let (status, out, err) = check(Some("[server]\nlisen = '127.0.0.1:1'"), &[]);
        assert_eq!(status, format!("{:?}", std::process::ExitCode::from(2)));
        assert_eq!(out, "");
        assert_eq!(err, "config: server.lisen: unknown key; the nearest known one is listen (got 127.0.0.1:1)\n");
    }

    #[test]
    fn a_password_in_a_url_is_masked() {
        let (_, out, err) = check(Some("[store]\nurl = 'postgres://u:secret@h/db'"), &[]);
        assert_eq!(err, "");
        assert!(out.contains("url = \"postgres://u:***@h/db\"") && !out.contains("secret@"), "{out}");
        out.parse::<toml::Table>().unwrap();
    }
}
