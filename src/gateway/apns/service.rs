//! APNs as a transport sees it: paths and ids, the token that a connection sends, and what answers do to connections.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use super::request::{COLLAPSE_ID, EXPIRATION, ID};
use super::token::{CHANGE_INTERVAL, Mint, Renewal};
use super::verdict::{self, ErrorBody};
use crate::clock::SharedClock;
use crate::gateway::SharedRequest;
use crate::gateway::transport::{
    Addressed, Authorization, ConnectionFate, Held, Judgement, RawAnswer, Resend, Service,
};
use crate::model::id::Seq;
use crate::model::verdict::{ThrottleScope, Verdict};

/// How long a connection rests that was told it changes tokens too often.
const REST: Duration = Duration::from_secs(1);
/// Bytes of a token that are written at once; most tokens have as many.
const PIECE: usize = 32;
/// How many unknown words are remembered as reported; beyond that they are only counted as verdicts.
const REPORTED_WORDS: usize = 64;

/// One hub's side of the conversation.
#[derive(Debug)]
pub(super) struct ApnsService {
    /// None: a client certificate speaks for us.
    mint: Option<Arc<Mint>>,
    clock: SharedClock,
    /// Unknown words that were logged: once each (0.4).
    reported: Mutex<HashSet<String>>,
}

impl ApnsService {
    pub(super) fn new(mint: Option<Arc<Mint>>, clock: SharedClock) -> Self {
        Self { mint, clock, reported: Mutex::default() }
    }

    fn take(&self, held: &mut Held, authorization: Option<Authorization>) {
        if authorization.is_some() {
            *held = Held { authorization, since: self.clock.boot() };
        }
    }

    /// `403 ExpiredProviderToken`: one more try when a newer token can be had; else a clock is wrong, which is the hub's
    /// trouble and not the target's.
    fn expired(&self, mint: &Mint, answer: &RawAnswer<'_>, held: &mut Held, plain: Judgement) -> Judgement {
        match mint.expired(answer.authorization) {
            Renewal::Renewed(authorization) => {
                if held.number() != authorization.number {
                    self.take(held, Some(authorization));
                }
                Judgement { resend: Resend::Renewed, ..plain }
            }
            Renewal::ClockFault => plain,
        }
    }

    fn report_unknown(&self, answer: &RawAnswer<'_>) {
        let Some(word) = ErrorBody::read(answer.body).reason else { return };
        if answer.status < 300 || verdict::is_known(answer.status, &word) {
            return;
        }
        let mut reported = self.reported.lock();
        if reported.len() < REPORTED_WORDS && !reported.contains(word.as_ref()) {
            let word: String = word.chars().filter(|c| !c.is_control()).take(120).collect();
            tracing::warn!(status = answer.status, reason = %word, "APNs answered with an unknown reason");
            reported.insert(word);
        }
    }
}

impl Service for ApnsService {
    fn id_field(&self) -> Option<&'static str> {
        Some(ID)
    }

    /// 1.3: values that change with each message would push the constant ones out of the service's small table.
    fn never_indexed(&self, field: &str) -> bool {
        matches!(field, ID | COLLAPSE_ID | EXPIRATION)
    }

    fn address(&self, request: &SharedRequest, seq: Seq, channel: &[u8], out: &mut Addressed) {
        out.path.extend_from_slice(b"/3/device/");
        for bytes in channel.chunks(PIECE) {
            let mut digits = [0; 2 * PIECE];
            let digits = &mut digits[..2 * bytes.len()];
            // The lengths fit, so this cannot fail.
            let _ = hex::encode_to_slice(bytes, digits);
            out.path.extend_from_slice(digits);
        }
        let mut text = Uuid::encode_buffer();
        let id = request.broadcast.message_id(seq).hyphenated().encode_lower(&mut text);
        out.id.extend_from_slice(id.as_bytes());
    }

    fn authorize(&self, held: &mut Held) {
        let Some(mint) = &self.mint else { return };
        let Some(number) = held.authorization.as_ref().map(|held| held.number) else {
            return self.take(held, mint.for_opening());
        };
        let Some(current) = mint.current() else { return };
        let rested = self.clock.boot().after(held.since) >= CHANGE_INTERVAL;
        if current.number != number && (rested || mint.is_dead(number)) {
            self.take(held, Some(current));
        }
    }

    fn judge(&self, answer: &RawAnswer<'_>, held: &mut Held) -> Judgement {
        let (verdict, reason) = verdict::judge(answer.status, answer.body);
        if verdict == Verdict::Delivered {
            return Judgement::plain(verdict, reason);
        }
        self.report_unknown(answer);
        let word = reason.as_ref().map(|reason| reason.as_str().to_owned()).unwrap_or_default();
        let plain = Judgement::plain(verdict, reason);
        match (&plain.verdict, &self.mint) {
            (Verdict::ConnSafe, _) => {
                Judgement { resend: Resend::Elsewhere, connection: ConnectionFate::Replace, ..plain }
            }
            (Verdict::Throttle { scope: ThrottleScope::Connection, .. }, mint) => {
                // The connection that tried a newer token goes back to the one before. Answers of a window come
                // together: only the first finds the newer token held.
                if let Some(mint) = mint
                    && held.number() == answer.authorization
                {
                    self.take(held, mint.too_many_updates());
                }
                Judgement { resend: Resend::Elsewhere, connection: ConnectionFate::Rest(REST), ..plain }
            }
            (Verdict::Credentials, Some(mint)) if word == verdict::EXPIRED_TOKEN => {
                self.expired(mint, answer, held, plain)
            }
            _ => plain,
        }
    }
}

/// A channel of random bytes in the form of a token, which no device has.
pub(super) fn nobody() -> Vec<u8> {
    (0..32).map(|_| fastrand::u8(..)).collect()
}

/// What a probe's answer was, for a person to read.
pub(super) fn describe(status: u16, reason: Option<&str>) -> String {
    let mut text = format!("APNs answered {status}");
    if let Some(reason) = reason {
        let _ = write!(text, " {reason}");
    }
    text
}

#[cfg(test)]
mod tests;
