//! A message and its target: which device it is for, and what is the same for all of them.
//!
//! The body of a receipt is the hash of its JSON, members in order of their names, without what differs from message to
//! message of one broadcast: the target (`token` or `fid`) and what is left of its life (`android.ttl`, `TTL` of
//! `webpush.headers`). So they are equal whatever they are addressed to and whenever they are sent.
use std::ops::Range;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    error::Fault,
    rules::{self, Facts},
};
use crate::gateways::{receipts::body_hash, token::Token};

/// Bytes of a registration token; today's have about 160.
const LONGEST_TOKEN: usize = 4_096;
const OPENING: &[u8] = br#"{"message":{"#;

/// Reads the messages of one connection.
#[derive(Default)]
pub(super) struct Reader {
    /// A body without its target.
    rest: Vec<u8>,
    /// The last rest that was found good, by its hash, and the hash that receipts get: a broadcast sends the same one
    /// thousands of times.
    good: Option<(u64, u64, Facts)>,
}

/// What was read of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) token: Token,
    /// What a receipt holds of the body.
    pub(super) body: u64,
    pub(super) facts: Facts,
    pub(super) fault: Option<Fault>,
}

/// Where a target stands in a body.
struct Target {
    is_fid: bool,
    value: Range<usize>,
    member: Range<usize>,
}

impl Reader {
    pub(super) fn read(&mut self, body: &[u8]) -> Message {
        let none = Facts { collapse: 0, dry_run: false };
        let target = match leading(body).map_or_else(|| found(body), Ok) {
            Ok(target) => target,
            Err(fault) => {
                return Message { token: Token::unreadable(), body: body_hash(body), facts: none, fault: Some(fault) };
            }
        };
        self.rest.clear();
        self.rest.extend_from_slice(&body[..target.member.start]);
        self.rest.extend_from_slice(&body[target.member.end..]);
        let (hash, value) = (body_hash(&self.rest), &body[target.value]);
        let checked = match self.good {
            Some((good, body, facts)) if good == hash => Ok((body, facts)),
            _ => check(&self.rest),
        };
        if let Ok((body, facts)) = checked {
            self.good = Some((hash, body, facts));
        }
        let address = if is_address(value, target.is_fid) { None } else { Some(Fault::Target) };
        let (body, facts, fault) = match checked {
            Ok((body, facts)) => (body, facts, address),
            Err(fault) => (hash, none, Some(fault)),
        };
        Message { token: Token::new(value), body, facts, fault }
    }
}

/// The hash that receipts get of a good request without target, and what else is worth knowing of it.
fn check(rest: &[u8]) -> Result<(u64, Facts), Fault> {
    let mut rest: Value = serde_json::from_slice(rest).map_err(|_| Fault::Json)?;
    let facts = rules::check(&rest)?;
    for (within, name) in [("/message/android", "ttl"), ("/message/webpush/headers", "TTL")] {
        if let Some(members) = rest.pointer_mut(within).and_then(Value::as_object_mut) {
            members.remove(name);
        }
    }
    Ok((body_hash(rest.to_string().as_bytes()), facts))
}

