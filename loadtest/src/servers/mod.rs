//! Real servers for tests and measured runs: processes of their own, on free ports, in folders that go with them.
//!
//! Each is ended by its process id when it is dropped, so that nothing of a test is left behind.

pub mod redis;

mod process;
mod resp;
