//! FCM as a transport sees it: one path, a target in each body, and the bearer token that all connections share.

use std::sync::Arc;
use std::time::Duration;

use super::request;
use super::token::{Renewal, Tokens};
use super::verdict;
use crate::clock::SharedClock;
use crate::gateway::SharedRequest;
use crate::gateway::transport::{Addressed, ConnectionFate, Held, Judgement, RawAnswer, Resend, Service};
use crate::model::id::Seq;
use crate::model::verdict::Verdict;

/// How long a connection waits whose token was refused: a new one is on its way.
const REST: Duration = Duration::from_secs(1);

/// One hub's side of the conversation.
#[derive(Debug)]
pub(super) struct FcmService {
    pub(super) path: Box<str>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) clock: SharedClock,
}

impl Service for FcmService {
    fn id_field(&self) -> Option<&'static str> {
        None
    }

    fn never_indexed(&self, _: &str) -> bool {
        false
    }

    fn address(&self, request: &SharedRequest, _: Seq, channel: &[u8], out: &mut Addressed) {
        out.path.extend_from_slice(self.path.as_bytes());
        out.body = request::splice(&request.body, channel);
    }

    fn authorize(&self, held: &mut Held) {
        let Some(current) = self.tokens.current() else { return };
        if current.number != held.number() {
            *held = Held { authorization: Some(current), since: self.clock.boot() };
        }
    }

    fn judge(&self, answer: &RawAnswer<'_>, held: &mut Held) -> Judgement {
        let (verdict, reason) = verdict::judge(answer.status, answer.retry_after, answer.body, self.clock.now());
        let unauthenticated = answer.status == 401 && verdict == Verdict::Credentials;
        let plain = Judgement::plain(verdict, reason);
        if !unauthenticated {
            self.tokens.proven(answer.authorization);
            return plain;
        }
        match self.tokens.refused(answer.authorization) {
            Renewal::Renewed(authorization) => {
                *held = Held { authorization: Some(authorization), since: self.clock.boot() };
                Judgement { resend: Resend::Renewed, ..plain }
            }
            // Surely not processed: the target waits without cost, and its next batch brings a new token.
            Renewal::Awaited => {
                Judgement { verdict: Verdict::ConnSafe, connection: ConnectionFate::Rest(REST), ..plain }
            }
            Renewal::Hopeless => plain,
        }
    }
}
