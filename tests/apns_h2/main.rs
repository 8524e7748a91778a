//! The suite of `tests/apns` on the `h2` crate's client: two clients behind one seam, one suite.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail as the test does")]

#[path = "../apns/answers.rs"]
mod answers;
#[path = "../apns/bench.rs"]
mod bench;
#[path = "../apns/connections.rs"]
mod connections;
#[path = "../apns/credentials.rs"]
mod credentials;
#[path = "../apns/flow.rs"]
mod flow;
#[path = "../apns/handing_back.rs"]
mod handing_back;
#[path = "../apns/requests.rs"]
mod requests;
#[path = "../seam/mod.rs"]
mod seam;

use fanfare::gateway::connect::Client;

/// What the suite sends with.
const CLIENT: Client = Client::H2;
