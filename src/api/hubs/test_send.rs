//! S4: a send that waits for what becomes of it and says so for each device (`notification-hubs.md` 2.5.7).

use std::time::Duration;

use super::names;
use super::notification::Format;
use super::xml::{CONNECT, INSTANCE, Xml};
use crate::api::App;
use crate::api::error::ApiError;
use crate::directory::Hub;
use crate::model::broadcast::{Broadcast, Content, Wish};
use crate::model::channel::Channel;
use crate::model::id::BroadcastId;
use crate::model::installation::Installation;
use crate::model::outcome::Outcome;
use crate::model::platform::{Platform, PlatformWord};
use crate::model::registration::Registrant;
use crate::model::target::TargetKind;
use crate::store::{ControlError, OutcomeItem, OutcomeQuery};

/// Devices of one test, picked at random from its audience.
pub const MOST: usize = 10;

/// How long the push service may take, and how often is looked.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// For so long a cancelled test may still close.
const CLOSING: Duration = Duration::from_secs(3);

/// Waits for the end and writes it down. What the service does not take in time is cancelled.
pub async fn outcome(app: &App, hub: &Hub, id: BroadcastId) -> Result<String, ApiError> {
    let mut broadcast = finished(app, hub, id, PATIENCE).await?;
    if broadcast.times.finished.is_none() {
        match app.fanout.wish(hub.id, id, Wish::Cancel).await {
            Ok(_) | Err(ControlError::Over) => {}
            Err(error) => return Err(error.into()),
        }
        broadcast = finished(app, hub, id, CLOSING).await?;
    }
    let query = OutcomeQuery { limit: 1_000, ..OutcomeQuery::default() };
    let items = app.store.outcomes(hub.id, id, query).await?.map(|page| page.items).unwrap_or_default();
    write(app, hub, &broadcast, items).await
}

async fn finished(app: &App, hub: &Hub, id: BroadcastId, within: Duration) -> Result<Broadcast, ApiError> {
    let end = app.clock.boot().plus(within);
    loop {
        let broadcast = app.store.broadcast(hub.id, id).await?.ok_or(ControlError::NotFound)?;
        // A sender that rests for its credentials goes on when somebody mends them: not now.
        let rests = app.fanout.blocked_senders(hub.id).iter().any(|(platform, hold)| {
            hold.is_paused() && broadcast.platforms.get(platform).is_some_and(|counters| counters.pending > 0)
        });
        let waits = broadcast.times.finished.is_none() && app.clock.boot() < end && !app.draining.is_cancelled();
        if !waits || (rests && broadcast.wish == Wish::Run) {
            return Ok(broadcast);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn write(app: &App, hub: &Hub, broadcast: &Broadcast, items: Vec<OutcomeItem>) -> Result<String, ApiError> {
    let delivered = items.iter().filter(|item| item.outcome == Some(Outcome::Delivered)).count();
    let paused = app.fanout.blocked_senders(hub.id);
    let mut xml = Xml::new();
    xml.open_with("NotificationOutcome", &[("xmlns", CONNECT), ("xmlns:i", INSTANCE)])
        .leaf("Success", &delivered.to_string())
        .leaf("Failure", &(items.len() - delivered).to_string());
    if items.is_empty() {
        xml.empty("Results", &[]);
    } else {
        xml.open("Results");
        for item in items {
            let refused = paused.get(&item.platform).filter(|hold| hold.is_paused());
            let told = match (item.outcome, refused) {
                (Some(Outcome::Cancelled) | None, Some(hold)) => {
                    names::told(Some(Outcome::Rejected), Some(hold.reason.as_str()))
                }
                (outcome, _) => names::told(outcome, item.reason.as_deref()),
            };
            let device = Device::of(app, hub, broadcast, &item).await?;
            xml.open("RegistrationResult")
                .leaf("ApplicationPlatform", device.platform)
                .leaf("PnsHandle", &device.handle)
                .leaf("RegistrationId", &device.registration)
                .leaf("Outcome", &told)
                .close("RegistrationResult");
        }
        xml.close("Results");
    }
    xml.close("NotificationOutcome");
    Ok(xml.into_string())
}

struct Device {
    platform: &'static str,
    handle: String,
    registration: String,
}

impl Device {
    /// What is known of a target. A direct send has no registration, and of one that the push service gave up there is no
    /// handle left, unless an installation's document keeps it.
    async fn of(app: &App, hub: &Hub, broadcast: &Broadcast, item: &OutcomeItem) -> Result<Self, ApiError> {
        let word = match &broadcast.request.content {
            Content::Raw(raw) if raw.format == "gcm" => "gcm",
            _ => Format::word_of(item.platform),
        };
        let registration = item.registration().map_or_else(String::new, |id| id.as_str().to_owned());
        if let Some(handle) = &item.handle {
            return Ok(Self { platform: word, handle: handle.clone(), registration });
        }
        let known = match &item.registrant {
            None => None,
            Some(Registrant::Registration(id)) => {
                let stored = app.store.registration(hub.id, id).await?;
                stored.map(|stored| (stored.registration.platform, stored.registration.channel.text()))
            }
            Some(Registrant::Installation(id)) => {
                let stored = app.store.installation(hub.id, id).await?;
                stored.map(|stored| (stored.installation.platform, handle(&stored.installation, &item.target)))
            }
        };
        let is_gcm = item.platform == Platform::Fcm && matches!(known, Some((PlatformWord::Gcm, _)));
        let handle = known.map_or_else(String::new, |(_, handle)| handle);
        Ok(Self { platform: if is_gcm { "gcm" } else { word }, handle, registration })
    }
}

/// The handle of one of an installation's targets.
fn handle(it: &Installation, target: &TargetKind) -> String {
    let channel = match target {
        TargetKind::Native | TargetKind::Template(_) => Some(&it.channel),
        TargetKind::Tile(tile) | TargetKind::TileTemplate { tile, .. } => {
            it.tiles.get(&**tile).map(|tile| &tile.channel)
        }
    };
    channel.map_or_else(String::new, Channel::text)
}
