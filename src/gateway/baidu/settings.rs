//! What a hub must say for its apps to be reached through Baidu.

use std::fmt;

use crate::gateway::endpoint::Endpoint;
use crate::model::field::FieldError;

/// Where messages go unless a hub says otherwise (`push-services.md` 5.2).
pub const ENDPOINT: &str = "https://api.tuisong.baidu.com";

/// One hub's account with Baidu, checked.
#[derive(Clone)]
pub struct BaiduSettings {
    pub(super) endpoint: Endpoint,
    pub(super) api_key: Box<str>,
    pub(super) secret_key: Box<str>,
}

impl BaiduSettings {
    /// Checks an app's keys. The error's field is `api_key`, `secret_key` or `endpoint`.
    pub fn new(api_key: &str, secret_key: &str, endpoint: &str) -> Result<Self, FieldError> {
        let is_word = |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !is_word(api_key) {
            return Err(FieldError::new("api_key", "must be 1 to 255 visible ASCII characters"));
        }
        if secret_key.is_empty() {
            return Err(FieldError::new("secret_key", "must not be empty"));
        }
        Ok(Self { endpoint: Endpoint::parse(endpoint)?, api_key: api_key.into(), secret_key: secret_key.into() })
    }
}

impl fmt::Debug for BaiduSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaiduSettings")
            .field("endpoint", &self.endpoint)
            .field("api_key", &self.api_key)
            .field("secret_key", &"***")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_their_field_and_the_secret_is_not_shown() {
        let field =
            |key: &str, secret: &str, endpoint: &str| BaiduSettings::new(key, secret, endpoint).unwrap_err().field;
        assert_eq!(field("", "s", ENDPOINT), "api_key");
        assert_eq!(field("a b", "s", ENDPOINT), "api_key");
        assert_eq!(field("a", "", ENDPOINT), "secret_key");
        for bad in ["http://h", "https://h/rest", ""] {
            assert_eq!(field("a", "s", bad), "endpoint", "{bad}");
        }
        let good = BaiduSettings::new("app", "hush", ENDPOINT).unwrap();
        assert!(!format!("{good:?}").contains("hush"));
    }
}
