//! Log lines. Everything goes to stderr: stdout belongs to what commands print.
//!
//! Secrets are kept out where they live: keys, credentials and tokens are types that show as `***`.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line, for collectors.
    Json,
}

/// What is logged unless the filter says otherwise.
pub const DEFAULT_FILTER: &str = "info";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] ParseError),
    #[error("this process has a logger already")]
    Taken,
}

/// Sets the logger of this process: only `main` may, since a process has one. `filter` is in the form of
/// `tracing-subscriber`'s `EnvFilter`, such as `info,fanfare::fanout=debug`.
pub fn install(filter: Option<&str>, format: Format, colours: bool) -> Result<(), LoggingError> {
    let filter = EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours);
    match format {
        Format::Text => lines.try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|_| LoggingError::Taken)
}
