//! What a push service checks in a request (push-services.md 4.2, 4.3), with the words that Mozilla's has for it.
use std::collections::HashSet;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, Uri, request::Parts};
use parking_lot::Mutex;
use serde::Deserialize;

use super::browser::Browser;
use crate::gateways::{answer::Answer, served::text, token::Token};

/// Longest body, in bytes.
const LONGEST: usize = 4_096;
/// Longest life of a VAPID token, seconds.
const LONGEST_LIFE: i64 = 86_400;

/// The tokens that were seen, each with the origin that it names.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashSet<(String, String)>>);

impl Seen {
    pub(super) fn of(&self, origin: &str) -> usize {
        self.0.lock().iter().filter(|(of, _)| of == origin).count()
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }
}

/// The browser that an endpoint names.
pub(super) fn device(uri: &Uri) -> Option<Token> {
    let digits = uri.path().strip_prefix("/wp/")?;
    Token::from_hex(digits.as_bytes()).filter(|token| !token.as_bytes().is_empty())
}

/// An error with Mozilla's number.
fn errno(status: u16, errno: u16) -> Box<Answer> {
    Box::new(Answer::refused(status, &errno.to_string()))
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    sub: String,
}

/// The message in the clear, or the service's own answer to a wrong request. `public`: the key that subscriptions were
/// made with, in base64url.
pub(super) fn check(
    head: &Parts,
    body: &[u8],
    public: &str,
    port: u16,
    seen: &Seen,
    now: i64,
) -> Result<Vec<u8>, Box<Answer>> {
    if head.method != Method::POST {
        return Err(Box::new(Answer::refused(405, "method")));
    }
    authorized(head, public, port, seen, now)?;
    let token = device(&head.uri).ok_or_else(|| errno(404, 102))?;
    if body.len() > LONGEST {
        return Err(errno(413, 104));
    }
    if text(head, "ttl").and_then(|ttl| ttl.parse::<u32>().ok()).is_none() {
        return Err(errno(400, 111));
    }
    if text(head, "urgency").is_some_and(|word| !matches!(word, "very-low" | "low" | "normal" | "high")) {
        return Err(errno(400, 112));
    }
    let is_topic = |topic: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=32).contains(&topic.len()) && topic.bytes().all(fits)
    };
    if text(head, "topic").is_some_and(|topic| !is_topic(topic)) {
        return Err(errno(400, 113));
    }
    if text(head, "content-encoding") != Some("aes128gcm") {
        return Err(errno(400, 110));
    }
    Browser::of(token.as_bytes()).and_then(|browser| browser.read(body)).ok_or_else(|| errno(400, 110))
}

fn authorized(head: &Parts, public: &str, port: u16, seen: &Seen, now: i64) -> Result<(), Box<Answer>> {
    let refused = || errno(401, 109);
    let value = text(head, "authorization").and_then(|value| value.strip_prefix("vapid t=")).ok_or_else(refused)?;
    let (token, key) = value.split_once(",k=").ok_or_else(refused)?;
    let (signed, signature) = token.rsplit_once('.').ok_or_else(refused)?;
    let (header, claims) = signed.split_once('.').ok_or_else(refused)?;
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| refused());
    let header: serde_json::Value = serde_json::from_slice(&bytes(header)?).map_err(|_| refused())?;
    let claims: Claims = serde_json::from_slice(&bytes(claims)?).map_err(|_| refused())?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes(key)?)
        .verify(signed.as_bytes(), &bytes(signature)?)
        .map_err(|_| refused())?;
    let origins = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("https://{host}:{port}"));
    let named = head.uri.authority().map(http::uri::Authority::as_str).or_else(|| text(head, "host"));
    let is_own = origins.contains(&claims.aud) && named.is_some_and(|named| claims.aud == format!("https://{named}"));
    let is_good = header["alg"] == "ES256"
        && is_own
        && (now + 1..=now + LONGEST_LIFE).contains(&claims.exp)
        && (claims.sub.starts_with("mailto:") || claims.sub.starts_with("https://"));
    if !is_good {
        return Err(refused());
    }
    if key != public {
        let text = "the VAPID credentials in the authorization header do not correspond to the credentials used to \
                    create the subscriptions.\n";
        return Err(Box::new(Answer { body: Some(text.to_owned()), ..Answer::refused(403, "key") }));
    }
    seen.0.lock().insert((claims.aud, token.to_owned()));
    Ok(())
}
