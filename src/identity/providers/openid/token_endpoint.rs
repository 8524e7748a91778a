//! The token endpoint: how this app shows itself there, and what is read from its answers (RFC 6749 section 5).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::OpenId;
use super::metadata::Metadata;
use crate::gateway::requests::client::Answer;
use crate::identity::providers::error::ProviderError;
use crate::identity::providers::identity::Tokens;
use crate::identity::providers::web::json;
use crate::identity::secret::Secret;
use crate::model::percent::encoded;
use crate::model::time::Timestamp;

/// What an answer means that refuses us and not the user.
pub(super) const UNKNOWN: &str = "it does not take this app's client_id and client_secret";

/// An answer of the token endpoint.
#[derive(Deserialize)]
pub(super) struct Granted {
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    pub(super) id_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    /// A number, or one as text.
    #[serde(default)]
    expires_in: Json,
}

impl Granted {
    /// What came takes the place of what was there.
    pub(super) fn add_to(self, tokens: &mut Tokens, now: Timestamp) {
        let expires_on = end_of(&self.expires_in, now);
        tokens.expires_on = expires_on.or(tokens.expires_on);
        let keep = |new: Option<String>, old: &mut Option<String>| {
            if new.is_some() {
                *old = new;
            }
        };
        keep(self.access_token, &mut tokens.access_token);
        keep(self.id_token, &mut tokens.id_token);
        keep(self.refresh_token, &mut tokens.refresh_token);
    }
}

impl OpenId {
    pub(super) async fn ask_for_tokens(
        &self,
        metadata: &Metadata,
        form: &[(&str, &str)],
    ) -> Result<Answer, ProviderError> {
        let secret = self.secret.text(&self.client_id, self.clock.now())?;
        let mut form = form.to_vec();
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        // What holds where a provider says nothing is the header (Discovery section 3).
        let in_form = methods.is_some_and(|methods| methods.iter().any(|method| method == "client_secret_post"));
        let authorization = secret.as_ref().filter(|_| !in_form).map(|secret| self.basic(secret));
        if authorization.is_none() {
            form.push(("client_id", &self.client_id));
            form.extend(secret.as_ref().map(|secret| ("client_secret", secret.expose())));
        }
        let authorization = authorization.as_ref().map(Secret::expose);
        self.web.post(&metadata.token_endpoint, &form, authorization).await
    }

    /// RFC 6749 section 2.3.1.
    fn basic(&self, secret: &Secret) -> Secret {
        use base64::Engine as _;
        let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret.expose()));
        Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
    }
}

/// The word with which a token endpoint refuses (RFC 6749 section 5.2), empty where it says none. One that has too much to do
/// refuses nothing.
pub(super) fn refusal(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let refuses = (400..500).contains(&answer.status) && answer.status != 429;
    let word = || serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.error).unwrap_or_default();
    refuses.then(word)
}

pub(super) fn granted(answer: &Answer) -> Result<Granted, ProviderError> {
    match answer.status {
        200 => json(answer),
        _ => Err(ProviderError::Away("its token endpoint fails")),
    }
}

/// When an access token ends that is good for so many seconds from `now` on: a number, or one as text.
pub(super) fn end_of(expires_in: &Json, now: Timestamp) -> Option<Timestamp> {
    let seconds = expires_in.as_u64().or_else(|| expires_in.as_str()?.trim().parse().ok())?;
    Some(now.plus(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_word() {
        let answer = |status, body: &str| Answer {
            status,
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        };
        for (status, body, word) in [
            (400, r#"{"error":"invalid_grant"}"#, Some("invalid_grant")),
            (401, "no JSON", Some("")),
            (429, r#"{"error":"slow_down"}"#, None),
            (200, r#"{"error":"invalid_grant"}"#, None),
            (503, r#"{"error":"invalid_grant"}"#, None),
        ] {
            assert_eq!(refusal(&answer(status, body)).as_deref(), word, "{status} {body}");
        }
    }
}
