//! What a hub must say for its apps to be reached through WNS.

use std::fmt;

use super::channel::HostRule;
use crate::gateway::endpoint::Endpoint;
use crate::model::field::FieldError;

/// Where channels live unless a hub says otherwise (`push-services.md` 3.1).
pub const DEFAULT_HOSTS: &str = "*.notify.windows.com";
/// Where tokens come from unless a hub says otherwise (3.2).
pub const ENTRA_ENDPOINT: &str = "https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/token";
pub const LIVE_ENDPOINT: &str = "https://login.live.com/accesstoken.srf";

/// The two ways to an access token; a channel belongs to the identity of one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WnsAuth {
    /// Windows App SDK: an Entra ID application in a tenant.
    Entra { tenant_id: Box<str> },
    /// Classic UWP: a package SID of the Store.
    Live,
}

impl WnsAuth {
    pub(super) const fn scope(&self) -> &'static str {
        match self {
            Self::Entra { .. } => "https://wns.windows.com/.default",
            Self::Live => "notify.windows.com",
        }
    }
}

/// One hub's account with WNS, checked.
#[derive(Clone)]
pub struct WnsSettings {
    pub(super) auth: WnsAuth,
    pub(super) client_id: Box<str>,
    pub(super) client_secret: Box<str>,
    /// With the tenant put in.
    pub(super) token_endpoint: http::Uri,
    pub(super) allowed_hosts: Vec<HostRule>,
}

impl WnsSettings {
    /// Checks the identity. The error's field is `tenant_id`, `client_id` or `client_secret`.
    pub fn new(auth: WnsAuth, client_id: &str, client_secret: &str) -> Result<Self, FieldError> {
        let is_word = |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let default = match &auth {
            WnsAuth::Entra { tenant_id } if !is_word(tenant_id) || tenant_id.contains(['/', '?', '#', '%']) => {
                return Err(FieldError::new("tenant_id", "must be a tenant's id or domain"));
            }
            WnsAuth::Entra { .. } => ENTRA_ENDPOINT,
            WnsAuth::Live if !client_id.starts_with("ms-app://S-1-15-2-") => {
                return Err(FieldError::new("client_id", "must be a package SID: ms-app://S-1-15-2-…"));
            }
            WnsAuth::Live => LIVE_ENDPOINT,
        };
        if !is_word(client_id) {
            return Err(FieldError::new("client_id", "must be 1 to 255 visible ASCII characters"));
        }
        if client_secret.is_empty() {
            return Err(FieldError::new("client_secret", "must not be empty"));
        }
        Ok(Self {
            token_endpoint: token_endpoint(default, &auth)?,
            auth,
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            allowed_hosts: HostRule::parse(DEFAULT_HOSTS).into_iter().collect(),
        })
    }

    /// Asks there for tokens; `{tenant_id}` stands for the tenant. The error's field is `token_endpoint`.
    pub fn with_token_endpoint(mut self, url: &str) -> Result<Self, FieldError> {
        self.token_endpoint = token_endpoint(url, &self.auth)?;
        Ok(self)
    }

    /// Sends to channels of these hosts alone. The error's field is `allowed_hosts`.
    pub fn with_allowed_hosts<'a>(mut self, hosts: impl IntoIterator<Item = &'a str>) -> Result<Self, FieldError> {
        let rule = || FieldError::new("allowed_hosts", "must be a list of host, *.domain or host:port");
        self.allowed_hosts = hosts.into_iter().map(HostRule::parse).collect::<Option<_>>().ok_or_else(rule)?;
        Ok(self)
    }
}

fn token_endpoint(template: &str, auth: &WnsAuth) -> Result<http::Uri, FieldError> {
    let rule = || {
        FieldError::new(
            "token_endpoint",
            "must be an https:// URL of one host, without user and query; {tenant_id} stands for the tenant",
        )
    };
    let url = match auth {
        WnsAuth::Entra { tenant_id } => template.replace("{tenant_id}", tenant_id),
        WnsAuth::Live => template.to_owned(),
    };
    let uri: http::Uri = url.parse().map_err(|_| rule())?;
    let authority = uri.authority().ok_or_else(rule)?;
    Endpoint::parse(&format!("https://{authority}")).map_err(|_| rule())?;
    let plain = uri.scheme_str() == Some("https") && uri.query().is_none() && !url.contains(['{', '}', '#']);
    if plain { Ok(uri) } else { Err(rule()) }
}

impl fmt::Debug for WnsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WnsSettings")
            .field("auth", &self.auth)
            .field("client_id", &self.client_id)
            .field("client_secret", &"***")
            .field("token_endpoint", &self.token_endpoint)
            .field("allowed_hosts", &self.allowed_hosts)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entra() -> WnsAuth {
        WnsAuth::Entra { tenant_id: "contoso.com".into() }
    }

    #[test]
    fn the_tenant_is_put_into_the_endpoint_and_the_secret_is_not_shown() {
        let settings = WnsSettings::new(entra(), "app", "hush").unwrap();
        assert_eq!(settings.token_endpoint, "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token");
        let own = settings.with_token_endpoint("https://127.0.0.1:8445/{tenant_id}/t").unwrap();
        assert_eq!(own.token_endpoint, "https://127.0.0.1:8445/contoso.com/t");
        assert!(!format!("{own:?}").contains("hush"));
    }

    #[test]
    fn errors_name_their_field() {
        let field = |auth, id: &str, secret: &str| WnsSettings::new(auth, id, secret).unwrap_err().field;
        assert_eq!(field(WnsAuth::Entra { tenant_id: "a/b".into() }, "app", "s"), "tenant_id");
        assert_eq!(field(entra(), "", "s"), "client_id");
        assert_eq!(field(WnsAuth::Live, "app", "s"), "client_id");
        assert_eq!(field(entra(), "app", ""), "client_secret");
        let settings = || WnsSettings::new(entra(), "app", "s").unwrap();
        for bad in ["http://h/t", "https://u@h/t", "https://h/t?x=1", "https://h/{other}", ""] {
            assert_eq!(settings().with_token_endpoint(bad).unwrap_err().field, "token_endpoint", "{bad}");
        }
        assert_eq!(settings().with_allowed_hosts(["https://h"]).unwrap_err().field, "allowed_hosts");
    }
}
