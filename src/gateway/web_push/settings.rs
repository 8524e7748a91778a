//! What a hub must say for browsers to be reached.

use super::vapid::VapidKey;
use crate::gateway::requests::Reach;
use crate::model::field::FieldError;

/// One hub's identity before push services, checked.
#[derive(Clone, Debug)]
pub struct WebPushSettings {
    pub(super) subject: Box<str>,
    pub(super) key: VapidKey,
    pub(super) reach: Reach,
}

impl WebPushSettings {
    /// `subject`: whom a push service may write to, `mailto:` or `https:` (RFC 8292 section 2.1). `key`: as
    /// [`VapidKey::read`] takes it. The error's field is `subject` or `vapid_private_key`.
    pub fn new(subject: &str, key: &str) -> Result<Self, FieldError> {
        if !is_contact(subject) {
            return Err(FieldError::new("subject", "must be a mailto: or https: contact"));
        }
        Ok(Self { subject: subject.into(), key: VapidKey::read(key)?, reach: Reach::Public })
    }

    /// Sends to addresses of private networks too, and to any port.
    #[must_use]
    pub fn with_private_networks(mut self, allowed: bool) -> Self {
        self.reach = if allowed { Reach::Anywhere } else { Reach::Public };
        self
    }

    /// What pages give to `pushManager.subscribe` as `applicationServerKey`.
    pub fn public_key(&self) -> &str {
        self.key.public()
    }
}

fn is_contact(subject: &str) -> bool {
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if subject.len() > 255 || !is_word(subject) {
        return false;
    }
    match subject.strip_prefix("mailto:") {
        Some(to) => to.split_once('@').is_some_and(|(name, host)| {
            let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            !name.is_empty() && !host.is_empty() && host.bytes().all(is_host)
        }),
        None => subject.parse().is_ok_and(|uri: http::Uri| {
            uri.scheme_str() == Some("https") && uri.authority().is_some_and(|to| !to.as_str().contains('@'))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";

    #[test]
    fn a_contact_can_be_written_to() {
        for good in ["mailto:ops@example.com", "https://example.com/contact", "https://example.com"] {
            assert!(WebPushSettings::new(good, KEY).is_ok(), "{good}");
        }
        for bad in
            ["", "ops@example.com", "mailto:ops", "mailto:@x", "mailto:a@", "mailto:a@b c", "http://x", "https://"]
        {
            assert_eq!(WebPushSettings::new(bad, KEY).unwrap_err().field, "subject", "{bad}");
        }
        assert_eq!(WebPushSettings::new("mailto:a@b", "no key").unwrap_err().field, "vapid_private_key");
        assert!(!format!("{:?}", WebPushSettings::new("mailto:a@b", KEY).unwrap()).contains(KEY));
    }
}
