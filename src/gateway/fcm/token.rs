//! Access tokens (`push-services.md` 2.1): a signed assertion goes to the service account's `token_uri`, a bearer token
//! comes back.
//!
//! A new token is asked for 5 minutes before the old one ends, by one caller at a time while the others go on with the
//! old one. Without a usable token everyone waits for that one caller. After a failure nobody asks for a while, longer
//! each time. The exchange travels on a transport of its own, over HTTP/2, which Google's token endpoint offers.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;

use super::settings::ServiceAccount;
use crate::clock::{BootInstant, SharedClock};
use crate::gateway::SharedRequest;
use crate::gateway::transport::{
    Addressed, Authorization, Held, Judgement, OwnedAnswer, RawAnswer, Service, Transport,
};
use crate::model::broadcast::Lane;
use crate::model::id::{BroadcastId, Seq};
use crate::model::verdict::{Reason, Verdict};

/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_mins(5);
/// `iat` lies this far back, because an assertion from the future is refused and clocks differ.
const BACKDATED_SECONDS: i64 = 5;
/// Pauses after a failure.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_mins(1);

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The endpoint answered, and refuses the account.
    Refused(Reason),
    /// No connection, no answer, or a passing fault.
    Unreachable(String),
}

/// Keeps one account's token fresh.
#[derive(Debug)]
pub(super) struct Tokens {
    account: Arc<ServiceAccount>,
    transport: Box<dyn Transport>,
    clock: SharedClock,
    state: Mutex<State>,
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// Tokens are numbered from 1.
    last_number: u64,
    trouble: Option<(Trouble, BootInstant)>,
    pause: Duration,
}

#[derive(Debug)]
struct Token {
    authorization: Authorization,
    ends: BootInstant,
    /// The service refused it.
    refused: bool,
    /// It replaced a refused one, and no answer has shown yet that it is good.
    on_trial: bool,
}

/// What follows from `401 UNAUTHENTICATED`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Send it again with this newer one.
    Renewed(Authorization),
    /// The token is given up; a new one is fetched before the next batch.
    Awaited,
    /// A token that was fetched because the one before was refused is refused too.
    Hopeless,
}

impl Tokens {
    pub(super) fn new(account: Arc<ServiceAccount>, transport: Box<dyn Transport>, clock: SharedClock) -> Self {
        Self { account, transport, clock, state: Mutex::default(), flight: tokio::sync::Mutex::default() }
    }

    /// The token to send, if there is one.
    pub(super) fn current(&self) -> Option<Authorization> {
        let now = self.clock.boot();
        self.state.lock().usable(now).map(|token| token.authorization.clone())
    }

