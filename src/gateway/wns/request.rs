//! From a broadcast to what every channel of it gets: one body, one set of header fields (`push-services.md` 3.3).

use bytes::Bytes;

use super::toast::{self, Kind};
use crate::gateway::{SharedRequest, header_value};
use crate::model::broadcast::{BroadcastRequest, Native, Priority};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::template::Rendered;
use crate::model::time::Timestamp;

/// Longest body, in bytes.
pub const LONGEST: usize = 5_000;
/// Longest `X-WNS-Tag`.
pub const LONGEST_TAG: usize = 16;

pub const CONTENT_TYPE: &str = "content-type";
pub const TYPE: &str = "x-wns-type";
pub const TTL: &str = "x-wns-ttl";
pub const CACHE_POLICY: &str = "x-wns-cache-policy";
pub const PRIORITY: &str = "x-wns-priority";
pub const TAG: &str = "x-wns-tag";

/// Fields that a caller may say for himself (`notification-hubs.md` 2.5.2), over what would be said without him.
pub const PASSED: [&str; 8] =
    [TTL, CACHE_POLICY, PRIORITY, TAG, "x-wns-group", "x-wns-requestforstatus", "x-wns-suppresspopup", "x-wns-match"];

/// What the caller calls it. Any document may go raw; one that is no toast cannot go as a toast.
fn asked_kind(asked: &str, found: Kind) -> Result<Kind, FieldError> {
    let asked = asked.to_ascii_lowercase();
    let kind = [Kind::Toast, Kind::Tile, Kind::Badge, Kind::Raw].into_iter().find(|kind| kind.header() == asked);
    match kind {
        Some(kind) if kind == Kind::Raw || kind == found => Ok(kind),
        Some(kind) => Err(FieldError::new(
            TYPE,
            format!("must fit the payload's root element, which is no {}", &kind.header()[4..]),
        )),
        None => Err(FieldError::new(TYPE, "must be wns/toast, wns/tile, wns/badge or wns/raw")),
    }
}

/// Checks a broadcast and writes down what is equal for every target; its life is counted from `now`. The error's field
/// is one of the native API's request: `payloads.wns`, `notification`, `collapse_key`, `template`.
pub fn prepare(
    id: BroadcastId,
    request: &BroadcastRequest,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let (field, body) = body(request)?;
    let own = |name: &str| request.content.raw(Platform::Wns).and_then(|raw| raw.header(name));
    let kind = Kind::of(&body).map_err(|rule| FieldError::new(field, rule))?;
    let kind = own(TYPE).map_or(Ok(kind), |asked| asked_kind(asked, kind))?;
    let mut shared = assemble(id, request, (field, body, kind), now, expires)?;
    say(&mut shared.headers, own)?;
    Ok(shared)
}

/// The same for what a template made of the request's properties. Its headers go before what the request says.
pub fn prepare_rendered(
    id: BroadcastId,
    request: &BroadcastRequest,
    rendered: &Rendered,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    const FIELD: &str = "template";
    let body = Bytes::copy_from_slice(rendered.body.as_bytes());
    let own = |name: &str| rendered.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let kind = match own(TYPE) {
        Some(value) => {
            Kind::from_header(value).ok_or_else(|| FieldError::new(FIELD, "must have a known X-WNS-Type"))?
        }
        // A root in capitals was taken for one of them when it was registered.
        None => match Kind::of(&body).map_err(|rule| FieldError::new(FIELD, rule))? {
            Kind::Raw => Kind::of_root(&rendered.body),
            kind => kind,
        },
    };
    let mut shared = assemble(id, request, (FIELD, body, kind), now, expires)?;
    say(&mut shared.headers, own).map_err(|error| error.at(FIELD))?;
    Ok(shared)
}

