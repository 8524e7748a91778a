//! Verification of one request, in the words of APNs (push-services.md 1.3 to 1.5).
//!
//! The order of the checks is ours (Apple documents none): address, credentials, headers, body.
use super::{
    ApnsConfig, Environment,
    provider_token::ProviderTokens,
    reason::{self, Reason},
};
use crate::{
    gateways::{
        answer::Answer,
        receipts::{body_hash, collapse_hash},
        session::{Judged, Service},
        token::Token,
    },
    http2::{Request, hpack},
};

const DEVICE_PATH: &[u8] = b"/3/device/";
/// Bytes of a token; Apple promises no length, these bounds are push-services.md 1.7.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 16..=256;
const COLLAPSE_ID_BYTES: usize = 64;
const PAYLOAD_BYTES: usize = 4096;
const VOIP_PAYLOAD_BYTES: usize = 5120;

/// (push type, what its topic has behind the bundle id, the priorities that it may have). `mdm` has a topic that is no
/// bundle id at all.
const PUSH_TYPES: [(&[u8], &[u8], &[u8]); 11] = [
    (b"alert", b"", &[10, 5, 1]),
    (b"background", b"", &[5]),
    (b"voip", b".voip", &[10, 5, 1]),
    (b"complication", b".complication", &[10, 5, 1]),
    (b"fileprovider", b".pushkit.fileprovider", &[10, 5, 1]),
    (b"mdm", b"", &[10, 5, 1]),
    (b"liveactivity", b".push-type.liveactivity", &[10, 5]),
    (b"pushtotalk", b".voip-ptt", &[10, 5, 1]),
    (b"location", b".location-query", &[10, 5]),
    (b"controls", b".push-type.controls", &[10, 5, 1]),
    (b"widgets", b".push-type.widgets", &[10, 5, 1]),
];

/// How a connection proves who it is.
pub(super) enum Credentials {
    Tokens(ProviderTokens),
    /// The topics of the client's certificate; empty when it names none, which no APNs certificate does.
    Certificate(Vec<String>),
    /// Nobody asks: for runs that measure the sender alone.
    Unchecked,
}

/// The APNs of one connection.
pub(super) struct Apns {
    pub(super) credentials: Credentials,
    /// Bundle ids that exist; empty = all.
    topics: Vec<String>,
    environment: Environment,
    /// Hash of the last body that was found to be JSON: a broadcast sends the same one a million times.
    good_body: Option<u64>,
}

/// The headers that APNs reads.
#[derive(Default)]
struct Headers<'a> {
    method: &'a [u8],
    path: &'a [u8],
    authorization: Option<&'a [u8]>,
    topic: Option<&'a [u8]>,
    push_type: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    expiration: Option<&'a [u8]>,
    priority: Option<&'a [u8]>,
    collapse_id: Option<&'a [u8]>,
    duplicate: bool,
}

impl<'a> Headers<'a> {
    fn read(request: &'a Request) -> Self {
        let mut headers = Self::default();
        for (name, value) in request.fields() {
            let slot = match name {
                b":method" => {
                    headers.method = value;
                    continue;
                }
                b":path" => {
                    headers.path = value;
                    continue;
                }
                b"authorization" => &mut headers.authorization,
                b"apns-topic" => &mut headers.topic,
                b"apns-push-type" => &mut headers.push_type,
                b"apns-id" => &mut headers.id,
                b"apns-expiration" => &mut headers.expiration,
                b"apns-priority" => &mut headers.priority,
                b"apns-collapse-id" => &mut headers.collapse_id,
                _ => continue,
            };
            headers.duplicate |= slot.replace(value).is_some();
        }
        headers
    }
}

impl Apns {
    pub(super) fn new(config: &ApnsConfig, credentials: Credentials) -> Self {
        Self { credentials, topics: config.topics.clone(), environment: config.environment, good_body: None }
    }

    fn verify(&mut self, headers: &Headers<'_>, body: &[u8], now: i64, authenticated: &mut bool) -> Result<(), Reason> {
        let address = address(headers);
        let by_certificate = matches!(self.credentials, Credentials::Certificate(_));
        // The credentials are looked at even when the address is wrong: they unlock the connection's streams.
        let allowed = match &mut self.credentials {
            Credentials::Unchecked => &[],
            Credentials::Certificate(topics) if topics.is_empty() => return Err(reason::BAD_CERTIFICATE),
            Credentials::Certificate(topics) => &topics[..],
            Credentials::Tokens(tokens) => match tokens.check(headers.authorization, now) {
                Ok(key) => &key.topics[..],
                Err(refused) => return Err(address.err().unwrap_or(refused)),
            },
        };
        *authenticated = true;
        address?;
        let topic = topic_and_type(headers, allowed, by_certificate)?;
        if !self.topics.is_empty() && !topic.is_one_of(&self.topics) {
            return Err(reason::TOPIC_DISALLOWED);
        }
        if !allowed.is_empty() && !topic.is_one_of(allowed) {
            return Err(reason::TOPIC_DISALLOWED);
        }
        details(headers, topic.priorities)?;
        let limit = if topic.voip { VOIP_PAYLOAD_BYTES } else { PAYLOAD_BYTES };
        match body.len() {
            0 => Err(reason::PAYLOAD_EMPTY),
            length if length > limit => Err(reason::PAYLOAD_TOO_LARGE),
            _ => Ok(()),
        }
    }

    fn is_json_object(&mut self, hash: u64, body: &[u8]) -> bool {
        let object = |body: &[u8]| body.trim_ascii_start().first() == Some(&b'{');
        let good = self.good_body == Some(hash)
            || (object(body) && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok());
        if good {
            self.good_body = Some(hash);
        }
        good
    }
}

