//! The fan-out: from an accepted broadcast to a final word for every target.
pub mod active;
pub mod breaker;
pub mod pace;
pub mod retry;
pub mod run;
pub mod sender;
pub mod slots;
