//! What a hub must say for its apps to be reached through ADM.

use std::fmt;

use crate::gateway::endpoint::Endpoint;
use crate::model::field::FieldError;

/// Where messages go unless a hub says otherwise (`push-services.md` 5.1).
pub const ENDPOINT: &str = "https://api.amazon.com";
/// Where tokens come from unless a hub says otherwise.
pub const TOKEN_ENDPOINT: &str = "https://api.amazon.com/auth/O2/token";

/// One hub's account with ADM, checked.
#[derive(Clone)]
pub struct AdmSettings {
    pub(super) endpoint: Endpoint,
    pub(super) client_id: Box<str>,
    pub(super) client_secret: Box<str>,
    pub(super) token_endpoint: http::Uri,
}

impl AdmSettings {
    /// Checks an app's security profile. The error's field is `client_id`, `client_secret`, `endpoint` or
    /// `token_endpoint`.
    pub fn new(client_id: &str, client_secret: &str, endpoint: &str, token_endpoint: &str) -> Result<Self, FieldError> {
        let is_word = |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !is_word(client_id) {
            return Err(FieldError::new("client_id", "must be 1 to 255 visible ASCII characters"));
        }
        if client_secret.is_empty() {
            return Err(FieldError::new("client_secret", "must not be empty"));
        }
        Ok(Self {
            endpoint: Endpoint::parse(endpoint)?,
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            token_endpoint: url(token_endpoint)?,
        })
    }
}

fn url(text: &str) -> Result<http::Uri, FieldError> {
    let rule = || FieldError::new("token_endpoint", "must be an https:// URL of one host, without user and query");
    let uri: http::Uri = text.parse().map_err(|_| rule())?;
    let authority = uri.authority().ok_or_else(rule)?;
    Endpoint::parse(&format!("https://{authority}")).map_err(|_| rule())?;
    let plain = uri.scheme_str() == Some("https") && uri.query().is_none() && !text.contains('#');
    if plain { Ok(uri) } else { Err(rule()) }
}

impl fmt::Debug for AdmSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmSettings")
            .field("endpoint", &self.endpoint)
            .field("client_id", &self.client_id)
            .field("client_secret", &"***")
            .field("token_endpoint", &self.token_endpoint)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_their_field_and_the_secret_is_not_shown() {
        let field = |id: &str, secret: &str, endpoint: &str, token: &str| {
            AdmSettings::new(id, secret, endpoint, token).unwrap_err().field
        };
        assert_eq!(field("", "s", ENDPOINT, TOKEN_ENDPOINT), "client_id");
        assert_eq!(field("a b", "s", ENDPOINT, TOKEN_ENDPOINT), "client_id");
        assert_eq!(field("a", "", ENDPOINT, TOKEN_ENDPOINT), "client_secret");
        assert_eq!(field("a", "s", "http://h", TOKEN_ENDPOINT), "endpoint");
        for bad in ["http://h/t", "https://u@h/t", "https://h/t?x=1", ""] {
            assert_eq!(field("a", "s", ENDPOINT, bad), "token_endpoint", "{bad}");
        }
        let good = AdmSettings::new("app", "hush", ENDPOINT, TOKEN_ENDPOINT).unwrap();
        assert!(!format!("{good:?}").contains("hush"));
    }
}
