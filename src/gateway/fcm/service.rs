//! FCM as a transport sees it: one path, a target in each body, and the bearer token that all connections share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::request;
use super::token::{Renewal, Tokens};
use super::verdict;
use crate::clock::SharedClock;
use crate::gateway::SharedRequest;
use crate::gateway::transport::{Addressed, ConnectionFate, Held, Judgement, RawAnswer, Resend, Service};
use crate::model::id::Seq;
use crate::model::verdict::{Reason, Verdict};

/// How long a connection waits whose token was refused: a new one is on its way.
const REST: Duration = Duration::from_secs(1);

/// One hub's side of the conversation.
#[derive(Debug)]
pub(super) struct FcmService {
    pub(super) path: Box<str>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) clock: SharedClock,
    pub(super) strange: Strange,
}

/// Words of the service that stand in no row of the table. Each is told to the operator once (`push-services.md` 0.4),
/// as long as they are not too many to be words.
#[derive(Debug, Default)]
pub(super) struct Strange(Mutex<BTreeSet<Reason>>);

impl Strange {
    const MOST: usize = 64;

    /// Whether it is new.
    fn note(&self, word: &Reason) -> bool {
        let mut told = self.0.lock();
        told.len() < Self::MOST && told.insert(word.clone())
    }
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
        if let Some(word) = reason.as_ref().filter(|word| !verdict::is_known(word.as_str()))
            && self.strange.note(word)
        {
            tracing::error!(status = answer.status, %word, ?verdict, "FCM answered with a word that nobody knows");
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_word_is_told_once_and_their_number_is_bounded() {
        let strange = Strange::default();
        assert!(strange.note(&Reason::known("A_NEW_WORD")));
        assert!(!strange.note(&Reason::known("A_NEW_WORD")));
        let told = (0..1_000).filter(|n| strange.note(&Reason::foreign(&n.to_string()))).count();
        assert_eq!(told, Strange::MOST - 1);
    }
}
