//! Who calls, in the headers that code behind a gateway of this kind reads (`mobile-apps.md` 4.10). Only this service says
//! so: what a caller brings along under such a name never passes, in no spelling that an upstream might take for it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::identity::session::User;

const PRINCIPAL: HeaderName = HeaderName::from_static("x-ms-client-principal");
const ID: HeaderName = HeaderName::from_static("x-ms-client-principal-id");
const NAME: HeaderName = HeaderName::from_static("x-ms-client-principal-name");
const PROVIDER: HeaderName = HeaderName::from_static("x-ms-client-principal-idp");
/// Names that begin so are this service's alone; provider tokens are of the second kind.
const OURS: [&str; 2] = ["x-ms-client-principal", "x-ms-token-"];

const OF_ID: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
const OF_NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
const OF_EMAIL: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
const OF_ROLE: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";

#[derive(Serialize)]
struct Principal<'a> {
    auth_typ: &'a str,
    claims: Vec<Claim<'a>>,
    name_typ: &'a str,
    role_typ: &'a str,
}

#[derive(Serialize)]
struct Claim<'a> {
    typ: &'a str,
    val: &'a str,
}

/// Takes out what a caller says of this kind, and says who they are when they are somebody.
pub(super) fn set(headers: &mut HeaderMap, user: Option<&User>) {
    let forged: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name.as_str())).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
    let Some(user) = user else { return };
    let profile = &user.profile;
    let claims = [(OF_ID, Some(&user.sub)), (OF_NAME, profile.name.as_ref()), (OF_EMAIL, profile.email.as_ref())];
    let claims = claims.into_iter().filter_map(|(typ, val)| Some(Claim { typ, val: val? })).collect();
    let principal = Principal { auth_typ: &user.provider, claims, name_typ: OF_NAME, role_typ: OF_ROLE };
    // Texts can always be written.
    let principal = STANDARD.encode(serde_json::to_vec(&principal).unwrap_or_default());
    let name = profile.name.as_ref().or(profile.email.as_ref()).unwrap_or(&user.sub);
    for (header, text) in [(PRINCIPAL, &principal), (ID, &user.sub), (NAME, name), (PROVIDER, &user.provider)] {
        // As UTF-8; a text that no header takes stands in the principal alone.
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            headers.insert(header, value);
        }
    }
}

/// Some servers hand headers on under names in which hyphens have become underscores.
fn is_ours(name: &str) -> bool {
    let name = name.replace('_', "-");
    OURS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::session::Profile;
    use crate::model::time::Timestamp;
    use serde_json::{Value, json};

    fn user(name: Option<&str>) -> User {
        let profile =
            Profile { name: name.map(str::to_owned), email: Some("a@example.com".into()), ..Profile::default() };
        let (issued, expires) = (Timestamp::from_millis(0), Timestamp::from_millis(1));
        User { sub: "sid:a".into(), provider: "google".into(), profile, issued, expires, session: None, is_ours: true }
    }

    #[test]
    fn a_caller_is_who_this_service_says() {
        let forged = [
            "x-ms-client-principal",
            "X-MS-CLIENT-PRINCIPAL-ID",
            "x_ms_client_principal_id",
            "x-ms-token-aad-id-token",
        ];
        let mut headers: HeaderMap =
            forged.iter().map(|name| (name.parse().unwrap(), "forged".parse().unwrap())).collect();
        headers.insert("x-ms-version", HeaderValue::from_static("1"));
        let mut anonymous = headers.clone();
        set(&mut anonymous, None);
        assert_eq!(anonymous.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-ms-version"]);
        set(&mut headers, Some(&user(Some("Änne\u{7}"))));
        assert!(!headers.values().any(|value| value == "forged"));
        assert_eq!((&headers[ID], &headers[PROVIDER]), (&"sid:a".parse().unwrap(), &"google".parse().unwrap()));
        assert!(!headers.contains_key(NAME), "no header takes it");
        let principal = STANDARD.decode(headers[PRINCIPAL].as_bytes()).unwrap();
        let principal: Value = serde_json::from_slice(&principal).unwrap();
        assert_eq!(principal["auth_typ"], "google");
        assert_eq!(principal["claims"][0], json!({"typ": OF_ID, "val": "sid:a"}));
        assert_eq!(principal["claims"][1]["val"], "Änne\u{7}");
        set(&mut headers, Some(&user(None)));
        assert_eq!(headers[NAME], "a@example.com");
    }
}
