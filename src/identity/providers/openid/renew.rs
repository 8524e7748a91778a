//! Fresh tokens for old ones, which must be of the same user.

use super::OpenId;
use super::token_endpoint::{Granted, UNKNOWN, granted, refusal};
use crate::identity::providers::error::ProviderError;
use crate::identity::providers::identity::Tokens;

impl OpenId {
    /// Fresh tokens; none where there is nothing to renew them with.
    pub(in crate::identity::providers) async fn renew(&self, tokens: &Tokens) -> Result<Option<Tokens>, ProviderError> {
        let Some(refresh) = &tokens.refresh_token else { return Ok(None) };
        let metadata = self.metadata().await?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        let answer = self.ask_for_tokens(&metadata.value, &form).await?;
        match refusal(&answer).as_deref() {
            // Nothing else says that the token is good no longer (RFC 6749 section 5.2).
            Some("invalid_grant") if matches!(answer.status, 400 | 401) => return Err(ProviderError::Ended),
            Some("invalid_client" | "unauthorized_client") => return Err(ProviderError::Away(UNKNOWN)),
            Some(_) => return Err(ProviderError::Away("it does not give fresh tokens")),
            None => {}
        }
        let granted = granted(&answer)?;
        self.check_same_user(tokens, &granted).await?;
        let mut renewed = Tokens { unproven: false, ..tokens.clone() };
        granted.add_to(&mut renewed, self.clock.now());
        Ok(Some(renewed))
    }

    /// Fresh tokens are of the user of the old ones (OpenID Connect Core 1.0 section 12.2). Where an app brought those, only
    /// an ID token says so.
    async fn check_same_user(&self, old: &Tokens, granted: &Granted) -> Result<(), ProviderError> {
        let foreign = ProviderError::Refused("the provider's fresh tokens are not known to be this user's");
        let Some(token) = &granted.id_token else { return if old.unproven { Err(foreign) } else { Ok(()) } };
        let claims = self.verified(token).await?;
        let known = old.user_claims.iter().find(|claim| claim.typ == "sub").map(|claim| claim.val.as_str());
        if known == Some(claims.subject()?) { Ok(()) } else { Err(foreign) }
    }
}
