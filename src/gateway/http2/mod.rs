//! The delivery engine: HTTP/2 frame by frame, for many small requests that differ in a few bytes.
//!
//! - [`frame`]: frames as bytes. - [`hpack`]: header compression. - [`session`]: the state machine of a connection,
//!   without I/O. - `connection`: a session on a socket, fed from a pool's intake.
//!
//! Why it is cheap (`figures.md` section 2): what requests share is encoded once and then costs a byte a header; HEADERS
//! and DATA of all free streams leave in one write; answers of many come in one read; a stream is found by its id
//! without a map; nothing is allocated, locked, spawned or timed per request.

mod connection;
pub mod frame;
pub mod hpack;
pub mod session;

pub(super) use connection::Connection;
