//! A hub's account with Xiaomi as JSON.

use serde_json::{Value, json};

use super::RATES;
use crate::api::document::Object;
use crate::directory::settings::XiaomiAccount;
use crate::gateway::xiaomi::settings::ENDPOINT;
use crate::identity::secret::Secret;
use crate::model::field::FieldError;

/// What the members hold is judged where the gateway opens.
pub(super) fn read(mut form: Object<'_>, current: Option<&XiaomiAccount>) -> Result<XiaomiAccount, FieldError> {
    let endpoint = form.text("endpoint")?.unwrap_or_else(|| ENDPOINT.to_owned());
    // The endpoint is shown the secret, so one that is not known here goes to the endpoint alone that it was given for.
    let kept = current.filter(|known| known.endpoint == endpoint).map(|known| known.app_secret.clone());
    let app_secret = form.text("app_secret")?.map(Secret::new).or(kept);
    let account = XiaomiAccount {
        app_secret: app_secret.ok_or_else(|| form.fault("app_secret", "is required"))?,
        package_name: form.text("package_name")?,
        endpoint,
        ca: form.text("ca")?,
        rate_per_second: form.integer("rate_per_second", RATES)?.unwrap_or(0),
    };
    form.finish()?;
    Ok(account)
}

/// The account without its secret.
pub(super) fn show(xiaomi: &XiaomiAccount) -> Value {
    let mut shown = json!({ "endpoint": xiaomi.endpoint, "rate_per_second": xiaomi.rate_per_second });
    for (name, text) in [("package_name", &xiaomi.package_name), ("ca", &xiaomi.ca)] {
        if let Some(text) = text {
            shown[name] = text.as_str().into();
        }
    }
    shown
}
