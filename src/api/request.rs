//! What handlers extract: who is calling on which hub, the query, the body.

use std::sync::Arc;

use axum::body::{Body as StreamedBody, HttpBody};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::App;
use super::error::ApiError;
use crate::directory::Hub;
use crate::identity::keys::{self, AccessRule, Caller, Rights};
use crate::identity::sas::{Audience, SasError, SasToken};
use crate::model::field::FieldError;

/// A caller who is known, and where the path leads. What they may do is asked by the handler.
#[derive(Debug)]
pub struct Visit {
    caller: Caller,
    hub: Option<Arc<Hub>>,
    params: Option<RawPathParams>,
}

impl Visit {
    /// The hub that the path names, when the caller may do there what needs these rights.
    pub fn hub(&self, needed: Rights) -> Result<&Arc<Hub>, ApiError> {
        // Only the admin gets here without a hub: a key of a hub that does not exist is nobody's.
        let hub = self.hub.as_ref().ok_or_else(ApiError::no_hub)?;
        self.caller.authorise(hub.name.as_str(), needed)?;
        Ok(hub)
    }

    /// That hub, if there is one.
    pub fn known_hub(&self) -> Option<&Arc<Hub>> {
        self.hub.as_ref()
    }

    /// Only with the admin key.
    pub fn admin(&self) -> Result<(), ApiError> {
        Ok(self.caller.authorise_admin()?)
    }

    /// Whether the caller holds the admin key.
    pub fn is_admin(&self) -> bool {
        self.caller == Caller::Admin
    }

    /// A parameter of the path, decoded; empty when the route has none of that name.
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.as_ref().and_then(|params| params.iter().find(|(known, _)| *known == name));
        found.map_or("", |(_, value)| value)
    }
}

impl FromRequestParts<Arc<App>> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let params = match RawPathParams::from_request_parts(parts, app).await {
            Ok(params) => Some(params),
            Err(RawPathParamsRejection::MissingPathParams(_)) => None,
            Err(_) => return Err(FieldError::new("path", "must be UTF-8 in percent-encoding").into()),
        };
        let named = params.as_ref().and_then(|params| params.iter().find(|(name, _)| *name == "hub"));
        let named = named.map_or("", |(_, value)| value);
        let mut hub = app.directory.hub(named);
        let mut caller = identify(parts, app, named, hub.as_deref());
        // The whole path is the hub: it is being made, and whether there is one is decided in the store.
        let makes_it = parts.method == Method::PUT && params.as_ref().is_some_and(|params| params.iter().count() == 1);
        let is_unknown = match &caller {
            Err(_) => parts.headers.contains_key(header::AUTHORIZATION),
            Ok(_) => hub.is_none() && !named.is_empty() && !makes_it,
        };
        if is_unknown {
            app.directory.look().await?;
            hub = app.directory.hub(named);
            caller = identify(parts, app, named, hub.as_deref());
        }
        let caller = caller?;
        app.rates.admit(&caller, parts)?;
        Ok(Self { caller, hub, params })
    }
}

/// Whom the `Authorization` header stands for on this hub.
fn identify(parts: &Parts, app: &App, named: &str, hub: Option<&Hub>) -> Result<Caller, ApiError> {
    let rules = hub.map_or(&[][..], |hub| &hub.settings.keys);
    let hub = hub.map_or(named, |hub| hub.name.as_str());
    let missing = || ApiError::unauthorised("the request needs an Authorization header: Bearer KEY, or a SAS token");
    let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let header = header.to_str().map_err(|_| ApiError::unauthorised("the Authorization header must be ASCII"))?;
    if SasToken::is_claimed(header) {
        return signed(parts, app, header, hub, rules);
    }
    let key = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, key) = key.ok_or_else(missing)?;
    keys::bearer(key.trim(), &app.admin, hub, rules).ok_or_else(|| ApiError::unauthorised("the key is not known here"))
}