/// Lays the fields that the caller or a template gives over those that are said without them.
fn say<'a>(headers: &mut Vec<(&'static str, String)>, own: impl Fn(&str) -> Option<&'a str>) -> Result<(), FieldError> {
    for name in PASSED {
        let Some(value) = own(name) else { continue };
        let value = header_value(name, value)?;
        match headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, said)) => *said = value,
            None => headers.push((name, value)),
        }
    }
    // A time to live of nothing contradicts keeping, which only its giver can have meant when he said so himself.
    if own(TTL) == Some("0") && own(CACHE_POLICY).is_none() {
        headers.iter_mut().filter(|(name, _)| *name == CACHE_POLICY).for_each(|(_, said)| "no-cache".clone_into(said));
    }
    Ok(())
}

fn assemble(
    id: BroadcastId,
    request: &BroadcastRequest,
    (field, body, kind): (&'static str, Bytes, Kind),
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    if body.is_empty() {
        return Err(FieldError::new(field, "must not be empty"));
    }
    if body.len() > LONGEST {
        return Err(FieldError::new(field, format!("must have at most {LONGEST} bytes for WNS (has {})", body.len())));
    }
    // A life of nothing asks for one attempt and no keeping; the service refuses one that is to be kept all the same.
    let (ttl, policy) = match request.ttl_seconds {
        0 => (0, "no-cache"),
        _ => (expires.since(now).as_secs().max(1), "cache"),
    };
    let priority = match request.priority {
        Priority::High => "1",
        Priority::Normal => "2",
    };
    let mut headers = vec![
        (CONTENT_TYPE, kind.content_type().to_owned()),
        (TYPE, kind.header().to_owned()),
        (TTL, ttl.to_string()),
        (CACHE_POLICY, policy.to_owned()),
        (PRIORITY, priority.to_owned()),
    ];
    headers.extend(tag(kind, request)?.map(|tag| (TAG, tag)));
    Ok(SharedRequest { headers, body, broadcast: id, lane: request.lane })
}

/// A tile replaces the waiting one with its tag, so there the key must be one. Of toasts only phones know tags: a key
/// that is none is left out. Badges and raw notifications have none.
fn tag(kind: Kind, request: &BroadcastRequest) -> Result<Option<String>, FieldError> {
    let Some(key) = request.collapse_key.as_deref().filter(|key| !key.is_empty()) else { return Ok(None) };
    let fits = key.len() <= LONGEST_TAG && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match kind {
        Kind::Tile if !fits => {
            Err(FieldError::new("collapse_key", "must be 1 to 16 ASCII letters and digits for a WNS tile"))
        }
        Kind::Tile | Kind::Toast => Ok(fits.then(|| key.to_owned())),
        Kind::Badge | Kind::Raw => Ok(None),
    }
}

fn body(request: &BroadcastRequest) -> Result<(&'static str, Bytes), FieldError> {
    const PAYLOAD: &str = "payloads.wns";
    match request.content.native(Platform::Wns)? {
        Native::Payload(payload) => Ok((PAYLOAD, Bytes::copy_from_slice(payload.as_bytes()))),
        Native::Portable(notification) => Ok(("notification", toast::render(notification)?.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::broadcast::{Content, Notification, Payloads, Raw};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn asked(payload: &str) -> BroadcastRequest {
        BroadcastRequest::everyday(Content::Payloads(Payloads::from([("wns".to_owned(), payload.to_owned())])))
    }

    fn made(request: &BroadcastRequest) -> Result<SharedRequest, FieldError> {
        prepare(BroadcastId::new(1), request, NOW, Timestamp::from_millis(1_042_000))
    }

    fn header(request: &BroadcastRequest, name: &str) -> Option<String> {
        made(request).unwrap().headers.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    #[test]
    fn the_payload_tells_type_and_content_type() {
        for (payload, kind, content) in [
            ("<toast/>", "wns/toast", "text/xml"),
            ("<tile/>", "wns/tile", "text/xml"),
            ("<badge value='1'/>", "wns/badge", "text/xml"),
            ("{}", "wns/raw", "application/octet-stream"),
        ] {
            assert_eq!(header(&asked(payload), TYPE).as_deref(), Some(kind));
            assert_eq!(header(&asked(payload), CONTENT_TYPE).as_deref(), Some(content));
        }
    }

    #[test]
    fn what_the_caller_says_stands_over_the_rest() {
        let own = |body: &str, headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let raw =
                Raw { platform: Platform::Wns, body: body.into(), headers, format: "windows".into(), handles: None };
            BroadcastRequest { content: Content::Raw(raw), ..asked("") }
        };
        let said =
            own("<toast/>", &[(TYPE, "wns/RAW"), (TAG, "t:1"), ("x-wns-group", "g"), (TTL, "0"), ("x-other", "no")]);
        for (name, value) in [
            (TYPE, Some("wns/raw")),
            (CONTENT_TYPE, Some("application/octet-stream")),
            (TAG, Some("t:1")),
            ("x-wns-group", Some("g")),
            (TTL, Some("0")),
            (CACHE_POLICY, Some("no-cache")),
            (PRIORITY, Some("1")),
            ("x-other", None),
        ] {
            assert_eq!(header(&said, name).as_deref(), value, "{name}");
        }
        assert_eq!(made(&own("<tile/>", &[(TYPE, "wns/toast")])).unwrap_err().field, TYPE);
        assert_eq!(made(&own("<tile/>", &[(TYPE, "toast")])).unwrap_err().field, TYPE);
        let elsewhere = Raw {
            platform: Platform::Apns,
            ..match own("{}", &[]).content {
                Content::Raw(raw) => raw,
                _ => unreachable!(),
            }
        };
        assert_eq!(
            made(&BroadcastRequest { content: Content::Raw(elsewhere), ..asked("") }).unwrap_err().field,
            "payloads.wns"
        );
    }

    #[test]
    fn life_and_priority_are_said() {
        let request = asked("<toast/>");
        assert_eq!(header(&request, TTL).as_deref(), Some("42"));
        assert_eq!(header(&request, CACHE_POLICY).as_deref(), Some("cache"));
        assert_eq!(header(&request, PRIORITY).as_deref(), Some("1"));
        let brief = BroadcastRequest { ttl_seconds: 0, priority: Priority::Normal, ..request };
        assert_eq!(header(&brief, TTL).as_deref(), Some("0"));
        assert_eq!(header(&brief, CACHE_POLICY).as_deref(), Some("no-cache"));
        assert_eq!(header(&brief, PRIORITY).as_deref(), Some("2"));
    }

    #[test]
    fn a_tile_wants_a_tag_and_a_toast_takes_one() {
        let with = |payload: &str, key: &str| BroadcastRequest { collapse_key: Some(key.to_owned()), ..asked(payload) };
        assert_eq!(header(&with("<tile/>", "score1"), TAG).as_deref(), Some("score1"));
        assert_eq!(made(&with("<tile/>", "score:1")).unwrap_err().field, "collapse_key");
        assert_eq!(made(&with("<tile/>", &"a".repeat(17))).unwrap_err().field, "collapse_key");
        assert_eq!(header(&with("<toast/>", "score1"), TAG).as_deref(), Some("score1"));
        assert_eq!(header(&with("<toast/>", "score:1"), TAG), None);
        assert_eq!(header(&with("raw", "score1"), TAG), None);
    }

    #[test]
    fn bodies_over_the_limit_name_their_field() {
        assert!(made(&asked(&"x".repeat(LONGEST))).is_ok());
        assert_eq!(made(&asked(&"x".repeat(LONGEST + 1))).unwrap_err().field, "payloads.wns");
        assert_eq!(made(&asked("")).unwrap_err().field, "payloads.wns");
        assert_eq!(made(&asked("<toast>")).unwrap_err().field, "payloads.wns");
        let notification = Notification { title: Some("&".repeat(1_000)), ..Notification::default() };
        let content = Content::Notification { notification, payloads: Payloads::new() };
        assert_eq!(made(&BroadcastRequest { content, ..asked("") }).unwrap_err().field, "notification");
    }
}
