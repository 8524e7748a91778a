//! F1 and what it leads to: handles that push services gave up (`notification-hubs.md` 2.8), and the errors of one
//! message (2.7). Both are served by Fanfare itself under signed addresses ([`link`]), read from the outcomes while they
//! are sent: no record is written anywhere.
//!
//! | address | answers |
//! |---|---|
//! | `/{hub}/feedback` | all records, one document after another |
//! | the same with `restype=container&comp=list` | the list of days, as a blob container lists its blobs |
//! | `/{hub}/feedback/{MMddyyyy}` | the records of one day |
//! | `/{hub}/messages/{id}/errors` | one record for each target of that message that failed |

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderValue, header};

use super::here::{Here, Query, on};
use super::names;
use super::notification::Format;
use super::refusal::XML;
use super::xml::{CONNECT, INSTANCE, Xml};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::request::Visit;
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::identity::link;
use crate::model::broadcast::Broadcast;
use crate::model::id::{BroadcastId, Seq};
use crate::model::outcome::Outcome;
use crate::model::registration::{Registrant, RegistrationId};
use crate::model::time::Timestamp;
use crate::store::{OutcomeItem, OutcomeQuery, StoreError};

/// How long an address holds.
const LIFE: Duration = Duration::from_hours(24);

/// Broadcasts, and targets of one, that are read at once.
const BROADCASTS: usize = 100;
const TARGETS: usize = 500;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// F1: the address alone, which clients take as it is.
pub(super) async fn container(State(app): State<Arc<App>>, visit: Visit, here: Here) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::MANAGE)?;
    let address = signed(&app, &here, &format!("/{}/feedback", hub.name), app.clock.now());
    Ok(([(header::CONTENT_TYPE, TEXT)], address).into_response())
}

/// Where the errors of the message at `path` are found.
pub fn errors_address(app: &App, here: &Here, path: &str, now: Timestamp) -> String {
    signed(app, here, &format!("{path}/errors"), now)
}

fn signed(app: &App, here: &Here, path: &str, now: Timestamp) -> String {
    let until = now.plus(LIFE).millis().div_euclid(1_000);
    format!("{}?{}", here.bare(path), link::query(&app.admin, path, until))
}

/// The hub of a signed address.
async fn hub(app: &App, params: &HashMap<String, String>, query: &Query, below: &str) -> Result<Arc<Hub>, ApiError> {
    let name = params.get("hub").map_or("", String::as_str);
    let now = app.clock.now().millis().div_euclid(1_000);
    if !link::allows(&app.admin, &format!("/{name}{below}"), query.get("se"), query.get("sig"), now) {
        return Err(ApiError::unauthorised(
            "InvalidSignature: the address is signed for something else, or it has expired",
        ));
    }
    if app.directory.hub(name).is_none() {
        app.directory.look().await?;
    }
    app.directory.hub(name).ok_or_else(ApiError::no_hub)
}

/// Every record, or the list of days.
pub(super) async fn content(
    State(app): State<Arc<App>>,
    Path(params): Path<HashMap<String, String>>,
    query: Query,
    here: Here,
) -> Result<Response, ApiError> {
    let hub = hub(&app, &params, &query, "/feedback").await?;
    let mut walk = Walk::of_hub(app, hub.clone(), None);
    if query.get("comp").is_none_or(|part| !part.eq_ignore_ascii_case("list")) {
        return stream(walk).await;
    }
    let mut days = BTreeSet::new();
    while let Some(items) = walk.next().await? {
        days.extend(items.iter().map(|(_, item)| day_of(item.at)));
    }
    Ok(([(header::CONTENT_TYPE, XML)], listing(&here.bare(&format!("/{}/feedback", hub.name)), &days)).into_response())
}

/// The records of one day.
pub(super) async fn day(
    State(app): State<Arc<App>>,
    Path(params): Path<HashMap<String, String>>,
    query: Query,
) -> Result<Response, ApiError> {
    let hub = hub(&app, &params, &query, "/feedback").await?;
    stream(Walk::of_hub(app, hub, params.get("day").cloned())).await
}

/// The errors of one message.
pub(super) async fn of_message(
    State(app): State<Arc<App>>,
    Path(params): Path<HashMap<String, String>>,
    query: Query,
) -> Result<Response, ApiError> {
    let text = params.get("id").map_or("", String::as_str);
    let hub = hub(&app, &params, &query, &format!("/messages/{text}/errors")).await?;
    let missing = || ApiError::not_found("no_broadcast", "There is no such notification");
    let id = BroadcastId::parse(text).ok_or_else(missing)?;
    app.store.broadcast(hub.id, id).await?.ok_or_else(missing)?;
    stream(Walk::of_broadcast(app, hub, id)).await
}

