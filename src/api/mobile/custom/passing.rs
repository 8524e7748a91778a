//! Which headers pass, and which belong to one connection alone (RFC 9110 7.6.1).

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::super::here::Here;

/// Of one connection, and not of what it carries.
const OWN: [HeaderName; 10] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
/// By which a request that comes back is known.
const VIA: HeaderValue = HeaderValue::from_static("1.1 fanfare-api");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FEATURES: HeaderName = HeaderName::from_static("x-zumo-features");
/// Bytes of that field that are passed on. Clients let it grow without end, and many servers take no 16 KB of headers.
const LONGEST_FEATURES: usize = 1_024;

/// Takes out what belongs to one connection.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in OWN.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Takes out what an answer says to pages of other hosts: who may call here is decided here (`cors`).
pub(super) fn strip_of_pages(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// An answer whose length shows at its end. .NET clients of the field take none without a length, unless it varies by
/// encoding in exactly this spelling (8.3).
pub(super) fn without_length(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_LENGTH);
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Says by which address the request came, and shortens what grows without end.
pub(super) fn say_where(headers: &mut HeaderMap, here: &Here) {
    let (proto, host) = here.0.split_once("://").unwrap_or(("https", &here.0));
    let host = host.split('/').next().unwrap_or_default();
    for (name, text) in [(FORWARDED_PROTO, proto), (FORWARDED_HOST, host)] {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    headers.append(header::VIA, VIA);
    let long =
        headers.get(&FEATURES).and_then(|value| value.to_str().ok()).filter(|text| text.len() > LONGEST_FEATURES);
    if let Some(shorter) = long.map(|text| text.get(..LONGEST_FEATURES).unwrap_or_default())
        && let Ok(shorter) = HeaderValue::from_str(shorter.rsplit_once(',').map_or(shorter, |(whole, _)| whole))
    {
        headers.insert(FEATURES, shorter);
    }
}

/// Whether a request asks to go on as a WebSocket (RFC 6455 section 4.1). Any other protocol that a request offers to go on
/// with may be passed over (RFC 9110 section 7.8), as some HTTP clients expect who offer `h2c` each time.
pub(super) fn asks_for_a_socket(headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
        values.iter().flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket")
}

/// Whether a request was passed on by this service before.
pub(super) fn came_from_here(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|via| VIA == via.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_is_of_one_connection_stays_with_it() {
        let mut all = headers(&[
            ("connection", "keep-alive, X-Own"),
            ("x-own", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("keep-alive", "timeout=5"),
            ("etag", "\"1\""),
            ("link", "next"),
        ]);
        strip(&mut all);
        assert_eq!(all, headers(&[("etag", "\"1\""), ("link", "next")]));
    }

    #[test]
    fn a_socket_is_asked_for_by_two_headers() {
        for (connection, upgrade, expected) in [
            ("Upgrade", "websocket", true),
            ("keep-alive, upgrade", "h2c, WebSocket", true),
            ("keep-alive", "websocket", false),
            ("Upgrade, HTTP2-Settings", "h2c", false),
        ] {
            let all = headers(&[("connection", connection), ("upgrade", upgrade)]);
            assert_eq!(asks_for_a_socket(&all), expected, "{connection} {upgrade}");
        }
    }

    #[test]
    fn a_request_says_where_it_came_in_and_is_known_when_it_comes_back() {
        let mut all = headers(&[("x-forwarded-host", "evil.net"), ("via", "1.0 proxy")]);
        assert!(!came_from_here(&all));
        say_where(&mut all, &Here("https://api.example.com:8443/app".to_owned()));
        assert_eq!(
            (&all[FORWARDED_HOST], &all[FORWARDED_PROTO]),
            (&"api.example.com:8443".parse().unwrap(), &"https".parse().unwrap())
        );
        assert!(came_from_here(&all));
        assert!(came_from_here(&headers(&[("via", "1.0 proxy, 1.1 fanfare-api")])));
    }

    #[test]
    fn the_field_that_grows_is_cut_between_its_words() {
        let mut all = headers(&[("x-zumo-features", &"TR,QS,".repeat(5_000))]);
        say_where(&mut all, &Here("http://h".to_owned()));
        let kept = all[FEATURES].to_str().unwrap();
        assert!(
            kept.len() <= LONGEST_FEATURES && kept.len() > 1_000 && kept.split(',').all(|word| word.len() == 2),
            "{kept}"
        );
    }
}
