//! R6 and R7: lists of registrations, page by page.
//!
//! A page goes on at a seq, so what is written or deleted between two pages moves nobody. The token holds only what
//! arrives equal however often a client encodes it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};

use super::{Here, links, on};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::hubs::here::{Query, number};
use crate::api::request::Visit;
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::model::field::FieldError;
use crate::model::id::Seq;
use crate::model::registration::{self, filter};
use crate::store::RegistrationQuery;

const FEED: HeaderValue = HeaderValue::from_static("application/atom+xml; type=feed; charset=utf-8");
const TOKEN: HeaderName = HeaderName::from_static("x-ms-continuationtoken");

/// Registrations of a page, unless the caller wants fewer.
const PAGE: usize = 100;
/// A caller that wants to skip more goes by the token.
const MOST_SKIPPED: usize = 100_000;
/// Of those that are skipped, so many are read at once.
const SKIPPED_AT_ONCE: usize = 500;

/// R6: all of a hub, or those on one channel.
pub(super) async fn all(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    query: Query,
) -> Result<Response, ApiError> {
    match query.get("$filter") {
        Some(text) => {
            let hub = on(&visit, Rights::LISTEN)?;
            let wanted = RegistrationQuery::Handles(filter::parse(text)?);
            list(&app, hub, &here, &query, "registrations", wanted).await
        }
        None => {
            let hub = on(&visit, Rights::MANAGE)?;
            list(&app, hub, &here, &query, "registrations", RegistrationQuery::All).await
        }
    }
}

/// R7: those that carry a tag.
pub(super) async fn by_tag(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    query: Query,
) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::MANAGE)?;
    let tag = visit.param("tag").to_owned();
    let encoded: String = form_urlencoded::byte_serialize(tag.as_bytes()).collect();
    let path = format!("tags/{}/registrations", encoded.replace('+', "%20"));
    list(&app, hub, &here, &query, &path, RegistrationQuery::Tag(tag)).await
}

async fn list(
    app: &App,
    hub: &Hub,
    here: &Here,
    query: &Query,
    path: &str,
    wanted: RegistrationQuery,
) -> Result<Response, ApiError> {
    let top = number(query, "$top")?.unwrap_or(PAGE);
    if top == 0 {
        return Err(FieldError::new("$top", "must be a whole number from 1").into());
    }
    let mut from = query.get("continuationtoken").map(seq_of).transpose()?.unwrap_or_default();
    // A token goes on behind what the first page skipped.
    let mut skip = if from == Seq(0) { number(query, "$skip")?.unwrap_or(0) } else { 0 };
    if skip > MOST_SKIPPED {
        return Err(FieldError::new("$skip", format!("must be at most {MOST_SKIPPED}")).into());
    }
    let mut over = false;
    while skip > 0 && !over {
        let page = app.store.registrations(hub.id, wanted.clone(), from, skip.min(SKIPPED_AT_ONCE)).await?;
        skip = skip.saturating_sub(page.items.len());
        over = page.next.is_none();
        from = page.next.unwrap_or(from);
    }
    let page = match over {
        true => crate::store::RegistrationPage::default(),
        false => app.store.registrations(hub.id, wanted, from, top.min(PAGE)).await?,
    };
    let links = links(here, hub);
    let mut entries = String::with_capacity(page.items.len() * 1_024);
    for item in &page.items {
        registration::entry(&mut entries, &item.registration, item.etag, item.updated, &links);
    }
    let mut address = links.to(path);
    let asked = |name: &str| query.get(name).map(|value| format!("&{}={}", name.replace('$', "%24"), encoded(value)));
    let kept: String = ["$top", "$filter"].into_iter().filter_map(asked).collect();
    address.push_str(&kept);
    let token = page.next.map(token_of);
    let next = token.as_ref().map(|token| format!("{address}&continuationtoken={token}"));
    let feed = registration::feed("Registrations", &address, next.as_deref(), app.clock.now(), &entries);
    let mut response = ([(header::CONTENT_TYPE, FEED)], feed).into_response();
    if let Some(token) = token {
        let token = HeaderValue::try_from(token).map_err(ApiError::internal)?;
        response.headers_mut().insert(TOKEN, token);
    }
    Ok(response)
}

fn encoded(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// Where the next page begins.
fn token_of(seq: Seq) -> String {
    format!("s{:x}", seq.0)
}

fn seq_of(token: &str) -> Result<Seq, FieldError> {
    let decoded = filter::percent_decoded(token).unwrap_or_default();
    let seq = decoded.strip_prefix('s').and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let seq = seq.filter(|seq| *seq < Seq::END).map(Seq);
    seq.ok_or_else(|| FieldError::new("continuationtoken", "must be the x-ms-continuationtoken of an earlier page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_however_often_they_are_encoded() {
        for seq in [Seq(0), Seq(255), Seq(Seq::END - 1)] {
            let token = token_of(seq);
            assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(seq_of(&token), Ok(seq));
        }
        for bad in ["", "s", "x1", "s-1", "szz", &format!("s{:x}", Seq::END), "%"] {
            assert!(seq_of(bad).is_err(), "{bad}");
        }
    }
}