/// Days as a container lists its blobs.
fn listing(container: &str, days: &BTreeSet<String>) -> String {
    let mut xml = Xml::new();
    xml.open_with("EnumerationResults", &[("ContainerName", container)]).open("Blobs");
    for day in days {
        xml.open("Blob").leaf("Name", day).open("Properties");
        xml.leaf("Content-Type", "text/plain").leaf("BlobType", "BlockBlob").close("Properties").close("Blob");
    }
    xml.close("Blobs").empty("NextMarker", &[]).close("EnumerationResults");
    xml.into_string()
}

/// `MMddyyyy`, UTC.
fn day_of(at: Timestamp) -> String {
    let text = at.to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    format!("{}{}{}", part(5..7), part(8..10), part(0..4))
}

/// Goes through what failed, newest broadcast first, page by page.
struct Walk {
    app: Arc<App>,
    hub: Arc<Hub>,
    /// Only records of this day.
    day: Option<String>,
    /// Every failure, not only of handles.
    all: bool,
    /// Broadcasts with failures that are not looked into yet.
    broadcasts: VecDeque<Broadcast>,
    before: Option<BroadcastId>,
    more: bool,
    passes: Vec<Pass>,
}

/// The targets of one broadcast with one outcome, from one on.
#[derive(Clone, Copy)]
struct Pass {
    broadcast: BroadcastId,
    outcome: Outcome,
    from: Option<Seq>,
}

impl Walk {
    fn of_hub(app: Arc<App>, hub: Arc<Hub>, day: Option<String>) -> Self {
        let (broadcasts, passes) = (VecDeque::new(), Vec::new());
        Self { app, hub, day, all: false, broadcasts, before: None, more: true, passes }
    }

    fn of_broadcast(app: Arc<App>, hub: Arc<Hub>, broadcast: BroadcastId) -> Self {
        let pass = |outcome| Pass { broadcast, outcome, from: None };
        let passes = vec![pass(Outcome::Rejected), pass(Outcome::Dropped)];
        Self { all: true, more: false, passes, ..Self::of_hub(app, hub, None) }
    }

    /// Whether a failure is a record here.
    fn wants(&self, outcome: Outcome, reason: Option<&str>) -> bool {
        self.all || matches!(names::outcome(outcome, reason), names::EXPIRED_CHANNEL | names::BAD_CHANNEL)
    }

    /// The next page; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<(BroadcastId, OutcomeItem)>>, StoreError> {
        loop {
            if self.app.draining.is_cancelled() {
                return Err(StoreError::Unavailable("the service is stopping".to_owned()));
            }
            if let Some(pass) = self.passes.pop() {
                let Pass { broadcast, outcome, from } = pass;
                let query = OutcomeQuery { outcome: Some(Some(outcome)), from, limit: TARGETS, installation: None };
                let page = self.app.store.outcomes(self.hub.id, broadcast, query).await?.unwrap_or_default();
                if page.next.is_some() {
                    self.passes.push(Pass { from: page.next, ..pass });
                }
                let is_record = |item: &OutcomeItem| {
                    self.wants(outcome, item.reason.as_deref())
                        && self.day.as_ref().is_none_or(|day| *day == day_of(item.at))
                };
                let items: Vec<_> = page.items.into_iter().filter(is_record).map(|item| (broadcast, item)).collect();
                if !items.is_empty() {
                    return Ok(Some(items));
                }
            } else if let Some(broadcast) = self.broadcasts.pop_front() {
                // Reasons are counted before targets are listed: most rejections are no fault of a handle.
                let tally = self.app.store.tally(self.hub.id, broadcast.id).await?.unwrap_or_default();
                for outcome in [Outcome::Rejected, Outcome::Dropped] {
                    let wanted = |reason: &Option<String>| self.wants(outcome, reason.as_deref());
                    if tally.keys().any(|(_, found, reason)| *found == outcome && wanted(reason)) {
                        self.passes.push(Pass { broadcast: broadcast.id, outcome, from: None });
                    }
                }
            } else if self.more {
                let page = self.app.store.broadcasts(self.hub.id, self.before, BROADCASTS).await?;
                self.more = page.len() == BROADCASTS;
                self.before = page.last().map(|last| last.id);
                let failed = |broadcast: &Broadcast| {
                    let counters = broadcast.counters();
                    counters.rejected + counters.dropped > 0
                };
                self.broadcasts.extend(page.into_iter().filter(failed));
            } else {
                return Ok(None);
            }
        }
    }

    /// The records of a page as they are sent.
    async fn text(&self, items: Vec<(BroadcastId, OutcomeItem)>) -> Result<String, StoreError> {
        let mut text = String::new();
        for (broadcast, item) in items {
            let handle = match (&item.handle, &item.registrant) {
                (Some(handle), _) => Some(handle.clone()),
                // A dead channel stays in its document until the app reports another one.
                (None, Some(Registrant::Installation(id))) => {
                    let stored = self.app.store.installation(self.hub.id, id).await?;
                    let dead =
                        stored.filter(|stored| stored.channel_expired || item.outcome == Some(Outcome::Rejected));
                    dead.map(|stored| stored.installation.channel.text())
                }
                // A registration is gone with its channel: only one that was rejected without that has a handle left.
                (None, Some(Registrant::Registration(id))) => {
                    let stored = self.app.store.registration(self.hub.id, id).await?;
                    stored.map(|stored| stored.registration.channel.text())
                }
                (None, None) => None,
            };
            text.push_str(&record(broadcast, &item, handle.as_deref()));
        }
        Ok(text)
    }
}

