//! Shared access signatures, written by another hand than the one that verifies them (`specs/notification-hubs.md` 1.5).
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

/// The value of `Authorization` for a resource that is encoded as it shall stand in the token, until `expiry` in Unix seconds.
pub fn signed(resource: &str, expiry: i64, rule: &str, key: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes()));
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={rule}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specs_vector() {
        let key = "c2VjcmV0LWtleS1mb3ItdGVzdHMtb25seS0wMTIzNDU=";
        let token = signed("https%3A%2F%2Fns1.example.test%2F", 1_900_000_000, "Full", key);
        assert!(
            token.contains("&sig=t9WCLpIQwixQZ9K5RCVO6Ylaf5EVtNNSCQ0exUkjy4Q%3D&se=1900000000&skn=Full"),
            "{token}"
        );
    }
}
