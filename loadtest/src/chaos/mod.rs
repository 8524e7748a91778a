//! Chaos: several nodes on real servers, faults on a schedule that a seed draws, and whether anything was lost.
//!
//! ```text
//!  doors (drum) ──▶ API nodes ─┬─ link ─▶ PostgreSQL          every link can be cut, stalled, dripped,
//!                   workers ───┼─ link ─▶ Redis               every process killed or frozen,
//!                              └─ link ─▶ gateways ─▶ books   clocks turned, disks filled
//! ```
//!
//! What was acknowledged is owed, whatever breaks: after the last fault the oracle compares it with the gateways' books.
//!
//! - [`scenario`]: the scenarios. [`schedule`]: which fault when. [`fault`]: one fault, and what it may repeat.
//! - [`cast`]: the nodes by name. [`field`]: everything standing. [`ground`], [`messenger`], [`disk`]: servers.
//! - [`link`]: a proxy in a server's way.
//! - [`inflict`]: doing it. [`drum`]: work that goes on meanwhile. [`watch`]: what must hold at every moment.
//! - [`run`]: a scenario from beginning to end; [`frozen`]: the one with a plot of its own. [`letter`]: a broadcast and its
//!   judgement. [`verdict`], [`timeline`]: what is said.
pub mod cast;
pub mod disk;
pub mod drum;
pub mod fault;
pub mod field;
pub mod frozen;
pub mod ground;
pub mod inflict;
pub mod letter;
pub mod link;
pub mod messenger;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod timeline;
pub mod verdict;
pub mod watch;
