//! Simulated push services. Each speaks the real protocol over real TLS on a loopback port, verifies every request as
//! the service would, answers by [`script`], and books what it received in [`receipts`].
//!
//! - [`authority`]: the root that senders trust, certificates for servers and clients.
//! - [`apns`]: Apple's service, with provider tokens and client certificates.
//! - [`fcm`]: Google's service, with the token endpoint of its service account.
//! - [`wns`]: the service of Windows, with its token endpoints.
//! - [`web_push`]: the services of browsers, with browsers that read what they get.
//! - [`adm`]: the service of Amazon's devices, with its token endpoint.
//! - [`baidu`]: Baidu's service, which checks each request's signature.
//! - [`xiaomi`]: Xiaomi's service, which takes many devices a request.
//! - [`openid`], [`social`]: providers by which people sign in; `provider` is what they have in common, `faults` what they
//!   do beside what they should.
//! - [`script`], [`answer`]: what happens beside verification.
//! - [`receipts`], [`token`], [`counters`]: what came.
//! - [`control`]: the same over plain HTTP, for scripts and other processes.
//! - [`lean`]: an APNs that only counts, for measuring what sends to it.
//! - [`fleet`]: all services and the control port together, with their credentials in files.
//! - `listener`, `session`: connections; shared by the services whose HTTP/2 is followed frame by frame.
//! - `served`: connections of the services that answer one request at a time.
//! - [`TlsListener`]: the door of what a test serves itself.
use std::sync::Arc;

pub mod adm;
pub mod answer;
pub mod apns;
pub mod authority;
pub mod baidu;
pub mod control;
pub mod counters;
mod faults;
pub mod fcm;
pub mod fleet;
pub mod lean;
mod listener;
pub mod openid;
mod provider;
pub mod receipts;
pub mod script;
mod served;
mod session;
pub mod social;
mod tls_listener;
pub mod token;
pub mod web_push;
pub mod wns;
pub mod xiaomi;

pub use adm::{AdmConfig, AdmSim};
pub use answer::Answer;
pub use apns::{ApnsConfig, ApnsSim, ProviderKey};
pub use authority::Authority;
pub use baidu::{BaiduConfig, BaiduSim};
pub use counters::Counts;
pub use faults::Fault;
pub use fcm::{FcmConfig, FcmSim};
pub use fleet::{Fleet, FleetConfig};
pub use lean::{LeanConfig, LeanSink};
pub use listener::ListenError;
pub use openid::{OpenIdConfig, OpenIdSim, Signing, Twist};
pub use receipts::{Receipt, Receipts};
pub use script::Script;
pub use social::{FacebookToken, SocialConfig, SocialSim};
pub use tls_listener::TlsListener;
pub use token::Token;
pub use web_push::{WebPushConfig, WebPushSim};
pub use wns::{WnsConfig, WnsSim};
pub use xiaomi::{XiaomiConfig, XiaomiSim};

use self::{script::ActiveScript, session::Shared};

/// What control, tests and runs ask of every simulated service.
pub trait Simulated: Send + Sync {
    /// What its connections share.
    fn shared(&self) -> &Shared;

    /// What was received.
    fn receipts(&self) -> &Receipts {
        &self.shared().receipts
    }

    fn counts(&self) -> Counts {
        self.shared().counters.counts()
    }

    /// The script at work.
    fn script(&self) -> Script {
        self.shared().script.borrow().script.clone()
    }

    /// Replaces the script, on open connections too: they count their requests anew.
    fn set_script(&self, script: Script) {
        self.shared().script.send_replace(Arc::new(ActiveScript::new(script)));
    }

    /// Forgets receipts and counts; script and connections stay.
    fn reset(&self) {
        self.shared().receipts.clear();
        self.shared().counters.reset();
    }
}
