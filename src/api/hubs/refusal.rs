//! How the face says no: the one body that every client can read (`notification-hubs.md` 6.1), made of the refusals that
//! all faces share.
//!
//! ```text
//! <Error><Code>404</Code><Detail>Installation not found.TrackingId:{guid}_G0,TimeStamp:1/5/2026 10:00:00 AM</Detail></Error>
//! ```
//!
//! | refusal | status here |
//! |---|---|
//! | a known caller lacks the right | 401: the mobile clients take every 403 for a passing one and try again (1.7) |
//! | everything else | its own |

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::xml::Xml;
use crate::api::error::Refusal;
use crate::model::time::Timestamp;

pub const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");

/// What Azure calls the role that answers; ours has one.
const ROLE: &str = "G0";

/// The answer to a request that is refused.
pub fn answer(refusal: &Refusal, tracking: &str, now: Timestamp) -> Response {
    let status = match refusal.status {
        StatusCode::FORBIDDEN => StatusCode::UNAUTHORIZED,
        own => own,
    };
    let message: Cow<'_, str> = match refusal.code {
        "no_hub" | "no_route" => "No service is hosted at the specified address.".into(),
        "no_installation" => "Installation not found".into(),
        "exists" => format!("SubCode=40900. Conflict: {}", refusal.message).into(),
        _ => (&*refusal.message).into(),
    };
    let detail = format!("{message}.TrackingId:{tracking}_{ROLE},TimeStamp:{}", time_stamp(now));
    let mut body = Xml::new();
    body.open("Error").leaf("Code", status.as_str()).leaf("Detail", &detail).close("Error");
    let mut response = (status, [(header::CONTENT_TYPE, XML)], body.into_string()).into_response();
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// `M/d/yyyy h:mm:ss AM` in UTC.
fn time_stamp(now: Timestamp) -> String {
    let Ok(now) = jiff::Timestamp::from_millisecond(now.millis()) else { return String::new() };
    let now = jiff::tz::TimeZone::UTC.to_datetime(now);
    let (half, hour) = match now.hour() {
        0 => ("AM", 12),
        hour @ 1..=11 => ("AM", hour),
        12 => ("PM", 12),
        hour => ("PM", hour - 12),
    };
    format!("{}/{}/{} {hour}:{:02}:{:02} {half}", now.month(), now.day(), now.year(), now.minute(), now.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &'static str, retry_after: Option<u64>) -> Response {
        let status = StatusCode::from_u16(status).unwrap();
        let refusal = Refusal { status, code, message: "a < b".into(), retry_after };
        answer(&refusal, "00000000-0000-0000-0000-000000000000", Timestamp::from_millis(1_593_714_801_000))
    }

    #[tokio::test]
    async fn the_body_is_the_one_that_all_clients_read() {
        let response = refused(404, "no_installation", None);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/xml; charset=utf-8");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let expected = "<Error><Code>404</Code><Detail>Installation not found.TrackingId:\
                        00000000-0000-0000-0000-000000000000_G0,TimeStamp:7/2/2020 6:33:21 PM</Detail></Error>";
        assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
    }

    #[test]
    fn each_status_is_the_one_that_clients_expect() {
        for (status, code, retry_after, said) in [
            (403, "forbidden", None, 401),
            (401, "unauthorized", None, 401),
            (400, "invalid", None, 400),
            (409, "exists", None, 409),
            (429, "too_many_requests", Some(7), 429),
            (503, "unavailable", Some(1), 503),
        ] {
            let response = refused(status, code, retry_after);
            assert_eq!(response.status().as_u16(), said);
            let seconds = retry_after.map(|seconds| seconds.to_string());
            let header = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header, seconds, "{status}");
        }
    }

    #[test]
    fn hours_are_those_of_a_clock_with_two_halves() {
        for (millis, text) in
            [(0, "1/1/1970 12:00:00 AM"), (43_200_000, "1/1/1970 12:00:00 PM"), (86_399_000, "1/1/1970 11:59:59 PM")]
        {
            assert_eq!(time_stamp(Timestamp::from_millis(millis)), text);
        }
    }
}
