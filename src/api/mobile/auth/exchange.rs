//! Codes (4.6): what an app gets in the place of a session when its address may not be its own (any app on a phone can
//! claim a scheme), and changes for one with the word whose hash it showed at the beginning. A code is good once, for five
//! minutes, also for a wrong word: nobody gets to try a second one.

use axum::response::Response;

use super::{Ask, session_answer, tokens};
use crate::api::mobile::caller;
use crate::api::mobile::refusal::Refused;
use crate::identity::flow::{CODE_LIFE, Waiting};
use crate::identity::pkce::{Challenge, random_word, sha256};
use crate::identity::providers::{Identity, Provider};
use crate::model::field::FieldError;
use crate::model::time::Timestamp;

/// The longest code that is looked at, in bytes; ours have 43.
const LONGEST: usize = 128;

/// Keeps who signed in under a new code.
pub(super) async fn keep(
    ask: &Ask,
    provider: &Provider,
    identity: Identity,
    challenge: &str,
) -> Result<String, Refused> {
    let sign_in = ask.sign_in()?;
    let sub = sign_in.ids.of(&provider.name, &identity.subject);
    tokens::keep(ask, &sub, &provider.name, &identity.tokens).await?;
    let (provider, challenge) = (provider.name.clone(), challenge.to_owned());
    let began = ask.app.clock.now().millis();
    let waiting = Waiting { sub, provider, profile: identity.profile, challenge, began };
    let sealed = sign_in.seals.seal_waiting(&waiting).ok_or_else(Refused::unable)?;
    let code = random_word().ok_or_else(Refused::unable)?;
    match ask.app.store.sign_in().put_once(sha256(code.as_bytes()), sealed, CODE_LIFE).await? {
        true => Ok(code),
        false => Err(Refused::unable()),
    }
}

/// GET `/.auth/login/{provider}/token`.
pub(super) async fn exchange(ask: Ask) -> Result<Response, Refused> {
    let (sign_in, provider) = (ask.sign_in()?, ask.provider()?);
    let required = |name: &'static str| ask.param(name).ok_or_else(|| FieldError::new(name, "is required"));
    let (code, verifier) = (required("authorization_code")?, required("code_verifier")?);
    let refused = || Refused::unauthorised("the code is not good, or not any more");
    if code.len() > LONGEST {
        return Err(refused());
    }
    let sealed = ask.app.store.sign_in().take_once(sha256(code.as_bytes())).await?.ok_or_else(refused)?;
    let waiting = sign_in.seals.open_waiting(&sealed).filter(|waiting| waiting.provider == provider.name);
    let waiting = waiting.ok_or_else(refused)?;
    let challenge = Challenge::parse(&waiting.challenge).ok_or_else(refused)?;
    if !challenge.is_met_by(verifier) {
        return Err(refused());
    }
    // Their sessions may have been revoked meanwhile, and this one began when they signed in.
    let (began, now) = (Timestamp::from_millis(waiting.began), ask.app.clock.now());
    let begun = sign_in.sessions.begin_late(&waiting.sub, &waiting.provider, waiting.profile, began, now);
    let (user, token) = begun.ok_or_else(Refused::unable)?;
    let user = caller::unless_revoked(&ask.app, user).await?;
    Ok(session_answer(&user, &token))
}
