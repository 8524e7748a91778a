//! `/push/installations/{id}`: apps register their own devices (`mobile-apps.md` section 5).
//!
//! The same documents and the same registry as the native API's; what of a document is the app's to say, and who may
//! change whose device, is decided by [`Report`]. An id must be a GUID as the client libraries make them: they are not
//! guessed, and ids that a backend gave to devices of the same hub in another form are out of reach here.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use http::request::Parts;
use http::{HeaderName, StatusCode};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::Route;
use super::caller::Caller;
use super::refusal::Refused;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::native::installations::report_one;
use crate::api::request::Body;
use crate::config::Access;
use crate::directory::Hub;
use crate::model::field::FieldError;
use crate::model::id::{InstallationId, UserId};
use crate::model::installation::{Installation, OwnTags, Report, Reporter, Said};

/// The id of the app that asks.
const INSTALLATION: HeaderName = HeaderName::from_static("x-zumo-installation-id");
/// Characters of a GUID with its hyphens.
const GUID: usize = 36;

pub(super) fn routes() -> Vec<Route> {
    let nothing = async || Refused::no_route();
    let methods = put(register).delete(leave).get(nothing).post(nothing).patch(nothing);
    vec![("/push/installations/{id}", methods)]
}

/// A device, and who asks about it; they may ask at all, and not too often.
struct Device {
    hub: Arc<Hub>,
    own: OwnTags,
    id: InstallationId,
    by: Reporter,
}

impl FromRequestParts<Arc<App>> for Device {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let mobile = app.mobile.as_ref().ok_or_else(Refused::no_route)?;
        let caller = Caller::from_request_parts(parts, app).await?;
        let hub = hub(app, mobile.config.hub.as_deref()).await?;
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|_| Refused::bad("the path must be UTF-8 in percent-encoding"))?;
        let id = params.iter().find(|(name, _)| *name == "id").map_or("", |(_, id)| id);
        let rule = || FieldError::new("installationId", "must be a GUID of 36 characters");
        let is_guid = id.len() == GUID && Uuid::try_parse(id).is_ok();
        let id = if is_guid { InstallationId::parse(id)? } else { return Err(rule().into()) };
        app.rates.admit_app((hub.id, hub.name.as_str()), &id, parts)?;
        if mobile.config.push.access == Access::Authenticated {
            caller.signed_in()?;
        }
        let shown = parts.headers.get(INSTALLATION).and_then(|shown| shown.to_str().ok());
        let by = Reporter {
            user: caller.user().map(|user| UserId::parse(&user.sub)).transpose()?,
            is_device: shown.is_some_and(|shown| shown.trim().eq_ignore_ascii_case(id.as_str())),
        };
        Ok(Self { hub, own: mobile.config.push.allowed_tags.clone(), id, by })
    }
}

/// The hub that devices go to; another process may have made it a moment ago.
async fn hub(app: &App, name: Option<&str>) -> Result<Arc<Hub>, Refused> {
    let name = name.ok_or_else(|| Refused::not_found("this service registers no devices: mobile.hub is not set"))?;
    if let Some(hub) = app.directory.hub(name) {
        return Ok(hub);
    }
    app.directory.look().await?;
    app.directory.hub(name).ok_or_else(|| Refused::not_found("the hub of mobile.hub does not exist"))
}

async fn register(State(app): State<Arc<App>>, device: Device, Body(body): Body) -> Result<Response, Refused> {
    let Device { hub, own, id, by } = device;
    let (document, names_tags) = said(&body, &own)?;
    let installation = Installation::parse(&document, Some(id.as_str()), &app.limits.installation)?;
    let says = Some(Box::new(Said { installation, names_tags, own }));
    done(&app, &hub, Report { id, by, says }).await?;
    Ok(StatusCode::OK.into_response())
}

