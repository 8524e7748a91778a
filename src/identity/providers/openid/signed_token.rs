//! A token that the provider signed for this app: its signature, and what it must say.

use serde_json::{Map, Value as Json};

use super::OpenId;
use crate::identity::jwt::{self, Broken};
use crate::identity::providers::claims::Claims;
use crate::identity::providers::error::ProviderError;
use crate::identity::providers::keys::KeyDocument;

impl OpenId {
    /// The claims of a token that this provider signed for this app, in time.
    pub(super) async fn verified(&self, token: &str) -> Result<Claims, ProviderError> {
        let forged = ProviderError::Refused("the token is not signed by the provider");
        let malformed = || ProviderError::Refused("the token is no signed token");
        if token.len() > jwt::LONGEST {
            return Err(malformed());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| malformed())?;
        // What must be understood (RFC 7515 section 4.1.11) is not: we know no extension.
        if header.crit.is_some() || header.enc.is_some() {
            return Err(malformed());
        }
        let metadata = self.metadata().await?;
        let fetch = || async { Ok(self.web.document::<KeyDocument>(&metadata.value.jwks_uri).await?.into()) };
        let mut keys = self.keys.get(fetch()).await?;
        if keys.value.find(&header).is_none() {
            keys = self.keys.later_than(keys, fetch()).await?;
        }
        let key = keys.value.find(&header).ok_or_else(|| forged.clone())?;
        let claims =
            jwt::open::<Map<String, Json>>(token, &key.decoding, key.algorithm).map_err(|broken| match broken {
                Broken::Malformed => malformed(),
                Broken::Signature | Broken::Algorithm => forged.clone(),
            })?;
        let claims = Claims(claims);
        self.issuer.check_token(&metadata.value.issuer, &claims)?;
        self.issuer.check_key(&metadata.value.issuer, key, &claims)?;
        claims.check_audience(&self.ours, self.preset.parties())?;
        claims.check_times(self.clock.now())?;
        Ok(claims)
    }
}
