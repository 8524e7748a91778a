//! A hub's identity before the push services of browsers as JSON.

use serde_json::{Value, json};

use super::RATES;
use crate::api::document::Object;
use crate::directory::settings::WebPushAccount;
use crate::gateway::web_push::VapidKey;
use crate::identity::secret::Secret;
use crate::model::field::FieldError;

/// What the members hold is judged where the gateway opens. A key that is left out is the present one: it never leaves, so
/// it need not stay with anything.
pub(super) fn read(mut form: Object<'_>, current: Option<&WebPushAccount>) -> Result<WebPushAccount, FieldError> {
    form.ignore(&["vapid_public_key"]);
    let subject = form.required_text("subject")?;
    let vapid_private_key = form
        .text("vapid_private_key")?
        .map(Secret::new)
        .or_else(|| current.map(|known| known.vapid_private_key.clone()))
        .ok_or_else(|| form.fault("vapid_private_key", "is required"))?;
    let account = WebPushAccount {
        subject,
        vapid_private_key,
        allow_private_networks: form.boolean("allow_private_networks")?.unwrap_or(false),
        ca: form.text("ca")?,
        rate_per_second: form.integer("rate_per_second", RATES)?.unwrap_or(0),
    };
    form.finish()?;
    Ok(account)
}

/// The account without its private key; the public half is what pages subscribe with.
pub(super) fn show(web_push: &WebPushAccount) -> Value {
    let mut shown = json!({
        "subject": web_push.subject,
        "allow_private_networks": web_push.allow_private_networks,
        "rate_per_second": web_push.rate_per_second,
    });
    if let Ok(key) = VapidKey::read(web_push.vapid_private_key.expose()) {
        shown["vapid_public_key"] = key.public().into();
    }
    if let Some(ca) = &web_push.ca {
        shown["ca"] = ca.as_str().into();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    const PUBLIC: &str = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

    fn read_text(body: &str, current: Option<&WebPushAccount>) -> Result<WebPushAccount, String> {
        let form = Object::of_body(body.as_bytes()).map_err(|error| error.to_string())?;
        read(form, current).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_shown_can_be_sent_back_and_holds_no_secret() {
        let body = format!(r#"{{"subject":"mailto:a@b.example","vapid_private_key":"{KEY}"}}"#);
        let own = read_text(&body, None).unwrap();
        let shown = show(&own);
        assert_eq!(shown["vapid_public_key"], PUBLIC);
        assert_eq!(shown["allow_private_networks"], false);
        assert!(!shown.to_string().contains(KEY));
        let back = read_text(&shown.to_string(), Some(&own)).unwrap();
        assert!(back.vapid_private_key.matches(KEY));
        assert_eq!(show(&back), shown);
    }

    #[test]
    fn each_bad_member_is_named() {
        for (body, error) in [
            (r#"{"vapid_private_key":"k"}"#, "subject is required"),
            (r#"{"subject":"mailto:a@b"}"#, "vapid_private_key is required"),
            (r#"{"subject":"s","vapid_private_key":1}"#, "vapid_private_key must be a string"),
            (r#"{"subject":"s","vapid_private_key":"k","allow_private_networks":1}"#, "allow_private_networks must be"),
            (r#"{"subject":"s","vapid_private_key":"k","ca":[]}"#, "ca must be a string"),
            (r#"{"subject":"s","vapid_private_key":"k","rate_per_second":-1}"#, "rate_per_second must be a whole"),
            (r#"{"subject":"s","vapid_private_key":"k","x":1}"#, "x is not known here"),
        ] {
            let told = read_text(body, None).unwrap_err();
            assert!(told.starts_with(error), "{body}: {told}");
        }
    }
}
