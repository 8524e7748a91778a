//! Header compression (RFC 7541).
//!
//! - [`decoder`]: what a peer sends, handed out as slices.
//! - [`encoder`]: what we send, written so that the fields which many requests share cost a byte each.
//! - [`huffman`], [`table`], `integer`: their parts.

pub mod decoder;
pub mod encoder;
pub mod huffman;
mod integer;
pub mod table;

pub use decoder::{Decoder, HpackError};
pub use encoder::{Encoder, Field, Indexing};

/// What an entry costs besides its bytes (RFC 7541 section 4.1).
pub const ENTRY_OVERHEAD: usize = 32;
/// The size of a table when nothing is said, in bytes.
pub const DEFAULT_TABLE: usize = 4_096;