fn record(broadcast: BroadcastId, item: &OutcomeItem, handle: Option<&str>) -> String {
    let error = names::outcome(item.outcome.unwrap_or(Outcome::Rejected), item.reason.as_deref());
    let mut xml = Xml::new();
    xml.open_with("PnsFeedback", &[("xmlns:i", INSTANCE), ("xmlns", CONNECT)])
        .leaf("FeedbackTime", &item.at.to_string())
        .leaf("NotificationSystemError", error)
        .leaf("Platform", Format::word_of(item.platform))
        .leaf_if("PnsHandle", handle)
        .leaf_if("RegistrationId", item.registration().as_ref().map(RegistrationId::as_str))
        .leaf_if("InstallationId", item.installation().map(crate::model::id::InstallationId::as_str))
        .leaf("NotificationId", &broadcast.to_string())
        .close("PnsFeedback");
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{}", xml.into_string())
}

async fn stream(mut walk: Walk) -> Result<Response, ApiError> {
    // Before the answer begins, so that what is wrong from the start has a status.
    let first = walk.next().await?;
    let pages = stream::try_unfold((walk, first), |(mut walk, page)| async move {
        let Some(items) = page else { return Ok::<_, StoreError>(None) };
        let next = async {
            let text = walk.text(items).await?;
            Ok((text, walk.next().await?))
        };
        let (text, next) = next.await.inspect_err(|error: &StoreError| {
            if let Some(fault) = ApiError::from(error.clone()).fault() {
                fault.log(walk.app.fanout.trouble());
            }
        })?;
        Ok(Some((text, (walk, next))))
    });
    Ok(([(header::CONTENT_TYPE, TEXT)], Body::from_stream(pages)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::InstallationId;
    use crate::model::platform::Platform;
    use crate::model::target::TargetKind;

    #[test]
    fn a_record_is_a_document_in_order() {
        let item = OutcomeItem {
            seq: Seq(1),
            registrant: InstallationId::parse("dev-1").ok().map(Registrant::Installation),
            handle: None,
            target: TargetKind::Native,
            platform: Platform::Apns,
            outcome: Some(Outcome::Dropped),
            reason: Some("Unregistered".to_owned()),
            at: Timestamp::parse("2026-01-05T10:00:01Z").unwrap(),
        };
        let expected = "<?xml version=\"1.0\" encoding=\"utf-8\"?><PnsFeedback \
            xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" \
            xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\">\
            <FeedbackTime>2026-01-05T10:00:01.000Z</FeedbackTime>\
            <NotificationSystemError>ExpiredChannel</NotificationSystemError><Platform>apple</Platform>\
            <PnsHandle>00FC</PnsHandle><RegistrationId>0-1-0</RegistrationId><InstallationId>dev-1</InstallationId>\
            <NotificationId>07070707-0707-0707-0707-070707070707</NotificationId></PnsFeedback>";
        assert_eq!(record(BroadcastId::from_bytes([7; 16]), &item, Some("00FC")), expected);
        assert_eq!(day_of(item.at), "01052026");
    }
}
