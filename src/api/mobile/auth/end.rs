//! Where a browser's sign-in ends (4.4 – 4.6): on our page, at an address of the app, or with a code for the app.

use axum::response::Response;
use http::header;

use super::{Ask, cookie, exchange, redirect_to, session_text};
use crate::api::mobile::refusal::Refused;
use crate::identity::flow::{Completion, End, Mode};
use crate::identity::pkce::Challenge;
use crate::identity::providers::{Identity, Provider};
use crate::model::field::FieldError;
use crate::model::percent::encoded;

const DONE: &str = "/.auth/login/done";
const COMPLETE: &str = "/.auth/login/complete";
/// The names of one parameter (4.4); the last is that of Windows' sign-in broker.
const TARGETS: [&str; 3] = ["post_login_redirect_url", "post_login_redirect_uri", "sso_end_uri"];

/// The end that a request asks for.
pub(super) fn asked(ask: &Ask) -> Result<End, Refused> {
    let page = page(ask)?;
    let usual = if page.is_some() { Mode::Token } else { ask.sign_in()?.mode };
    let mode = match ask.param("session_mode") {
        None => usual,
        Some("token") => Mode::Token,
        Some("cookie") => Mode::Cookie,
        Some(_) => return Err(FieldError::new("session_mode", "must be token or cookie").into()),
    };
    let target = TARGETS.iter().find_map(|name| Some((*name, ask.param(name)?)));
    if let Some((name, target)) = target {
        let rule = match page {
            Some(_) => Some("must not stand beside completion_type"),
            None if !ask.allows(target) => {
                Some("must be a path of this service, or begin with one of mobile.auth.allowed_redirects")
            }
            None => None,
        };
        if let Some(rule) = rule {
            return Err(FieldError::new(name, rule).into());
        }
    }
    let challenge = challenge(ask)?;
    if challenge.is_some() && target.is_none() {
        return Err(FieldError::new(TARGETS[0], "is required with code_challenge").into());
    }
    let target = target.map(|(_, target)| target.to_owned());
    Ok(End { mode, target, challenge: challenge.map(|challenge| challenge.text()), page })
}

/// The challenge of an app that shows one, or that meant to: an app that asks for a code is never given a session.
fn challenge(ask: &Ask) -> Result<Option<Challenge>, FieldError> {
    let is_there = |name: &str| ask.params.has(name);
    if is_there("code_challenge_method") && ask.params.get("code_challenge_method") != Some("S256") {
        return Err(FieldError::new("code_challenge_method", "must be S256"));
    }
    let text = match (is_there("code_challenge"), is_there("code_challenge_method")) {
        (true, _) => ask.param("code_challenge").unwrap_or_default(),
        (false, true) => return Err(FieldError::new("code_challenge", "is required with code_challenge_method")),
        (false, false) => return Ok(None),
    };
    Challenge::parse(text).map(Some).ok_or_else(|| FieldError::new("code_challenge", "must be a SHA-256 in base64"))
}

/// The page that waits for the session: only one that may have it.
pub(super) fn page(ask: &Ask) -> Result<Option<(Completion, String)>, FieldError> {
    let completion = match ask.param("completion_type") {
        None => return Ok(None),
        Some("postMessage") => Completion::PostMessage,
        Some("iframe") => Completion::Iframe,
        Some(_) => return Err(FieldError::new("completion_type", "must be postMessage or iframe")),
    };
    Ok(Some((completion, page_origin(ask)?)))
}

/// The origin of such a page.
pub(super) fn page_origin(ask: &Ask) -> Result<String, FieldError> {
    let origin = ask.param("completion_origin").filter(|origin| ask.allows_page(origin));
    let rule = "must be the origin of a page of https (or of this machine) whose host is named in mobile.cors_origins or \
                mobile.auth.allowed_redirects";
    origin.map(str::to_owned).ok_or_else(|| FieldError::new("completion_origin", rule))
}

/// Ends a sign-in of somebody who proved who they are.
pub(super) async fn arrive(ask: &Ask, provider: &Provider, end: &End, identity: Identity) -> Result<Response, Refused> {
    if let (Some(challenge), Some(target)) = (&end.challenge, &end.target) {
        let code = exchange::keep(ask, provider, identity, challenge).await?;
        return redirect_to(&format!("{target}#authorization_code={code}"));
    }
    let (user, token) = ask.welcome(provider, identity).await?;
    if end.mode == Mode::Cookie {
        let target = end.target.clone().unwrap_or_else(|| ask.here.address(COMPLETE));
        let cookie = cookie::session(&ask.here, Some(&token), user.expires.since(ask.app.clock.now()));
        let mut response = redirect_to(&target)?;
        response.headers_mut().append(header::SET_COOKIE, cookie.ok_or_else(Refused::unable)?);
        return Ok(response);
    }
    let session = encoded(&session_text(&user, &token));
    redirect_to(&format!("{}#token={session}", target(ask, end)))
}

/// Ends one that came to nothing: where the app waits, with the reason.
pub(super) fn fail(ask: &Ask, end: &End, words: &str) -> Result<Response, Refused> {
    redirect_to(&format!("{}#error={}", target(ask, end), encoded(words)))
}

/// Ends one that this browser did not begin. Nothing that came along is looked at.
pub(super) fn lost(ask: &Ask) -> Result<Response, Refused> {
    let words = "this sign-in was not begun in this browser, or too long ago; begin it again";
    redirect_to(&format!("{}#error={}", ask.here.address(DONE), encoded(words)))
}

fn target(ask: &Ask, end: &End) -> String {
    match (&end.target, &end.page) {
        (Some(target), _) => target.clone(),
        (None, None) => ask.here.address(DONE),
        (None, Some((completion, origin))) => {
            let word = match completion {
                Completion::PostMessage => "postMessage",
                Completion::Iframe => "iframe",
            };
            let origin = encoded(origin);
            ask.here.address(&format!("{DONE}?completion_type={word}&completion_origin={origin}"))
        }
    }
}