/// Tokens are made for `https://host/hub` or the host as a whole by the clients of the field; the native API's own path
/// is taken as well.
fn signed(parts: &Parts, app: &App, header: &str, hub: &str, rules: &[AccessRule]) -> Result<Caller, ApiError> {
    let token = SasToken::parse(header)?;
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let now = app.clock.now().millis().div_euclid(1_000);
    let verify = |path: &str| token.verify(Audience { hosts: &[host], path, hub }, rules, &app.admin, now);
    match verify(parts.uri.path()) {
        Err(SasError::InvalidAudience) if !hub.is_empty() => Ok(verify(&format!("/{hub}"))?),
        verified => Ok(verified?),
    }
}

/// The members of a query string. What nobody asked for is refused: a mistyped filter would otherwise mean everything.
#[derive(Debug)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Takes a parameter out; an empty one is as if it were not there.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1).filter(|value| !value.is_empty())
    }

    /// How many items a page may have.
    pub fn limit(&mut self, default: usize, most: usize) -> Result<usize, FieldError> {
        let Some(text) = self.take("limit") else { return Ok(default) };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| FieldError::new("limit", format!("must be a whole number from 1 to {most}")))
    }

    /// A cursor that an earlier page gave.
    pub fn cursor<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, FieldError> {
        let Some(text) = self.take("cursor") else { return Ok(None) };
        let rule = || FieldError::new("cursor", "must be the next_cursor of an earlier page");
        read(&text).map(Some).ok_or_else(rule)
    }

    /// Refuses what is left.
    pub fn finish(self) -> Result<(), FieldError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(FieldError::new(name, "is not a parameter of this path")),
        }
    }
}

impl FromRequestParts<Arc<App>> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        let Query(pairs) = Query::try_from_uri(&parts.uri)
            .map_err(|_| FieldError::new("query", "must be a query string in percent-encoding"))?;
        Ok(Self(pairs))
    }
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// A whole JSON body within the limit, not yet read.
#[derive(Debug)]
pub struct Body(pub Bytes);

impl FromRequest<Arc<App>> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        check_is_json(request.headers())?;
        check_is_plain(request.headers())?;
        let slow = |_| ApiError::slow_body(app.patience);
        let whole = whole(request.into_body(), app.limits.body_bytes);
        tokio::time::timeout(app.patience, whole).await.map_err(slow)?.map(Self)
    }
}

/// Without a type it is taken for JSON: what else would it be here. So is what `curl -d` calls a form when it is told
/// nothing; no form is read as one anywhere here.
fn check_is_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_json = [JSON, FORM].iter().any(|taken| kind.eq_ignore_ascii_case(taken))
        || kind.len() > 5 && kind.get(kind.len() - 5..).is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"));
    if is_json { Ok(()) } else { Err(ApiError::unsupported("Content-Type", "must be application/json")) }
}

/// Refuses compressed bodies, which would otherwise fail as broken JSON.
pub(super) fn check_is_plain(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(ApiError::unsupported("Content-Encoding", "must be absent: compressed bodies are not taken"))
        }
        _ => Ok(()),
    }
}

/// A whole body of any kind, within a limit and in time.
pub(super) async fn read_whole(
    request: Request,
    limit: usize,
    patience: std::time::Duration,
) -> Result<Bytes, ApiError> {
    check_is_plain(request.headers())?;
    let slow = |_| ApiError::slow_body(patience);
    tokio::time::timeout(patience, whole(request.into_body(), limit)).await.map_err(slow)?
}

/// Most bodies come in one piece, which is passed on without a copy.
async fn whole(body: StreamedBody, limit: usize) -> Result<Bytes, ApiError> {
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(ApiError::too_large(limit));
    }
    let mut pieces = body.into_data_stream();
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| ApiError::broken_body())?;
        let length = rest.as_ref().map_or(first.len(), BytesMut::len);
        if length + piece.len() > limit {
            return Err(ApiError::too_large(limit));
        }
        match &mut rest {
            Some(rest) => rest.extend_from_slice(&piece),
            None if first.is_empty() => first = piece,
            None => {
                let mut joined =
                    BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0).max(length + piece.len()));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&piece);
                rest = Some(joined);
            }
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
}
