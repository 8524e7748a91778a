//! The APNs gateway against the simulated service, over real TLS and HTTP/2: what `push-services.md` section 10 asks of
//! a gateway (its T numbers stand beside the tests), and what the seam promises a worker.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail as the test does")]

mod answers;
mod bench;
mod connections;
mod credentials;
mod flow;
mod handing_back;
mod requests;
#[path = "../seam/mod.rs"]
mod seam;

use fanfare::gateway::connect::Client;

/// What the suite sends with; `tests/apns_h2` is the same suite on the other one.
const CLIENT: Client = Client::Frames;
