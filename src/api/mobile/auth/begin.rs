//! GET `/.auth/login/{provider}` (4.4): sends the browser to the provider.

use axum::response::Response;
use http::header;

use super::{Ask, cookie, end, failed, redirect_abroad};
use crate::api::mobile::refusal::Refused;
use crate::identity::flow::{AT_PROVIDER, Flow};
use crate::identity::providers::Asked;

pub(super) async fn begin(ask: Ask) -> Result<Response, Refused> {
    let (sign_in, provider) = (ask.sign_in()?, ask.provider()?);
    let end = end::asked(&ask)?;
    // Each provider has an address of its own to come back to: what one says is never taken for another's.
    let redirect_uri = ask.here.address(&format!("/.auth/login/{}/callback", provider.name));
    let asked = Asked { redirect_uri: &redirect_uri, params: &ask.params };
    let started = provider.begin(&asked).await.map_err(|error| failed(provider, error))?;
    let flow = Flow {
        provider: provider.name.clone(),
        state: started.state,
        redirect_uri,
        kept: started.kept,
        end,
        expires: ask.app.clock.now().plus(AT_PROVIDER).millis(),
    };
    let sealed = sign_in.seals.seal_flow(&flow).ok_or_else(Refused::unable)?;
    let cookie = cookie::keep_flow(&ask.here, &flow.state, &sealed, provider.posts_back());
    let mut response = redirect_abroad(&started.location)?;
    response.headers_mut().append(header::SET_COOKIE, cookie.ok_or_else(Refused::unable)?);
    Ok(response)
}
