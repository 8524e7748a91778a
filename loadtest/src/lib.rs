//! Load tests for Fanfare: simulated push services, and what measures a sender against them.
//!
//! - [`clock`]: wall-clock time that tests can turn.
//! - [`http2`]: an HTTP/2 server, frame by frame: cheap per request, and able to misbehave on purpose.
//! - [`gateways`]: the simulated push services, their scripts and receipts. Tests of Fanfare start them too: any number
//!   in a process, each on a port of its own, gone when dropped.
//! - [`devices`]: the installations of a run, computed from their number.
//! - [`oracle`]: owed against received.
//! - [`client`]: a lean client of the native API.
//! - [`servers`]: real PostgreSQL and Redis servers.
//! - [`rows`]: a large table of an app, at once.
//! - [`service`]: Fanfare as a child process: its folder, its life, what it costs.
//! - [`stage`]: all of that together, standing; broadcasts on it, watched and judged; kills.
//! - [`chaos`]: several nodes and their servers, faults on a schedule, and whether anything was lost.
//! - [`compare`]: Fanfare's engine beside other senders.
//! - [`progress`], [`figures`]: how far a run is, and what came out, for people.
//! - [`commands`]: what the binary does, one file per command.
pub mod chaos;
pub mod client;
pub mod clock;
pub mod commands;
pub mod compare;
pub mod devices;
pub mod figures;
pub mod gateways;
pub mod http2;
pub mod oracle;
pub mod progress;
pub mod rows;
pub mod servers;
pub mod service;
pub mod stage;
