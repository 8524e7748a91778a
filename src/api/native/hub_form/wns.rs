//! A hub's account with WNS as JSON.

use serde_json::{Value, json};

use super::RATES;
use crate::api::document::Object;
use crate::directory::settings::{WnsAccount, WnsAuth};
use crate::gateway::wns::settings::{DEFAULT_HOSTS, ENTRA_ENDPOINT, LIVE_ENDPOINT};
use crate::identity::secret::Secret;
use crate::model::field::FieldError;

/// What the members hold is judged where the gateway opens.
pub(super) fn read(mut form: Object<'_>, current: Option<&WnsAccount>) -> Result<WnsAccount, FieldError> {
    let is_entra = form.choice("auth", &[("entra", true), ("live", false)])?.unwrap_or(true);
    let (auth, usual_endpoint) = match (is_entra, form.text("tenant_id")?) {
        (true, Some(tenant_id)) => (WnsAuth::Entra { tenant_id }, ENTRA_ENDPOINT),
        (true, None) => return Err(form.fault("tenant_id", "is required")),
        (false, None) => (WnsAuth::Live, LIVE_ENDPOINT),
        (false, Some(_)) => return Err(form.fault("tenant_id", "must not be given with auth \"live\"")),
    };
    let client_id = form.required_text("client_id")?;
    let token_endpoint = form.text("token_endpoint")?.unwrap_or_else(|| usual_endpoint.to_owned());
    // The endpoint is shown the secret, so one that is not known here goes to the endpoint alone that it was given for:
    // whoever may change a hub may not read it.
    let kept = current
        .filter(|known| known.auth == auth && known.client_id == client_id && known.token_endpoint == token_endpoint);
    let client_secret = form
        .text("client_secret")?
        .map(Secret::new)
        .or_else(|| kept.map(|known| known.client_secret.clone()))
        .ok_or_else(|| form.fault("client_secret", "is required"))?;
    let account = WnsAccount {
        auth,
        client_id,
        client_secret,
        token_endpoint,
        allowed_hosts: form.texts("allowed_hosts")?.unwrap_or_else(|| vec![DEFAULT_HOSTS.to_owned()]),
        ca: form.text("ca")?,
        rate_per_second: form.integer("rate_per_second", RATES)?.unwrap_or(0),
    };
    form.finish()?;
    Ok(account)
}

/// The account without its secret.
pub(super) fn show(wns: &WnsAccount) -> Value {
    let mut shown = json!({
        "client_id": wns.client_id,
        "token_endpoint": wns.token_endpoint,
        "allowed_hosts": wns.allowed_hosts,
        "rate_per_second": wns.rate_per_second,
    });
    match &wns.auth {
        WnsAuth::Entra { tenant_id } => {
            shown["auth"] = "entra".into();
            shown["tenant_id"] = tenant_id.as_str().into();
        }
        WnsAuth::Live => shown["auth"] = "live".into(),
    }
    if let Some(ca) = &wns.ca {
        shown["ca"] = ca.as_str().into();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(body: &str, current: Option<&WnsAccount>) -> Result<WnsAccount, String> {
        let form = Object::of_body(body.as_bytes()).map_err(|error| error.to_string())?;
        read(form, current).map_err(|error| error.to_string())
    }

    const ENTRA: &str = r#"{"tenant_id":"contoso.com","client_id":"app","client_secret":"hush"}"#;

    #[test]
    fn what_is_left_out_is_microsofts_own() {
        let entra = read_text(ENTRA, None).unwrap();
        assert_eq!(entra.auth, WnsAuth::Entra { tenant_id: "contoso.com".into() });
        assert_eq!(
            (entra.token_endpoint.as_str(), &entra.allowed_hosts[..]),
            (ENTRA_ENDPOINT, &["*.notify.windows.com".to_owned()][..])
        );
        let live = read_text(r#"{"auth":"live","client_id":"ms-app://S-1-15-2-1","client_secret":"s"}"#, None).unwrap();
        assert_eq!((live.auth, live.token_endpoint.as_str()), (WnsAuth::Live, LIVE_ENDPOINT));
    }

    #[test]
    fn what_is_shown_can_be_sent_back_and_holds_no_secret() {
        let own = read_text(ENTRA, None).unwrap();
        let shown = show(&own).to_string();
        assert!(!shown.contains("hush"));
        let back = read_text(&shown, Some(&own)).unwrap();
        assert!(back.client_secret.matches("hush"));
        assert_eq!(show(&back).to_string(), shown);
    }

    #[test]
    fn a_secret_stays_with_its_identity_and_its_endpoint() {
        let own = read_text(ENTRA, None).unwrap();
        let stays = |body: &str| read_text(body, Some(&own));
        assert!(stays(r#"{"tenant_id":"contoso.com","client_id":"app","rate_per_second":9}"#).is_ok());
        for other in [
            r#"{"tenant_id":"other.com","client_id":"app"}"#,
            r#"{"tenant_id":"contoso.com","client_id":"app2"}"#,
            r#"{"tenant_id":"contoso.com","client_id":"app","token_endpoint":"https://evil.example/t"}"#,
            r#"{"auth":"live","client_id":"app"}"#,
        ] {
            assert_eq!(stays(other).unwrap_err(), "client_secret is required", "{other}");
        }
    }

    #[test]
    fn each_bad_member_is_named() {
        for (body, error) in [
            (r#"{"auth":"oauth"}"#, "auth must be \"entra\" or \"live\""),
            (r#"{"client_id":"app"}"#, "tenant_id is required"),
            (r#"{"auth":"live","tenant_id":"t"}"#, "tenant_id must not be given with auth \"live\""),
            (r#"{"tenant_id":"t"}"#, "client_id is required"),
            (r#"{"tenant_id":"t","client_id":"c"}"#, "client_secret is required"),
            (r#"{"tenant_id":"t","client_id":"c","client_secret":1}"#, "client_secret must be a string"),
            (r#"{"tenant_id":"t","client_id":"c","token_endpoint":1}"#, "token_endpoint must be a string"),
            (
                r#"{"tenant_id":"t","client_id":"c","client_secret":"s","allowed_hosts":"h"}"#,
                "allowed_hosts must be an array of strings",
            ),
            (r#"{"tenant_id":"t","client_id":"c","client_secret":"s","ca":[]}"#, "ca must be a string"),
            (
                r#"{"tenant_id":"t","client_id":"c","client_secret":"s","rate_per_second":-1}"#,
                "rate_per_second must be a whole number",
            ),
            (r#"{"tenant_id":"t","client_id":"c","client_secret":"s","x":1}"#, "x is not known here"),
        ] {
            let told = read_text(body, None).unwrap_err();
            assert!(told.starts_with(error), "{body}: {told}");
        }
    }
}
