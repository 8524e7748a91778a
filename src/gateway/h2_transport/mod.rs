//! Connections on the `h2` crate: an oracle beside the engine's own ([`super::http2`]), and what to fall back to
//! (`worker.transport = "h2"`).
//!
//! - [`connection`]: one connection. - [`handshake`]: how it begins. - [`exchange`]: one request alone.
//! - [`head`]: requests as the crate takes them. - [`stream`]: open requests. - [`tap`]: what of them was written.

mod connection;
mod exchange;
mod handshake;
mod head;
mod stream;
mod tap;

pub(super) use connection::Connection;
