//! `/.auth/login/{provider}/callback`: the browser is back from the provider.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;
use http::header;

use super::{Ask, cookie, end, failed};
use crate::api::App;
use crate::api::mobile::refusal::Refused;
use crate::api::request::read_whole;
use crate::identity::flow::{AT_PROVIDER, Flow};
use crate::identity::pkce::sha256;
use crate::identity::providers::{Identity, Params, Provider, Returned};

/// The longest form that a provider posts, in bytes.
const LONGEST: usize = 64 * 1024;
/// Keeps the marks of states apart from codes.
const MARK: &str = "state:";

/// The usual way.
pub(super) async fn by_get(ask: Ask) -> Result<Response, Refused> {
    let params = ask.params.clone();
    callback(&ask, &params).await
}

/// Of a provider whose pages post their answer.
pub(super) async fn by_post(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refused> {
    let (mut parts, body) = request.into_parts();
    let ask = Ask::from_request_parts(&mut parts, &app).await?;
    if !ask.provider()?.posts_back() {
        return Err(Refused::disabled("this provider answers with GET"));
    }
    let body = read_whole(Request::from_parts(parts, body), LONGEST, app.patience).await?;
    callback(&ask, &Params::parse(&body)).await
}

async fn callback(ask: &Ask, params: &Params) -> Result<Response, Refused> {
    let (sign_in, provider) = (ask.sign_in()?, ask.provider()?);
    let now = ask.app.clock.now();
    let begun = params.state().and_then(|state| {
        let sealed = cookie::flow(&ask.headers, &ask.here, state)?;
        sign_in.seals.open_flow(&sealed, state, &provider.name, now)
    });
    // An answer that this browser did not ask for, or asked for long ago: somebody else's, perhaps.
    let Some(flow) = begun else { return end::lost(ask) };
    let ended = match finish(ask, provider, &flow, params).await {
        Ok(identity) => end::arrive(ask, provider, &flow.end, identity).await,
        Err(refused) => Err(refused),
    };
    let mut response = match ended {
        Ok(response) => response,
        Err(refused) if refused.is_fault() => return Err(refused),
        Err(refused) => end::fail(ask, &flow.end, refused.words())?,
    };
    if let Some(gone) = cookie::forget_flow(&ask.here, &flow.state, provider.posts_back()) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    Ok(response)
}

/// Who came back; once.
async fn finish(ask: &Ask, provider: &Provider, flow: &Flow, params: &Params) -> Result<Identity, Refused> {
    let Flow { redirect_uri, state, kept, .. } = flow;
    let returned = Returned { redirect_uri, state, kept, params };
    // Before the provider is asked: one state has it asked once.
    let mark = sha256(format!("{MARK}{state}").as_bytes());
    if !ask.app.store.sign_in().put_once(mark, Vec::new(), AT_PROVIDER).await? {
        return Err(Refused::unauthorised("this sign-in was used before"));
    }
    provider.finish(&returned).await.map_err(|error| failed(provider, error))
}