/// The target when it stands first and as plain as senders write it: the rest is not looked at.
fn leading(body: &[u8]) -> Option<Target> {
    let (is_fid, opening) = [(false, &br#"{"message":{"token":""#[..]), (true, &br#"{"message":{"fid":""#[..])]
        .into_iter()
        .find(|(_, opening)| body.starts_with(opening))?;
    let start = opening.len();
    let end = start + body[start..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    if body[end] != b'"' {
        return None;
    }
    let after = match body.get(end + 1..end + 3)? {
        [b'}', _] => end + 1,
        [b',', b'"'] => end + 2,
        _ => return None,
    };
    Some(Target { is_fid, value: start..end, member: OPENING.len()..after })
}

/// The target wherever it stands.
fn found(body: &[u8]) -> Result<Target, Fault> {
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        message: Targets<'a>,
    }
    #[derive(Deserialize)]
    struct Targets<'a> {
        #[serde(borrow)]
        token: Option<&'a RawValue>,
        #[serde(borrow)]
        fid: Option<&'a RawValue>,
    }
    let request: Request<'_> = serde_json::from_slice(body).map_err(|_| Fault::Json)?;
    let one = || Fault::Field("message".to_owned(), "Exactly one of fid and token is needed");
    let (is_fid, written) = match (request.message.token, request.message.fid) {
        (Some(token), None) => (false, token.get()),
        (None, Some(fid)) => (true, fid.get()),
        _ => return Err(one()),
    };
    let value = written.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or(Fault::Target)?;
    // Both are slices of one buffer.
    let start = value.as_ptr().addr() - body.as_ptr().addr();
    let value = start..start + value.len();
    Ok(Target { is_fid, member: member(body, &value).ok_or_else(one)?, value })
}

/// The member around a value, with one comma; `None` when its name is written in a way that nobody writes.
fn member(body: &[u8], value: &Range<usize>) -> Option<Range<usize>> {
    let before = body[..value.start - 1].trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let start = [&br#""token""#[..], &br#""fid""#[..]].iter().find_map(|name| before.strip_suffix(*name))?.len();
    let end = value.end + 1;
    let after = body[end..].trim_ascii_start();
    if after.starts_with(b",") {
        return Some(start..body.len() - after.len() + 1);
    }
    let before = body[..start].trim_ascii_end();
    Some(before.strip_suffix(b",").map_or(start, <[u8]>::len)..end)
}

/// The forms of push-services.md 2.6.
fn is_address(value: &[u8], is_fid: bool) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if is_fid {
        return value.len() == 22 && matches!(value[0], b'c'..=b'f') && value.iter().all(letter);
    }
    (1..=LONGEST_TOKEN).contains(&value.len()) && value.iter().all(|byte| letter(byte) || *byte == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Message {
        Reader::default().read(body.as_bytes())
    }

    #[test]
    fn messages_of_a_broadcast_are_equal_whatever_they_are_addressed_to() {
        let rest = r#""data":{"a":"b"},"android":{"collapse_key":"k"}"#;
        let first = read(&format!(r#"{{"message":{{"token":"a:b",{rest}}}}}"#));
        assert_eq!((first.token.as_bytes(), &first.fault), (&b"a:b"[..], &None));
        for body in [
            format!(r#"{{"message":{{"token":"c:d",{rest}}}}}"#),
            format!(r#"{{"message":{{"fid":"cAbcdefghijklmnopqrs_-",{rest}}}}}"#),
            format!(r#"{{"message":{{{rest},"token":"a:b"}}}}"#),
        ] {
            let other = read(&body);
            assert_eq!((other.body, other.facts, other.fault), (first.body, first.facts, None), "{body}");
        }
        assert_ne!(read(r#"{"message":{"token":"a:b","data":{"a":"c"}}}"#).body, first.body);
        let living = |ttl: u32| {
            read(&format!(
                r#"{{"message":{{"token":"a:b","android":{{"ttl":"{ttl}s"}},"webpush":{{"headers":{{"TTL":"{ttl}"}}}}}}}}"#
            ))
        };
        assert_eq!(living(5), living(6));
    }

    #[test]
    fn what_was_good_once_is_good_for_good_addresses_only() {
        let mut reader = Reader::default();
        let mut fault = |token: &str| {
            let body = format!(r#"{{"message":{{"token":"{token}","data":{{"a":"b"}}}}}}"#);
            reader.read(body.as_bytes()).fault
        };
        assert_eq!(
            [fault("a:b"), fault("a b"), fault(""), fault("a:c")],
            [None, Some(Fault::Target), Some(Fault::Target), None]
        );
    }

    #[test]
    fn exactly_one_target_is_needed() {
        for (body, wanted) in [
            (r#"{"message":{"data":{"a":"b"}}}"#, "message"),
            (r#"{"message":{"data":{"a":"b"},"token":"a","fid":"b"}}"#, "message"),
            (r#"{"message":{"topic":"a"}}"#, "message"),
            (r#"{"message":{"token":"a","fid":"cAbcdefghijklmnopqrs_-"}}"#, "message"),
        ] {
            let fault = read(body).fault;
            assert!(matches!(&fault, Some(Fault::Field(field, _)) if field == wanted), "{body}: {fault:?}");
        }
        assert_eq!(read(r#"{"message":{"token":7}}"#).fault, Some(Fault::Target));
        for body in
            ["", "[]", r#"{"message":{"token":"a""#, r#"{"message":{"token":"a","x""#, r#"{"message":{"token":"a",}}"#]
        {
            assert_eq!(read(body).fault, Some(Fault::Json), "{body}");
        }
    }
}
