//! What operators watch: the alert rules hold, each of them is shown to fire and to stay quiet, and everything that a
//! rule or a panel asks for is really exported.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on should say why and stop")]

mod board;
mod exported;
mod query;
mod rules;
