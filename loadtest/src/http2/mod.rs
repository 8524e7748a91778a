//! HTTP/2 as a server speaks it (RFC 9113, HPACK RFC 7541), frame by frame.
//!
//! The simulated services need what a finished server library keeps to itself: a stream limit that changes in
//! mid-connection, GOAWAY with a chosen last stream and debug data, windows that stay shut. And a receiver that costs
//! more than the sender under test measures itself. So this is a small server of our own:
//!
//! - [`frame`]: frame headers, error codes, the writers of control frames.
//! - [`hpack`]: header compression; decoding with a dynamic table of its own, encoding without one. Constants and Huffman
//!   code are the RFC's, so they are the engine's as well.
//! - [`request`]: one received request, its header fields in a single buffer.
//! - [`connection`]: the protocol of one connection, without I/O: bytes in, events out, bytes out.
pub mod connection;
pub mod frame;
pub mod hpack;
pub mod request;

pub use connection::{Connection, ConnectionError, Event, Settings};
pub use frame::ErrorCode;
pub use request::Request;
