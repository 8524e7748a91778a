//! What an answer of a simulated service says of the device, by the tables of the real services (push-services.md 1.5,
//! 2.3, 3.4 and 4.3). Written down here a second time, so that the service's own reading of them is judged, not trusted.
use crate::{devices::Platform, gateways::Receipt};

/// What the sender has to make of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The device got it.
    Delivered,
    /// Nobody may try again: the device or the request is at fault, not the moment or the credentials.
    RefusedForGood,
    /// Everything else: another attempt, or a wait.
    NotYet,
}

pub(super) fn meaning(platform: Platform, receipt: &Receipt) -> Meaning {
    let reason = receipt.reason.as_deref().unwrap_or_default();
    let (delivered, refused) = match platform {
        Platform::Apns => (receipt.status == 200, matches!(receipt.status, 400 | 404 | 405 | 410 | 413)),
        Platform::Fcm => (receipt.status == 200, fcm_refuses(receipt.status, reason)),
        Platform::Wns => wns(receipt.status, reason),
        Platform::WebPush => (receipt.status == 200, web_push_refuses(receipt.status, reason)),
    };
    match (delivered, refused) {
        (true, _) => Meaning::Delivered,
        (false, true) => Meaning::RefusedForGood,
        (false, false) => Meaning::NotYet,
    }
}

/// The word decides before the status does: one of them asks for another attempt whatever the status.
fn fcm_refuses(status: u16, word: &str) -> bool {
    match (status, word) {
        (_, "UNSPECIFIED_ERROR") => false,
        (400 | 413, _)
        | (401, "THIRD_PARTY_AUTH_ERROR" | "APNS_AUTH_ERROR")
        | (403, "SENDER_ID_MISMATCH")
        | (404, "UNREGISTERED" | "NOT_FOUND") => true,
        _ => false,
    }
}

/// Of 400 and 403 the words about who sends speak of the sender, not of the browser.
fn web_push_refuses(status: u16, word: &str) -> bool {
    match (status, word) {
        (400 | 403, "BadAuthorizationHeader" | "BadJwtToken" | "BadVapidPublicKey" | "109") => false,
        (400 | 403 | 404 | 405 | 410 | 413, _) => true,
        _ => false,
    }
}

/// A 200 means that the request was understood; its word, what became of it. The second meaning of 410 is a blocked
/// sender.
fn wns(status: u16, word: &str) -> (bool, bool) {
    let word = word.to_ascii_lowercase();
    match status {
        200 => (matches!(word.as_str(), "" | "received"), word == "dropped"),
        410 => (false, !word.contains("domain")),
        _ => (false, matches!(status, 400 | 403 | 404 | 405 | 413)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Meaning::*, *};
    use crate::gateways::{Token, receipts::Fate};

    fn said(platform: Platform, status: u16, reason: &str) -> Meaning {
        let reason = (!reason.is_empty()).then(|| reason.to_owned());
        let receipt = Receipt {
            order: 0,
            token: Token::unreadable(),
            id: uuid::Uuid::nil(),
            status,
            reason,
            fate: Fate::Answered,
            body: 0,
            collapse: 0,
            at_ms: 0,
        };
        meaning(platform, &receipt)
    }

    #[test]
    fn every_row_of_the_tables() {
        use Platform::{Apns, Fcm, WebPush, Wns};
        for (platform, status, reason, wanted) in [
            (Apns, 200, "", Delivered),
            (Apns, 400, "BadDeviceToken", RefusedForGood),
            (Apns, 403, "ExpiredProviderToken", NotYet),
            (Apns, 404, "BadPath", RefusedForGood),
            (Apns, 405, "MethodNotAllowed", RefusedForGood),
            (Apns, 410, "Unregistered", RefusedForGood),
            (Apns, 413, "PayloadTooLarge", RefusedForGood),
            (Apns, 429, "TooManyRequests", NotYet),
            (Apns, 500, "InternalServerError", NotYet),
            (Apns, 503, "ServiceUnavailable", NotYet),
            (Apns, 0, "", NotYet),
            (Fcm, 200, "", Delivered),
            (Fcm, 400, "INVALID_ARGUMENT", RefusedForGood),
            (Fcm, 400, "UNSPECIFIED_ERROR", NotYet),
            (Fcm, 401, "UNAUTHENTICATED", NotYet),
            (Fcm, 401, "THIRD_PARTY_AUTH_ERROR", RefusedForGood),
            (Fcm, 403, "SENDER_ID_MISMATCH", RefusedForGood),
            (Fcm, 403, "PERMISSION_DENIED", NotYet),
            (Fcm, 404, "UNREGISTERED", RefusedForGood),
            (Fcm, 404, "NOT_FOUND", RefusedForGood),
            (Fcm, 404, "", NotYet),
            (Fcm, 413, "", RefusedForGood),
            (Fcm, 429, "QUOTA_EXCEEDED", NotYet),
            (Fcm, 500, "INTERNAL", NotYet),
            (Fcm, 503, "UNAVAILABLE", NotYet),
            (Wns, 200, "", Delivered),
            (Wns, 200, "received", Delivered),
            (Wns, 200, "channelthrottled", NotYet),
            (Wns, 200, "dropped", RefusedForGood),
            (Wns, 400, "x-wns-type", RefusedForGood),
            (Wns, 401, "token", NotYet),
            (Wns, 403, "", RefusedForGood),
            (Wns, 404, "channel", RefusedForGood),
            (Wns, 405, "method", RefusedForGood),
            (Wns, 406, "", NotYet),
            (Wns, 410, "Channel expired", RefusedForGood),
            (Wns, 410, "The Domain is blocked", NotYet),
            (Wns, 412, "", NotYet),
            (Wns, 413, "size", RefusedForGood),
            (Wns, 429, "", NotYet),
            (Wns, 500, "", NotYet),
            (WebPush, 200, "", Delivered),
            (WebPush, 400, "111", RefusedForGood),
            (WebPush, 400, "VapidPkHashMismatch", RefusedForGood),
            (WebPush, 400, "BadJwtToken", NotYet),
            (WebPush, 401, "109", NotYet),
            (WebPush, 403, "key", RefusedForGood),
            (WebPush, 404, "102", RefusedForGood),
            (WebPush, 406, "", NotYet),
            (WebPush, 410, "103", RefusedForGood),
            (WebPush, 413, "104", RefusedForGood),
            (WebPush, 429, "TooManyRequests", NotYet),
            (WebPush, 503, "202", NotYet),
        ] {
            assert_eq!(said(platform, status, reason), wanted, "{platform} {status} {reason}");
        }
    }
}
