//! A lean client of the native API, and of what else is asked over HTTP: HTTP/1.1 over kept connections, as few instructions a request as will do, because in
//! a measured run it shares the machine with what it measures.
//!
//! - [`connection`]: requests and answers, one after the other or several at once.
//! - [`api`]: the operations that runs need, typed; reconnects when the service was restarted.
//! - [`import`]: installations as one stream.
//! - [`metrics`]: what `/metrics` says.
//! - [`signature`]: tokens as the Notification Hubs clients sign them.
//! - `response`: reading answers.
pub mod api;
pub mod connection;
pub mod import;
pub mod metrics;
mod response;
pub mod signature;

pub use api::{Api, Standing};
pub use connection::{Answer, Connection};
pub use metrics::Metrics;

use std::io;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot reach the service: {0}")]
    Io(#[from] io::Error),
    /// What came is no HTTP/1.1 answer.
    #[error("the answer cannot be read: {0}")]
    Malformed(&'static str),
    /// The service said no.
    #[error("{request} was answered {status}: {body}")]
    Refused { request: String, status: u16, body: String },
    #[error("the answer to {request} is not as expected: {source}: {body}")]
    Unexpected { request: String, source: serde_json::Error, body: String },
}
