//! Real servers for tests and runs, each in a folder and on a port of its own, ended when dropped.

use std::io;
use std::net::TcpListener;

pub mod postgres;
pub mod redis;

mod process;
mod resp;

/// Why a server is not there.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It is not installed.
    #[error("{0} is not installed (package {1})")]
    Missing(&'static str, &'static str),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    /// It ran, and said this.
    #[error("{0}")]
    Failed(String),
}

/// A port of the loopback interface that nobody uses now.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
