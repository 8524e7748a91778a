//! The commands of the binary, one file each.
pub mod fanfare;
pub mod gateways;
