//! The providers' own tokens of users: sealed like hubs' credentials, bound to user and provider, kept for as long as a
//! session may be shown or renewed.

use super::Ask;
use crate::api::mobile::refusal::Refused;
use crate::identity::providers::Tokens;

/// What the seals are bound to, beside user and provider.
const OWNER: &str = "mobile.auth";

/// Both are told apart by a byte that no provider's name has.
fn field(user: &str, provider: &str) -> String {
    format!("tokens\0{provider}\0{user}")
}

/// Keeps them in the place of earlier ones.
pub(super) async fn keep(ask: &Ask, user: &str, provider: &str, tokens: &Tokens) -> Result<(), Refused> {
    let sign_in = ask.sign_in()?;
    let content = serde_json::to_vec(tokens).map_err(|_| Refused::unable())?;
    let sealed = sign_in.vault.seal(OWNER, &field(user, provider), &content).map_err(|_| Refused::unable())?;
    Ok(ask.app.store.sign_in().put_tokens(user, provider, sealed, sign_in.sessions.remembered()).await?)
}

/// What is kept. What cannot be opened, because the key file was changed, is as if it were not there: the next sign-in
/// brings others.
pub(super) async fn of(ask: &Ask, user: &str, provider: &str) -> Result<Option<Tokens>, Refused> {
    let sign_in = ask.sign_in()?;
    let Some(sealed) = ask.app.store.sign_in().tokens(user, provider).await? else { return Ok(None) };
    match sign_in.vault.open_sealed(OWNER, &field(user, provider), &sealed) {
        Ok(content) => Ok(serde_json::from_slice(&content).ok()),
        Err(error) => {
            tracing::warn!(provider, %error, "a user's tokens cannot be opened");
            Ok(None)
        }
    }
}

/// Forgets them.
pub(super) async fn forget(ask: &Ask, user: &str, provider: &str) -> Result<(), Refused> {
    Ok(ask.app.store.sign_in().forget_tokens(user, provider).await?)
}
