//! Who shows a provider's own token in the place of a session (4.11). They are the user that they would be with a session;
//! nothing is kept of them. It is no session: it ends when its provider says, is not refreshed, and nobody signs out of it.
//! To revoke all sessions of its user revokes what was issued before.

use super::{SignIn, failed};
use crate::api::mobile::refusal::Refused;
use crate::identity::session::User;

/// The user of a token that a provider of ours made; `None` where none says that it did.
pub(in crate::api::mobile) async fn user(sign_in: &SignIn, token: &str) -> Result<Option<User>, Refused> {
    let mut first = None;
    for provider in sign_in.providers.of_token(token) {
        match provider.bearer(token).await {
            Ok(bearer) => {
                return Ok(Some(User {
                    sub: sign_in.ids.of(&provider.name, &bearer.identity.subject),
                    provider: provider.name.clone(),
                    profile: bearer.identity.profile,
                    session: None,
                    is_ours: false,
                    issued: bearer.issued,
                    expires: bearer.expires,
                }));
            }
            // What the one says whom the token names best.
            Err(error) => {
                first.get_or_insert((provider, error));
            }
        }
    }
    first.map_or(Ok(None), |(provider, error)| Err(failed(provider, error)))
}
