//! `fanfare migrate`: the store gets this version's schema.

use std::ffi::OsString;
use std::io::Write;

use super::{Configured, Failure};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::service::open_store;

pub(super) fn run(
    args: &Configured,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    stdout: &mut impl Write,
) -> Result<(), Failure> {
    let config = Config::load_with(args.config.as_deref(), environment)?;
    // Opening brings the schema up to date; that is all there is to do.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    drop(runtime.block_on(open_store(&config, SystemClock::shared()))?);
    Ok(writeln!(stdout, "the store has the schema of version {}", env!("CARGO_PKG_VERSION"))?)
}