fn address(headers: &Headers<'_>) -> Result<(), Reason> {
    if headers.duplicate {
        return Err(reason::DUPLICATE_HEADERS);
    }
    if headers.method != b"POST" {
        return Err(reason::METHOD_NOT_ALLOWED);
    }
    let digits = headers.path.strip_prefix(DEVICE_PATH).ok_or(reason::BAD_PATH)?;
    if digits.is_empty() {
        return Err(reason::MISSING_DEVICE_TOKEN);
    }
    // Characters that cannot stand in a path segment by themselves make it another path.
    if !digits.iter().all(u8::is_ascii_alphanumeric) {
        return Err(reason::BAD_PATH);
    }
    let hex = digits.iter().all(u8::is_ascii_hexdigit) && digits.len() % 2 == 0;
    if !hex || !TOKEN_BYTES.contains(&(digits.len() / 2)) {
        return Err(reason::BAD_DEVICE_TOKEN);
    }
    Ok(())
}

/// A topic taken apart.
struct Topic<'a> {
    whole: &'a [u8],
    bundle: &'a [u8],
    priorities: &'static [u8],
    voip: bool,
}

impl Topic<'_> {
    /// `known` may name bundle ids and whole topics.
    fn is_one_of(&self, known: &[String]) -> bool {
        known.iter().any(|known| known.as_bytes() == self.bundle || known.as_bytes() == self.whole)
    }
}

fn topic_and_type<'a>(headers: &Headers<'a>, allowed: &'a [String], by_certificate: bool) -> Result<Topic<'a>, Reason> {
    let whole = match (headers.topic, allowed) {
        (Some(topic), _) => topic,
        // A certificate of one app makes its bundle id the default.
        (None, [only]) if by_certificate => only.as_bytes(),
        (None, _) => return Err(reason::MISSING_TOPIC),
    };
    let character = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if whole.is_empty() || whole.len() > 255 || !whole.iter().all(character) {
        return Err(reason::BAD_TOPIC);
    }
    let Some(push_type) = headers.push_type else {
        // Without a type the topic's end tells it.
        let typed = PUSH_TYPES.iter().filter(|known| !known.1.is_empty());
        let bundle = typed.filter_map(|known| whole.strip_suffix(known.1)).next().unwrap_or(whole);
        return Ok(Topic { whole, bundle, priorities: &[10, 5, 1], voip: whole.ends_with(b".voip") });
    };
    let known = PUSH_TYPES.iter().find(|known| known.0 == push_type).ok_or(reason::INVALID_PUSH_TYPE)?;
    // `location` works with provider tokens only; the reason for a certificate is unconfirmed.
    if by_certificate && push_type == b"location" {
        return Err(reason::INVALID_PUSH_TYPE);
    }
    let bundle = whole.strip_suffix(known.1).ok_or(reason::BAD_TOPIC)?;
    Ok(Topic { whole, bundle, priorities: known.2, voip: push_type == b"voip" })
}

fn details(headers: &Headers<'_>, priorities: &[u8]) -> Result<(), Reason> {
    if headers.id.is_some_and(|id| message_id(id).is_none()) {
        return Err(reason::BAD_MESSAGE_ID);
    }
    // Absent means 10, and that is an error with `background` too.
    let priority = match headers.priority {
        None | Some(b"10") => 10,
        Some(b"5") => 5,
        Some(b"1") => 1,
        Some(_) => return Err(reason::BAD_PRIORITY),
    };
    if !priorities.contains(&priority) {
        return Err(reason::BAD_PRIORITY);
    }
    let date = |text: &[u8]| (1..=10).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    if headers.expiration.is_some_and(|text| !date(text)) {
        return Err(reason::BAD_EXPIRATION_DATE);
    }
    if headers.collapse_id.is_some_and(|id| id.len() > COLLAPSE_ID_BYTES) {
        return Err(reason::BAD_COLLAPSE_ID);
    }
    Ok(())
}

/// A UUID in its canonical form: lower case, 8-4-4-4-12.
fn message_id(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 || text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    uuid::Uuid::try_parse_ascii(text).ok().map(uuid::Uuid::into_bytes)
}

impl Service for Apns {
    fn judge(&mut self, request: &Request, now: i64) -> Judged {
        let headers = Headers::read(request);
        let mut authenticated = false;
        let refusal = self.verify(&headers, &request.body, now, &mut authenticated).err().map(reason::answer);
        let token = headers.path.strip_prefix(DEVICE_PATH).and_then(Token::from_hex);
        let generated = || uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid().into_bytes();
        let body = body_hash(&request.body);
        Judged {
            bad_payload: refusal.is_none() && !self.is_json_object(body, &request.body),
            token: token.unwrap_or_else(Token::unreadable),
            id: headers.id.and_then(message_id).unwrap_or_else(generated),
            body,
            collapse: headers.collapse_id.map_or(0, collapse_hash),
            refusal,
            authenticated,
            dry_run: false,
        }
    }

    fn head(&self, answer: &Answer, id: &[u8; 16], head: &mut Vec<u8>) {
        let mut text = [0; 36];
        let id = uuid::Uuid::from_bytes_ref(id).hyphenated().encode_lower(&mut text);
        hpack::encode_status(head, answer.status);
        hpack::encode_literal(head, b"apns-id", id.as_bytes());
        if self.environment == Environment::Sandbox {
            hpack::encode_literal(head, b"apns-unique-id", id.as_bytes());
        }
        if let Some(date) = &answer.date {
            hpack::encode_literal(head, b"date", date.as_bytes());
        }
    }
}
