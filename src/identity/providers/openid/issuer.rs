//! Whose word is taken: a provider's documents, tokens and keys name their issuer. Most must name the configured one;
//! Microsoft's stand for many directories at once.

use crate::identity::providers::Preset;
use crate::identity::providers::claims::Claims;
use crate::identity::providers::error::ProviderError;
use crate::identity::providers::keys::Key;
use crate::model::field::FieldError;

/// The part of Microsoft's issuers that differs from directory to directory.
const TENANT: &str = "{tenantid}";
/// Issuer of Microsoft's older tokens, which are signed with the same keys.
const OLDER: &str = "https://sts.windows.net/{tenantid}/";
const MICROSOFT: &str = "https://login.microsoftonline.com/";

/// The issuer that is configured, or the preset's.
#[derive(Debug)]
pub(super) struct Issuer {
    preset: Preset,
    /// Without a slash at its end.
    url: String,
}

impl Issuer {
    /// The error's field is `issuer`.
    pub(super) fn new(preset: Preset, configured: Option<&str>) -> Result<Self, FieldError> {
        let url = configured.or(preset.issuer()).ok_or_else(|| FieldError::new("issuer", "must be given"))?;
        Ok(Self { preset, url: url.trim_end_matches('/').to_owned() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether a document's issuer is the configured one. For many directories at once Microsoft's document has a gap where
    /// the directory belongs.
    pub(super) fn is_of_document(&self, said: &str) -> bool {
        let said = said.trim_end_matches('/');
        if said == self.url {
            return true;
        }
        let gap = || {
            let (scheme, rest) = self.url.split_once("://")?;
            let (host, path) = rest.split_once('/')?;
            let below = path.split_once('/').map(|(_, below)| format!("/{below}")).unwrap_or_default();
            Some(format!("{scheme}://{host}/{TENANT}{below}"))
        };
        self.preset.is_microsoft() && gap().as_deref() == Some(said)
    }

    /// Whether what a browser brings back is of this provider, where it says so (RFC 9207). `document`, here and below: the
    /// issuer of the provider's own document.
    pub(super) fn check_answer(&self, document: &str, said: &str) -> Result<(), ProviderError> {
        let is_its = said == document || document.contains(TENANT);
        if is_its { Ok(()) } else { Err(ProviderError::Refused("the answer is of another issuer")) }
    }

    /// Whether a token is of this provider.
    pub(super) fn check_token(&self, document: &str, claims: &Claims) -> Result<(), ProviderError> {
        let said = claims.text("iss").unwrap_or_default();
        let bare = document.trim_start_matches("https://");
        let mut is_its = said == document || (self.preset == Preset::Google && said == bare);
        if let (true, Some(tenant)) = (self.preset.is_microsoft(), claims.text("tid").filter(|tid| is_tenant(tid))) {
            let own = document.replace(TENANT, tenant);
            let is_of_tenant = document.contains(TENANT) || own.contains(&format!("/{tenant}/"));
            is_its |= said == own;
            is_its |= is_of_tenant && own.starts_with(MICROSOFT) && said == OLDER.replace(TENANT, tenant);
        }
        let has_gap = said.contains(TENANT);
        if is_its && !has_gap { Ok(()) } else { Err(ProviderError::Refused("the token is of another issuer")) }
    }

    /// Whether a key signs for the token's directory: Microsoft says of some of its keys for which they do. Tokens of its
    /// older issuer are held to what the newer one would be, the only one that its keys know.
    pub(super) fn check_key(&self, document: &str, key: &Key, claims: &Claims) -> Result<(), ProviderError> {
        let Some(issuer) = key.issuer.as_deref().filter(|_| self.preset.is_microsoft()) else { return Ok(()) };
        let tenant = claims.text("tid").filter(|tid| is_tenant(tid)).unwrap_or(TENANT);
        let (wanted, said) = (issuer.replace(TENANT, tenant), claims.text("iss").unwrap_or_default());
        let is_older = said == OLDER.replace(TENANT, tenant) && wanted == document.replace(TENANT, tenant);
        match wanted == said || is_older {
            true => Ok(()),
            false => Err(ProviderError::Refused("the token is not signed by the provider")),
        }
    }
}

/// A directory's id: it becomes part of an address.
fn is_tenant(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::identity::providers::keys::{KeyDocument, KeySet};

    const TID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    #[test]
    fn a_key_of_microsofts_signs_for_the_directories_that_it_names() {
        let document = format!("{MICROSOFT}{{tenantid}}/v2.0");
        let aad = Issuer::new(Preset::Aad, None).unwrap();
        let signs = |key_issuer: Option<&str>, iss: String| {
            let key = json!({"keys": [{"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB", "issuer": key_issuer}]});
            let keys: KeySet = serde_json::from_value::<KeyDocument>(key).unwrap().into();
            let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
            let Json::Object(claims) = json!({"iss": iss, "tid": TID}) else { panic!() };
            aad.check_key(&document, keys.find(&header).unwrap(), &Claims(claims)).is_ok()
        };
        let (newer, older) = (format!("{MICROSOFT}{TID}/v2.0"), format!("https://sts.windows.net/{TID}/"));
        let (any, own) = (document.clone(), newer.clone());
        let consumers = format!("{MICROSOFT}9188040d-6c67-4c5b-b112-36a304b66dad/v2.0");
        for iss in [newer, older] {
            assert!(
                signs(None, iss.clone()) && signs(Some(&any), iss.clone()) && signs(Some(&own), iss.clone()),
                "{iss}"
            );
            assert!(!signs(Some(&consumers), iss.clone()), "a key for personal accounts: {iss}");
        }
    }
}
