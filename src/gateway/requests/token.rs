//! Access tokens of an account by client credentials (`push-services.md` 3.2, 5.1): one at a time, fetched by one request
//! however many wait for it, renewed before it dies.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::client::{Answer, Client, Failure};
use crate::clock::{BootInstant, SharedClock};
use crate::gateway::retry_after::http_date;
use crate::model::verdict::Reason;

/// The longest that is believed.
const LONGEST_LIFE: Duration = Duration::from_hours(48);
/// For so long before its end a token is no longer sent: time for a request to arrive.
const MARGIN: Duration = Duration::from_mins(1);
/// For so long after a failure nobody asks again: all who waited for that request get its answer.
const REST: Duration = Duration::from_secs(1);

/// A token and how long it is good.
pub(in crate::gateway) struct AccessToken {
    /// `Bearer …`.
    pub(in crate::gateway) authorization: HeaderValue,
    number: u64,
    /// From here on a new one is fetched while this one still serves.
    ages: BootInstant,
    dies: BootInstant,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken(#{} ***)", self.number)
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Fault {
    /// The endpoint does not know us, or not with that secret.
    Refused(Reason),
    /// No usable answer.
    Unreachable(Reason),
}

/// Who asks, and where.
pub(in crate::gateway) struct Account<'a> {
    /// As a log names it.
    pub(in crate::gateway) service: &'static str,
    pub(in crate::gateway) endpoint: &'a http::Uri,
    pub(in crate::gateway) client_id: &'a str,
    pub(in crate::gateway) client_secret: &'a str,
    pub(in crate::gateway) scope: &'static str,
    /// A token's life where the answer does not tell it: the one that is documented.
    pub(in crate::gateway) usual_life: Duration,
}

/// The tokens of one account.
#[derive(Debug)]
pub(in crate::gateway) struct Tokens {
    service: &'static str,
    endpoint: http::Uri,
    form: Form,
    usual_life: Duration,
    client: Client,
    clock: SharedClock,
    current: ArcSwapOption<AccessToken>,
    /// Held by whoever asks the endpoint.
    flight: Mutex<Flight>,
    clock_ahead: parking_lot::Mutex<Option<i64>>,
}

/// The request's body; holds the secret.
struct Form(Bytes);

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, Default)]
struct Flight {
    fetched: u64,
    failed: Option<(BootInstant, Fault)>,
}

impl Flight {
    fn resting(&self, now: BootInstant) -> Option<Fault> {
        self.failed.as_ref().filter(|(until, _)| *until > now).map(|(_, fault)| fault.clone())
    }
}

impl Tokens {
    pub(in crate::gateway) fn new(account: &Account<'_>, client: Client, clock: SharedClock) -> Self {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", account.client_id)
            .append_pair("client_secret", account.client_secret)
            .append_pair("scope", account.scope)
            .finish();
        Self {
            service: account.service,
            endpoint: account.endpoint.clone(),
            form: Form(form.into()),
            usual_life: account.usual_life,
            client,
            clock,
            current: ArcSwapOption::empty(),
            flight: Mutex::default(),
            clock_ahead: parking_lot::Mutex::default(),
        }
    }

    /// How far the token endpoint's clock is ahead of ours, in milliseconds, by its last answer that had a `Date`.
    pub(in crate::gateway) fn clock_ahead(&self) -> Option<i64> {
        *self.clock_ahead.lock()
    }

    /// The token to send now.
    pub(in crate::gateway) async fn good(&self) -> Result<Arc<AccessToken>, Fault> {
        let now = self.clock.boot();
        match self.current.load_full() {
            Some(token) if now < token.ages => Ok(token),
            Some(token) if now < token.dies => {
                // Whoever finds nobody at it renews; the others go on with what they have.
                let Ok(mut flight) = self.flight.try_lock() else { return Ok(token) };
                match flight.resting(now) {
                    Some(_) => Ok(token),
                    None => Ok(self.fetch(&mut flight).await.unwrap_or(token)),
                }
            }
            _ => {
                let mut flight = self.flight.lock().await;
                let now = self.clock.boot();
                match self.current.load_full().filter(|token| now < token.dies) {
                    Some(token) => Ok(token),
                    None => self.fetch_unless_resting(&mut flight).await,
                }
            }
        }
    }

    /// The service refused that token: the one that took its place meanwhile, else a new one.
    pub(in crate::gateway) async fn instead_of(&self, refused: &AccessToken) -> Result<Arc<AccessToken>, Fault> {
        let mut flight = self.flight.lock().await;
        match self.current.load_full().filter(|token| token.number != refused.number) {
            Some(token) => Ok(token),
            None => self.fetch_unless_resting(&mut flight).await,
        }
    }

    /// A new token in any case: whether the endpoint still takes the credentials.
    pub(in crate::gateway) async fn renew(&self) -> Result<Arc<AccessToken>, Fault> {
        let mut flight = self.flight.lock().await;
        self.fetch(&mut flight).await
    }

    async fn fetch_unless_resting(&self, flight: &mut Flight) -> Result<Arc<AccessToken>, Fault> {
        match flight.resting(self.clock.boot()) {
            Some(fault) => Err(fault),
            None => self.fetch(flight).await,
        }
    }

