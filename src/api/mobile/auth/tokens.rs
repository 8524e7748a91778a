//! The providers' own tokens of users: sealed like hubs' credentials, bound to user and provider, kept for as long as a
//! session may be shown or renewed.

use std::time::Duration;

use super::Ask;
use crate::api::mobile::refusal::Refused;
use crate::identity::pkce::sha256;
use crate::identity::providers::Tokens;

/// What the seals are bound to, beside user and provider.
const OWNER: &str = "mobile.auth";
/// Keeps the marks of renewals apart from codes and states.
const MARK: &str = "renew:";
/// As long as a provider may take to answer.
const WINDOW: Duration = Duration::from_secs(10);

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

/// What is kept, and how it rests.
#[derive(Debug)]
pub(super) struct Kept {
    pub tokens: Tokens,
    sealed: Vec<u8>,
}

/// What is kept. What cannot be opened, because the key file was changed, is as if it were not there: the next sign-in
/// brings others.
pub(super) async fn of(ask: &Ask, user: &str, provider: &str) -> Result<Option<Kept>, Refused> {
    let sign_in = ask.sign_in()?;
    let Some(sealed) = ask.app.store.sign_in().tokens(user, provider).await? else { return Ok(None) };
    match sign_in.vault.open_sealed(OWNER, &field(user, provider), &sealed) {
        Ok(content) => Ok(serde_json::from_slice(&content).ok().map(|tokens| Kept { tokens, sealed })),
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

/// Forgets them where nobody has put others in their place since they were read. Answers whether it did.
pub(super) async fn forget_read(ask: &Ask, user: &str, provider: &str, read: &Kept) -> Result<bool, Refused> {
    Ok(ask.app.store.sign_in().forget_these_tokens(user, provider, &read.sealed).await?)
}

/// Whether it is this request that has those tokens renewed: of several at once, on any node, one asks the provider, because a
/// provider may take each refresh token once. It has until the end of the second [`WINDOW`] from now.
pub(super) async fn claim(ask: &Ask, provider: &str, refresh: &str) -> Result<bool, Refused> {
    let width = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
    let window = ask.app.clock.now().millis() / width;
    // Two, so that those on both sides of a boundary meet.
    for window in [window - 1, window] {
        let mark = sha256(format!("{MARK}{window}:{provider}:{refresh}").as_bytes());
        if !ask.app.store.sign_in().put_once(mark, Vec::new(), 3 * WINDOW).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
