//! T1: what became of a message (`notification-hubs.md` 2.7), from the moment it is accepted for as long as it is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Value, json};

use super::feedback::errors_address;
use super::here::{Here, on};
use super::names::{self, COUNTS};
use super::notification::Format;
use super::refusal::XML;
use super::xml::{CONNECT, INSTANCE, Xml};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::request::Visit;
use crate::identity::keys::Rights;
use crate::model::broadcast::{Broadcast, BroadcastState, Content};
use crate::model::id::BroadcastId;
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::Tally;

/// T1. Whoever may send may look (1.6).
pub(super) async fn get(State(app): State<Arc<App>>, visit: Visit, here: Here) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::SEND)?;
    let missing = || ApiError::not_found("no_broadcast", "There is no such notification");
    let id = BroadcastId::parse(visit.param("id")).ok_or_else(missing)?;
    let broadcast = app.store.broadcast(hub.id, id).await?.ok_or_else(missing)?;
    let tally = app.store.tally(hub.id, id).await?.unwrap_or_default();
    let path = format!("/{}/messages/{id}", hub.name);
    let failed = tally.keys().any(|(_, outcome, _)| matches!(outcome, Outcome::Rejected | Outcome::Dropped));
    let now = app.clock.now();
    let details = Details {
        location: here.address(&path).replacen("https://", "sb://", 1),
        errors: failed.then(|| errors_address(&app, &here, &path, now)),
        broadcast: &broadcast,
        tally: &tally,
        now,
    };
    Ok(([(header::CONTENT_TYPE, XML)], details.write()).into_response())
}

struct Details<'a> {
    location: String,
    errors: Option<String>,
    broadcast: &'a Broadcast,
    tally: &'a Tally,
    now: Timestamp,
}

impl Details<'_> {
    /// The elements in the order that one client needs; nothing empty, which another one cannot read.
    fn write(&self) -> String {
        let Broadcast { id, request, times, .. } = self.broadcast;
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let body = body(&request.content);
        let counts = self.counts();
        let mut xml = Xml::new();
        xml.open_with("NotificationDetails", &[("xmlns", CONNECT), ("xmlns:i", INSTANCE)])
            .leaf("NotificationId", &id.to_string())
            .leaf("Location", &self.location)
            .leaf("State", self.state())
            .leaf("EnqueueTime", &times.accepted.to_string())
            .leaf_if("StartTime", time(times.started).as_deref())
            .leaf_if("EndTime", time(times.finished).as_deref())
            .leaf("NotificationBody", &body)
            .leaf_if("Tags", Some(request.audience.as_str()).filter(|tags| !tags.is_empty()))
            .leaf("TargetPlatforms", &self.platforms());
        // Between those of Adm and FcmV1, whichever of them there are.
        let (before, after) = (ORDER.iter().take(ERRORS_AT), ORDER.iter().skip(ERRORS_AT));
        for element in before {
            write_counts(&mut xml, element, counts.get(element));
        }
        xml.leaf_if("PnsErrorDetailsUri", self.errors.as_deref());
        for element in after {
            write_counts(&mut xml, element, counts.get(element));
        }
        xml.close("NotificationDetails");
        xml.into_string()
    }

    fn state(&self) -> &'static str {
        match self.broadcast.state(self.now) {
            BroadcastState::Scheduled => "Scheduled",
            BroadcastState::Queued => "Enqueued",
            BroadcastState::Running | BroadcastState::Paused => "Processing",
            BroadcastState::Completed if self.broadcast.counters().targeted == 0 => "NoTargetFound",
            BroadcastState::Completed => "Completed",
            BroadcastState::Cancelled => "Canceled",
            BroadcastState::Expired | BroadcastState::Failed => "Abandoned",
        }
    }

    /// Counts of outcomes by the element that holds them.
    fn counts(&self) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
        let mut counts: BTreeMap<_, BTreeMap<_, u64>> = BTreeMap::new();
        for ((platform, outcome, reason), count) in self.tally {
            let element = self.element(*platform);
            let name = names::outcome(*outcome, reason.as_deref());
            *counts.entry(element).or_default().entry(name).or_default() += count;
        }
        counts
    }

    fn element(&self, platform: Platform) -> &'static str {
        if platform == Platform::Fcm
            && matches!(&self.broadcast.request.content, Content::Raw(raw) if raw.format == "gcm")
        {
            return "GcmOutcomeCounts";
        }
        COUNTS.into_iter().find(|(known, _)| *known == platform).map_or("", |(_, element)| element)
    }

    fn platforms(&self) -> String {
        let content = &self.broadcast.request.content;
        if let Content::Raw(raw) = content {
            return raw.format.clone();
        }
        let suffix = if matches!(content, Content::Template(_)) { "template" } else { "" };
        let known = self.broadcast.platforms.keys();
        let words: Vec<String> = known.map(|platform| format!("{}{suffix}", Format::word_of(*platform))).collect();
        match (words.is_empty(), suffix) {
            (false, _) => words.join(","),
            (true, "template") => "template".to_owned(),
            (true, _) => "none".to_owned(),
        }
    }
}

/// Elements of counts as they are written, and how many of them stand before the address of errors.
const ORDER: [&str; 9] = [
    "ApnsOutcomeCounts",
    "MpnsOutcomeCounts",
    "WnsOutcomeCounts",
    "GcmOutcomeCounts",
    "AdmOutcomeCounts",
    "FcmV1OutcomeCounts",
    "BaiduOutcomeCounts",
    "BrowserOutcomeCounts",
    "XiaomiOutcomeCounts",
];
const ERRORS_AT: usize = 5;