async fn leave(State(app): State<Arc<App>>, device: Device) -> Result<StatusCode, Refused> {
    let Device { hub, id, by, .. } = device;
    done(&app, &hub, Report { id, by, says: None }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn done(app: &App, hub: &Hub, report: Report) -> Result<(), Refused> {
    let is_nobody = report.by.user.is_none();
    match report_one(app, hub, report).await {
        Ok(_) => Ok(()),
        // Signing in may help them.
        Err(error) if error.status() == StatusCode::FORBIDDEN && is_nobody => {
            Err(Refused::unauthorised("the installation belongs to a user: sign in, or ask from the device itself"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The document without what an app has no say in, and whether it names tags of the device.
fn said(body: &[u8], own: &OwnTags) -> Result<(Vec<u8>, bool), Refused> {
    let read = serde_json::from_slice(body);
    let mut document: Map<String, Value> =
        read.map_err(|error| FieldError::json("body", "must be a JSON object", &error))?;
    document.retain(|name, value| {
        let is = |word: &str| name.eq_ignore_ascii_case(word);
        // Whose it is, the token says. Android's library writes an end that is none (5.1).
        let is_ours = is("userId") || (is("expirationTime") && *value == "");
        !is_ours
    });
    let names_tags = keep_own_tags(&mut document, own);
    let template = |template: &mut Map<String, Value>| {
        keep_own_tags(template, own);
    };
    each_within(&mut document, "templates", template);
    each_within(&mut document, "secondaryTiles", |tile| {
        keep_own_tags(tile, own);
        each_within(tile, "templates", template);
    });
    let document = serde_json::to_vec(&document).map_err(ApiError::internal)?;
    Ok((document, names_tags))
}

/// Leaves an object the tags that its app may set, and answers whether it names any at all. What is no list of tags is
/// as if it were not there: the original servers did not look at it.
fn keep_own_tags(object: &mut Map<String, Value>, own: &OwnTags) -> bool {
    let mut names_tags = false;
    object.retain(|name, value| {
        if !name.eq_ignore_ascii_case("tags") {
            return true;
        }
        let Value::Array(tags) = value else { return false };
        tags.retain(|tag| tag.as_str().is_some_and(|tag| own.may_set(tag.trim())));
        names_tags = true;
        true
    });
    names_tags
}

/// The objects in an object within.
fn each_within(object: &mut Map<String, Value>, word: &str, mut then: impl FnMut(&mut Map<String, Value>)) {
    let within = object.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case(word));
    for objects in within.filter_map(|(_, value)| value.as_object_mut()) {
        objects.values_mut().filter_map(Value::as_object_mut).for_each(&mut then);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::installation::OwnTag;
    use serde_json::json;

    #[test]
    fn what_an_app_has_no_say_in_is_left_out() {
        let own: OwnTags = [OwnTag::parse("topic:*").unwrap()].into_iter().collect();
        let left = |document: Value| {
            let (document, names_tags) = said(document.to_string().as_bytes(), &own).unwrap();
            (serde_json::from_slice::<Value>(&document).unwrap(), names_tags)
        };
        let template = |tags: Value| json!({"body": "{}", "Tags": tags});
        let tags = json!(["topic:a", " topic:b ", "vip", "_UserId:x", "no tag", 7]);
        let own_tags = json!(["topic:a", " topic:b "]);
        let (document, names_tags) = left(json!({
            "platform": "apns", "UserID": "x", "ExpirationTime": "", "TAGS": tags, "templates": {"t": template(tags.clone())},
            "secondaryTiles": {"s": {"tags": tags, "templates": {"t": template(tags.clone())}}},
        }));
        assert!(names_tags);
        assert_eq!(
            document,
            json!({
                "platform": "apns", "TAGS": own_tags, "templates": {"t": template(own_tags.clone())},
                "secondaryTiles": {"s": {"tags": own_tags, "templates": {"t": template(own_tags.clone())}}},
            })
        );
        for odd in [json!({"tags": null}), json!({"tags": "vip"}), json!({"tags": {"a": 1}}), json!({})] {
            assert_eq!(left(odd), (json!({}), false));
        }
        // What is of the wrong kind is left for the document's own rules.
        let odd = json!({"templates": [], "secondaryTiles": 7, "expirationTime": "soon"});
        assert_eq!(left(odd.clone()), (odd, false));
        assert!(said(b"[]", &own).is_err() && said(b"{", &own).is_err());
    }
}
