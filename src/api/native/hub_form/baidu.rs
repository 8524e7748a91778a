//! A hub's account with Baidu as JSON.

use serde_json::{Value, json};

use super::RATES;
use crate::api::document::Object;
use crate::directory::settings::BaiduAccount;
use crate::gateway::baidu::settings::ENDPOINT;
use crate::identity::secret::Secret;
use crate::model::field::FieldError;

/// What the members hold is judged where the gateway opens. A secret that is left out is the present one, if it belongs
/// to the same API key: it signs and never leaves, so it need not stay with its endpoint.
pub(super) fn read(mut form: Object<'_>, current: Option<&BaiduAccount>) -> Result<BaiduAccount, FieldError> {
    let api_key = form.required_text("api_key")?;
    let kept = current.filter(|known| known.api_key == api_key).map(|known| known.secret_key.clone());
    let secret_key = form.text("secret_key")?.map(Secret::new).or(kept);
    let account = BaiduAccount {
        secret_key: secret_key.ok_or_else(|| form.fault("secret_key", "is required"))?,
        api_key,
        endpoint: form.text("endpoint")?.unwrap_or_else(|| ENDPOINT.to_owned()),
        ca: form.text("ca")?,
        rate_per_second: form.integer("rate_per_second", RATES)?.unwrap_or(0),
    };
    form.finish()?;
    Ok(account)
}

/// The account without its secret.
pub(super) fn show(baidu: &BaiduAccount) -> Value {
    let mut shown = json!({
        "api_key": baidu.api_key,
        "endpoint": baidu.endpoint,
        "rate_per_second": baidu.rate_per_second,
    });
    if let Some(ca) = &baidu.ca {
        shown["ca"] = ca.as_str().into();
    }
    shown
}
