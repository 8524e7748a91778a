//! A hub's account with ADM as JSON.

use serde_json::{Value, json};

use super::RATES;
use crate::api::document::Object;
use crate::directory::settings::AdmAccount;
use crate::gateway::adm::settings::{ENDPOINT, TOKEN_ENDPOINT};
use crate::identity::secret::Secret;
use crate::model::field::FieldError;

/// What the members hold is judged where the gateway opens.
pub(super) fn read(mut form: Object<'_>, current: Option<&AdmAccount>) -> Result<AdmAccount, FieldError> {
    let client_id = form.required_text("client_id")?;
    let token_endpoint = form.text("token_endpoint")?.unwrap_or_else(|| TOKEN_ENDPOINT.to_owned());
    // The endpoint is shown the secret, so one that is not known here goes to the endpoint alone that it was given for.
    let kept = current.filter(|known| known.client_id == client_id && known.token_endpoint == token_endpoint);
    let client_secret = form
        .text("client_secret")?
        .map(Secret::new)
        .or_else(|| kept.map(|known| known.client_secret.clone()))
        .ok_or_else(|| form.fault("client_secret", "is required"))?;
    let account = AdmAccount {
        client_id,
        client_secret,
        endpoint: form.text("endpoint")?.unwrap_or_else(|| ENDPOINT.to_owned()),
        token_endpoint,
        ca: form.text("ca")?,
        rate_per_second: form.integer("rate_per_second", RATES)?.unwrap_or(0),
    };
    form.finish()?;
    Ok(account)
}

/// The account without its secret.
pub(super) fn show(adm: &AdmAccount) -> Value {
    let mut shown = json!({
        "client_id": adm.client_id,
        "endpoint": adm.endpoint,
        "token_endpoint": adm.token_endpoint,
        "rate_per_second": adm.rate_per_second,
    });
    if let Some(ca) = &adm.ca {
        shown["ca"] = ca.as_str().into();
    }
    shown
}
