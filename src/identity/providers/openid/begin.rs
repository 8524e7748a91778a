//! Where a browser goes to sign in: the provider's authorization endpoint, with what makes its answer ours.

use super::OpenId;
use crate::identity::flow::Kept;
use crate::identity::pkce::{challenge_of, random_word};
use crate::identity::providers::error::ProviderError;
use crate::identity::providers::web::with_query;
use crate::identity::providers::{Asked, Params, Started};

/// Parameters that a caller may hand through to the provider: they say how it asks, not who is asked or what for.
const PASSED: [&str; 10] = [
    "access_type",
    "acr_values",
    "display",
    "domain_hint",
    "hd",
    "include_granted_scopes",
    "login_hint",
    "max_age",
    "prompt",
    "ui_locales",
];
/// The longest parameter that is handed through, in bytes.
const LONGEST_PASSED: usize = 256;

impl OpenId {
    /// Where the browser goes.
    pub(in crate::identity::providers) async fn begin(&self, asked: &Asked<'_>) -> Result<Started, ProviderError> {
        let metadata = self.metadata().await?;
        let word = || random_word().ok_or(ProviderError::Away("there is no randomness here"));
        let (state, nonce, verifier) = (word()?, word()?, word()?);
        let challenge = challenge_of(&verifier);
        let scope = self.scope(asked.params);
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", asked.redirect_uri),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if !scope.is_empty() {
            pairs.push(("scope", &scope));
        }
        if self.posts_back() {
            pairs.push(("response_mode", "form_post"));
        }
        let passed = PASSED.iter().filter_map(|name| {
            let value = asked.params.get(name)?;
            (!value.is_empty() && value.len() <= LONGEST_PASSED).then_some((*name, value))
        });
        pairs.extend(passed);
        let location = with_query(&metadata.value.authorization_endpoint, &pairs);
        Ok(Started { location, state, kept: Kept { nonce, verifier } })
    }

    /// Our scopes, and those that the caller asks the user for besides.
    fn scope(&self, params: &Params) -> String {
        let asked = params.get("scope").filter(|scope| scope.len() <= LONGEST_PASSED).unwrap_or_default();
        let mut words: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        for word in asked.split_ascii_whitespace() {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join(" ")
    }
}
