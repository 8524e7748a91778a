//! Addresses that are keys themselves: whoever holds one may read what it names until it expires. Signed with the admin
//! key, so every process that shares it takes them, and none holds longer than that key.
//!
//! ```text
//! {path}?se={expiry, Unix seconds}&sig={base64url(HMAC-SHA256(admin key, "fanfare link" + "\n" + path + "\n" + se))}
//! ```

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::keys::AdminKey;

/// Keeps these signatures apart from those of tokens, which the same key signs.
const PURPOSE: &str = "fanfare link";

fn message(path: &str, expiry: &str) -> String {
    format!("{PURPOSE}\n{}\n{expiry}", path.to_ascii_lowercase())
}

/// The query that lets whoever has it read `path` until then.
pub fn query(key: &AdminKey, path: &str, expires_at: i64) -> String {
    let expiry = expires_at.to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.secret().expose().as_bytes());
    let signature = hmac::sign(&key, message(path, &expiry).as_bytes());
    format!("se={expiry}&sig={}", URL_SAFE_NO_PAD.encode(signature))
}

/// Whether a query's parts allow to read `path` now. `now` is in Unix seconds.
pub fn allows(key: &AdminKey, path: &str, expiry: Option<&str>, signature: Option<&str>, now: i64) -> bool {
    let (Some(expiry), Some(signature)) = (expiry, signature) else { return false };
    let lasts = expiry.parse::<i64>().is_ok_and(|expiry| expiry > now);
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.secret().expose().as_bytes());
    // Compares in constant time.
    lasts && hmac::verify(&key, message(path, expiry).as_bytes(), &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::secret::Secret;

    #[test]
    fn a_link_is_for_its_path_its_time_and_its_key() {
        let key = |text: &str| AdminKey::from_text(Secret::new(text)).unwrap();
        let own = key("one");
        let query = query(&own, "/hub/feedback", 100);
        let (se, sig) = query.strip_prefix("se=").unwrap().split_once("&sig=").unwrap();
        assert!(allows(&own, "/hub/feedback", Some(se), Some(sig), 99));
        assert!(allows(&own, "/HUB/feedback", Some(se), Some(sig), 99));
        assert!(!allows(&own, "/hub/feedback", Some(se), Some(sig), 100));
        assert!(!allows(&own, "/hub2/feedback", Some(se), Some(sig), 99));
        assert!(!allows(&own, "/hub/feedback", Some("101"), Some(sig), 99));
        assert!(!allows(&key("two"), "/hub/feedback", Some(se), Some(sig), 99));
        assert!(!allows(&own, "/hub/feedback", Some(se), Some("%%"), 99));
        assert!(!allows(&own, "/hub/feedback", None, Some(sig), 99));
    }
}