    async fn fetch(&self, flight: &mut Flight) -> Result<Arc<AccessToken>, Fault> {
        let asked = self.clock.boot();
        match self.ask().await {
            Ok((authorization, life)) => {
                flight.fetched += 1;
                flight.failed = None;
                let life = life.min(LONGEST_LIFE);
                let dies = asked.plus(life.saturating_sub(MARGIN.min(life / 10)));
                // A tenth early, for a day's token more than two hours: an endpoint that fails for that long harms nobody.
                let ages = asked.plus(life - life / 10).min(dies);
                let token = Arc::new(AccessToken { authorization, number: flight.fetched, ages, dies });
                self.current.store(Some(Arc::clone(&token)));
                Ok(token)
            }
            Err(fault) => {
                let (Fault::Refused(reason) | Fault::Unreachable(reason)) = &fault;
                tracing::warn!(service = self.service, %reason, "no access token was given");
                flight.failed = Some((self.clock.boot().plus(REST), fault.clone()));
                Err(fault)
            }
        }
    }

    async fn ask(&self) -> Result<(HeaderValue, Duration), Fault> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.endpoint.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(self.form.0.clone()))
            .map_err(|_| Fault::Unreachable(Reason::known("token endpoint cannot be asked")))?;
        match self.client.send(request).await {
            Ok(answer) => {
                let date = answer.headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(http_date);
                if let Some(date) = date {
                    *self.clock_ahead.lock() = Some(date.millis() - self.clock.now().millis());
                }
                read(&answer, self.usual_life)
            }
            Err(Failure::Unconnected(_) | Failure::Barred) => {
                Err(Fault::Unreachable(Reason::known("token endpoint not reached")))
            }
            Err(Failure::Ambiguous(_) | Failure::Unprocessed(_)) => {
                Err(Fault::Unreachable(Reason::known("token endpoint gave no answer")))
            }
        }
    }
}

/// Adds the token's value to a request's fields.
pub(in crate::gateway) fn authorize(request: http::request::Builder, token: &AccessToken) -> http::request::Builder {
    request.header(AUTHORIZATION, token.authorization.clone())
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// A number, or a number as text; the older flow may leave it out.
    #[serde(default)]
    expires_in: Value,
}

/// The `Authorization` value and the token's life.
fn read(answer: &Answer, usual_life: Duration) -> Result<(HeaderValue, Duration), Fault> {
    let status = answer.status;
    if status != 200 {
        let refused = (400..500).contains(&status) && !matches!(status, 404 | 408 | 429);
        let word = serde_json::from_slice::<Value>(&answer.body).ok();
        let word = word.as_ref().and_then(|body| body.get("error")).and_then(Value::as_str);
        let reason = match word {
            Some(word) => Reason::foreign(word),
            None => Reason::foreign(&format!("token endpoint answered {status}")),
        };
        return Err(if refused { Fault::Refused(reason) } else { Fault::Unreachable(reason) });
    }
    let unusable = || Fault::Unreachable(Reason::known("token endpoint gave no token"));
    let granted: Granted = serde_json::from_slice(&answer.body).map_err(|_| unusable())?;
    let mut authorization =
        HeaderValue::from_str(&format!("Bearer {}", granted.access_token)).map_err(|_| unusable())?;
    authorization.set_sensitive(true);
    let seconds = match &granted.expires_in {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    };
    let life = seconds.filter(|seconds| *seconds > 0).map_or(usual_life, Duration::from_secs);
    Ok((authorization, life))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL_LIFE: Duration = Duration::from_hours(24);

    fn of(status: u16, body: &str) -> Result<Duration, Fault> {
        let answer = Answer { status, headers: http::HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) };
        read(&answer, USUAL_LIFE).map(|(_, life)| life)
    }

    #[test]
    fn a_life_is_a_number_or_text_or_absent() {
        assert_eq!(of(200, r#"{"access_token":"t","expires_in":3600}"#), Ok(Duration::from_hours(1)));
        assert_eq!(of(200, r#"{"access_token":"t","expires_in":"86399"}"#), Ok(Duration::from_secs(86_399)));
        assert_eq!(of(200, r#"{"access_token":"t"}"#), Ok(USUAL_LIFE));
        assert_eq!(of(200, r#"{"access_token":"t","expires_in":"soon"}"#), Ok(USUAL_LIFE));
    }

    #[test]
    fn a_refusal_is_told_from_a_fault() {
        let refused = |word| Err(Fault::Refused(Reason::foreign(word)));
        assert_eq!(of(400, r#"{"error":"invalid_client"}"#), refused("invalid_client"));
        assert_eq!(of(401, r#"{"error":"unauthorized_client"}"#), refused("unauthorized_client"));
        assert_eq!(of(400, "no JSON"), refused("token endpoint answered 400"));
        for (status, body) in [(503, "{}"), (429, "{}"), (302, ""), (200, "{}"), (200, r#"{"access_token":"a\nb"}"#)] {
            assert!(matches!(of(status, body), Err(Fault::Unreachable(_))), "{status} {body}");
        }
    }
}