fn write_counts(xml: &mut Xml, element: &str, counts: Option<&BTreeMap<&'static str, u64>>) {
    let Some(counts) = counts.filter(|counts| !counts.is_empty()) else { return };
    xml.open(element);
    for (name, count) in counts {
        xml.open("Outcome").leaf("Name", name).leaf("Count", &count.to_string()).close("Outcome");
    }
    xml.close(element);
}

/// What was sent, as text.
fn body(content: &Content) -> String {
    let of_fcm = |body: &str| {
        let message: Value = serde_json::from_str(body).unwrap_or_default();
        json!({ "message": message }).to_string()
    };
    match content {
        Content::Raw(raw) if raw.platform == Platform::Fcm => of_fcm(&raw.body),
        Content::Raw(raw) => raw.body.clone(),
        Content::Template(properties) => json!(properties).to_string(),
        Content::Payloads(payloads) => json!(payloads).to_string(),
        Content::Notification { notification, .. } => json!(notification).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::broadcast::{BroadcastRequest, Milestones, Raw, Wish};
    use crate::model::id::HubId;
    use crate::model::outcome::Counters;

    fn broadcast(format: &str, platform: Platform, targeted: u64) -> Broadcast {
        let raw = Raw {
            platform,
            body: r#"{"a":"<&>"}"#.to_owned(),
            headers: BTreeMap::new(),
            format: format.to_owned(),
            handles: None,
        };
        let counters = Counters { targeted, delivered: targeted, ..Counters::default() };
        Broadcast {
            id: BroadcastId::from_bytes([7; 16]),
            hub: HubId(1),
            request: BroadcastRequest {
                audience: "news && !muted".to_owned(),
                ..BroadcastRequest::everyday(Content::Raw(raw))
            },
            times: Milestones {
                expires: Timestamp::from_millis(60_000),
                finished: Some(Timestamp::from_millis(10)),
                ..Milestones::default()
            },
            wish: Wish::Run,
            failure: None,
            platforms: BTreeMap::from([(platform, counters)]),
        }
    }

    fn written(broadcast: &Broadcast, tally: &Tally) -> String {
        let errors = Some("https://h/errors?a=1&b=2".to_owned());
        let now = Timestamp::from_millis(20);
        Details { location: "sb://h/x".to_owned(), errors, broadcast, tally, now }.write()
    }

    #[test]
    fn elements_stand_in_order_and_none_is_empty() {
        let tally = Tally::from([
            ((Platform::Apns, Outcome::Delivered, None), 3),
            ((Platform::Apns, Outcome::Dropped, Some("Unregistered".to_owned())), 1),
            ((Platform::Fcm, Outcome::Delivered, None), 7),
        ]);
        let expected = "<NotificationDetails xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\" \
            xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\"><NotificationId>07070707-0707-0707-0707-070707070707\
            </NotificationId><Location>sb://h/x</Location><State>Completed</State>\
            <EnqueueTime>1970-01-01T00:00:00.000Z</EnqueueTime><EndTime>1970-01-01T00:00:00.010Z</EndTime>\
            <NotificationBody>{\"a\":\"&lt;&amp;&gt;\"}</NotificationBody><Tags>news &amp;&amp; !muted</Tags>\
            <TargetPlatforms>apple</TargetPlatforms><ApnsOutcomeCounts><Outcome><Name>ExpiredChannel</Name>\
            <Count>1</Count></Outcome><Outcome><Name>Success</Name><Count>3</Count></Outcome></ApnsOutcomeCounts>\
            <PnsErrorDetailsUri>https://h/errors?a=1&amp;b=2</PnsErrorDetailsUri><FcmV1OutcomeCounts><Outcome>\
            <Name>Success</Name><Count>7</Count></Outcome></FcmV1OutcomeCounts></NotificationDetails>";
        assert_eq!(written(&broadcast("apple", Platform::Apns, 4), &tally), expected);
        assert!(!written(&broadcast("apple", Platform::Apns, 4), &Tally::new()).contains("OutcomeCounts"));
    }

    #[test]
    fn legacy_fcm_counts_under_its_own_name() {
        let tally = Tally::from([((Platform::Fcm, Outcome::Delivered, None), 7)]);
        let text = written(&broadcast("gcm", Platform::Fcm, 7), &tally);
        assert!(text.contains("<GcmOutcomeCounts>") && !text.contains("FcmV1"), "{text}");
        assert!(text.contains("<TargetPlatforms>gcm</TargetPlatforms>") && text.contains("{\"message\":{"), "{text}");
    }

    #[test]
    fn states_are_the_words_that_every_client_knows() {
        let now = Timestamp::from_millis(20);
        let state = |change: fn(&mut Broadcast), targeted| {
            let mut broadcast = broadcast("apple", Platform::Apns, targeted);
            change(&mut broadcast);
            let (location, tally) = (String::new(), Tally::new());
            Details { location, errors: None, broadcast: &broadcast, tally: &tally, now }.state()
        };
        assert_eq!(state(|_| {}, 1), "Completed");
        assert_eq!(state(|_| {}, 0), "NoTargetFound");
        assert_eq!(state(|it| it.wish = Wish::Cancel, 1), "Canceled");
        assert_eq!(state(|it| it.failure = Some("x".to_owned()), 1), "Abandoned");
        let open = |it: &mut Broadcast| it.times.finished = None;
        assert_eq!(state(open, 1), "Enqueued");
        assert_eq!(
            state(|it| (it.times.finished, it.times.started) = (None, Some(Timestamp::default())), 1),
            "Processing"
        );
        assert_eq!(state(|it| (it.times.finished, it.times.due) = (None, Timestamp::from_millis(50)), 1), "Scheduled");
        assert_eq!(
            state(|it| (it.times.finished, it.times.expires) = (None, Timestamp::from_millis(5)), 1),
            "Abandoned"
        );
    }
}