    /// Waits until there is a usable token.
    pub(super) async fn ready(&self) -> Result<(), Trouble> {
        let _flight = match self.standing() {
            Standing::Fresh => return Ok(()),
            Standing::Old => match self.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(()),
            },
            Standing::Missing => self.flight.lock().await,
        };
        // Whoever flew before may have brought it, or failed a moment ago.
        let standing = self.standing();
        if standing == Standing::Fresh {
            return Ok(());
        }
        let result = match self.recent_trouble() {
            Some(trouble) => Err(trouble),
            None => self.fetch().await,
        };
        if standing == Standing::Old { Ok(()) } else { result }
    }

    /// The service refused the token of this number.
    pub(super) fn refused(&self, number: u64) -> Renewal {
        let mut state = self.state.lock();
        match &mut state.token {
            Some(token) if token.authorization.number != number && !token.refused => {
                Renewal::Renewed(token.authorization.clone())
            }
            Some(token) if token.authorization.number == number => {
                token.refused = true;
                if token.on_trial { Renewal::Hopeless } else { Renewal::Awaited }
            }
            _ => Renewal::Awaited,
        }
    }

    /// The service took the token of this number.
    pub(super) fn proven(&self, number: u64) {
        if let Some(token) = &mut self.state.lock().token
            && token.authorization.number == number
        {
            token.on_trial = false;
        }
    }

    /// [`Transport::clock_ahead`] of the token endpoint.
    pub(super) fn clock_ahead(&self) -> Option<i64> {
        self.transport.clock_ahead()
    }

    pub(super) async fn close(&self, within: Duration) {
        self.transport.close(within).await;
    }

    fn standing(&self) -> Standing {
        let now = self.clock.boot();
        match self.state.lock().usable(now) {
            None => Standing::Missing,
            Some(token) if token.ends > now.plus(EARLY) => Standing::Fresh,
            Some(_) => Standing::Old,
        }
    }

    fn recent_trouble(&self) -> Option<Trouble> {
        let now = self.clock.boot();
        self.state.lock().trouble.as_ref().filter(|(_, until)| *until > now).map(|(trouble, _)| trouble.clone())
    }

    async fn fetch(&self) -> Result<(), Trouble> {
        let result = match self.account.assertion(self.clock.now().millis().div_euclid(1_000) - BACKDATED_SECONDS) {
            Some(assertion) => match self.transport.exchange(Arc::new(request(&assertion)), Vec::new()).await {
                Ok(answer) => read(&answer),
                Err(failure) => Err(Trouble::Unreachable(failure)),
            },
            None => Err(Trouble::Refused(Reason::known("assertion cannot be signed"))),
        };
        let now = self.clock.boot();
        let mut state = self.state.lock();
        match result {
            Ok((value, life)) => {
                state.last_number += 1;
                let authorization = Authorization { value, number: state.last_number };
                let on_trial = state.token.as_ref().is_some_and(|token| token.refused);
                state.token = Some(Token { authorization, ends: now.plus(life), refused: false, on_trial });
                state.trouble = None;
                state.pause = Duration::ZERO;
                Ok(())
            }
            Err(trouble) => {
                state.pause = (state.pause * 2).clamp(LEAST_PAUSE, MOST_PAUSE);
                let until = now.plus(state.pause);
                state.trouble = Some((trouble.clone(), until));
                Err(trouble)
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Fresh,
    /// Usable, and soon to end.
    Old,
    Missing,
}

impl State {
    fn usable(&self, now: BootInstant) -> Option<&Token> {
        self.token.as_ref().filter(|token| !token.refused && token.ends > now)
    }
}

fn request(assertion: &str) -> SharedRequest {
    // The assertion's alphabet needs no escapes in a form.
    let body = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
    SharedRequest {
        headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
        body: Bytes::from(body),
        broadcast: BroadcastId::new(0),
        lane: Lane::Transactional,
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u32,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

fn read(answer: &OwnedAnswer) -> Result<(Bytes, Duration), Trouble> {
    match answer.status {
        200 => match serde_json::from_slice::<Granted>(&answer.body) {
            Ok(granted) if !granted.access_token.is_empty() => {
                let life = Duration::from_secs(u64::from(granted.expires_in));
                Ok((Bytes::from(format!("Bearer {}", granted.access_token)), life))
            }
            _ => Err(Trouble::Unreachable("the token endpoint's answer holds no token".to_owned())),
        },
        status if status == 429 || status >= 500 => {
            Err(Trouble::Unreachable(format!("the token endpoint answered {status}")))
        }
        status => {
            let word = serde_json::from_slice::<Denied>(&answer.body).map(|denied| denied.error);
            Err(Trouble::Refused(Reason::foreign(&word.unwrap_or_else(|_| format!("token endpoint: status {status}")))))
        }
    }
}

/// The token endpoint as a transport sees it.
#[derive(Debug)]
pub(super) struct TokenService {
    pub(super) account: Arc<ServiceAccount>,
}

impl Service for TokenService {
    fn id_field(&self) -> Option<&'static str> {
        None
    }

    fn never_indexed(&self, _: &str) -> bool {
        false
    }

    fn address(&self, _: &SharedRequest, _: Seq, _: &[u8], out: &mut Addressed) {
        out.path.extend_from_slice(self.account.token_path.as_bytes());
    }

    fn authorize(&self, _: &mut Held) {}

    /// Only single exchanges go there, and their answers are read by [`read`].
    fn judge(&self, answer: &RawAnswer<'_>, _: &mut Held) -> Judgement {
        let mut word = String::new();
        let _ = write!(word, "status {}", answer.status);
        Judgement::plain(Verdict::Retry { after: None }, Some(Reason::foreign(&word)))
    }
}

#[cfg(test)]
mod tests;
