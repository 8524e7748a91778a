//! What WNS checks in a request before it looks at the channel (push-services.md 3.3, 3.4).
use http::{Method, Uri, request::Parts};

use super::accounts::Accounts;
use crate::gateways::{answer::Answer, token::Token};

/// Longest body, in bytes.
const LONGEST: usize = 5_000;

/// The device that a channel names: hex digits in `token`.
pub(super) fn device(uri: &Uri) -> Option<Token> {
    let digits = uri.query()?.strip_prefix("token=")?;
    Token::from_hex(digits.as_bytes()).filter(|token| !token.as_bytes().is_empty())
}

/// The service's own answer to a wrong request.
pub(super) fn refusal(head: &Parts, body: &[u8], accounts: &Accounts, now: i64) -> Option<Answer> {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let bad = |why| Some(Answer::refused(400, why));
    if head.method != Method::POST {
        return Some(Answer::refused(405, "method"));
    }
    if bearer.is_none_or(|token| !accounts.is_good(token, now)) {
        return Some(Answer::refused(401, "token"));
    }
    if device(&head.uri).is_none() {
        return Some(Answer::refused(404, "channel"));
    }
    if body.len() > LONGEST {
        return Some(Answer::refused(413, "size"));
    }
    if text("content-length").is_none() {
        return bad("content-length");
    }
    let wanted = match text("x-wns-type") {
        Some("wns/toast" | "wns/tile" | "wns/badge") => "text/xml",
        Some("wns/raw") => "application/octet-stream",
        _ => return bad("x-wns-type"),
    };
    let ttl = text("x-wns-ttl").map(str::parse::<u64>);
    let tag = text("x-wns-tag");
    if text("content-type") != Some(wanted) {
        return bad("content-type");
    }
    if matches!(ttl, Some(Err(_))) || (matches!(ttl, Some(Ok(0))) && text("x-wns-cache-policy") == Some("cache")) {
        return bad("x-wns-ttl");
    }
    if text("x-wns-priority").is_some_and(|priority| !matches!(priority, "1" | "2" | "3" | "4")) {
        return bad("x-wns-priority");
    }
    if tag.is_some_and(|tag| tag.len() > 16 || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        return bad("x-wns-tag");
    }
    None
}
