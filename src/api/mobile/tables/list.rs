//! GET of a table (2.2, 2.4).

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value as Json, json as object};

use super::answer::{item, json, refused};
use super::ask::{Ask, Operation};
use super::dialect::Dialect;
use super::links::{Next, link};
use crate::api::mobile::refusal::Refused;
use crate::model::field::FieldError;
use crate::tables::odata::{Cursor, ListOptions};
use crate::tables::query::{Page, Query, adapt_pull, place_after};
use crate::tables::row::is_system;
use crate::tables::typed::Unknown;

/// The most that `$top` may say, of the servers of those dialects.
const V3_TOP: i64 = 512_000;
const CT_TOP: i64 = 128_000;

/// How many rows are asked for.
struct Amount {
    /// `$top`, when it counts.
    top: Option<i64>,
    skip: u64,
    /// The rows of a page.
    limit: u32,
}

fn amount(ask: &Ask, options: &ListOptions) -> Result<Amount, FieldError> {
    let config = &ask.table.config;
    let number = |text: &Option<String>| text.as_ref().map(|text| text.trim().parse::<i64>());
    let (top, skip) = (number(&options.top), number(&options.skip));
    if ask.dialect.is_v2() {
        // What is no amount is passed over (OBS 50 – 56). A bare count asks for no rows.
        let counts = options.inline_count;
        let top = top.and_then(Result::ok).filter(|top| *top > 0 || (*top == 0 && counts));
        let skip = skip.and_then(Result::ok).and_then(|skip| u64::try_from(skip).ok()).unwrap_or(0);
        let limit = top.map_or(config.page_size, |top| u32::try_from(top).unwrap_or(u32::MAX));
        return Ok(Amount { top, skip, limit: limit.min(config.max_page_size) });
    }
    let most = if ask.dialect == Dialect::V3 { V3_TOP } else { CT_TOP };
    let top = top.transpose().ok().flatten().filter(|top| (0..=most).contains(top));
    if options.top.is_some() && top.is_none() {
        return Err(FieldError::new("$top", format!("must be a number from 0 to {most}")));
    }
    let skip = match skip {
        None => 0,
        Some(skip) => skip
            .ok()
            .and_then(|skip| u64::try_from(skip).ok())
            .ok_or_else(|| FieldError::new("$skip", "must be a number, 0 or more"))?,
    };
    let limit = top.map_or(config.page_size, |top| u32::try_from(top).unwrap_or(u32::MAX));
    Ok(Amount { top, skip, limit: limit.min(config.page_size) })
}

pub(super) async fn list(ask: Ask) -> Result<Response, Refused> {
    let owner = ask.allow(Operation::Read)?;
    let mut options = ListOptions::read(ask.pairs()).map_err(|error| ask.no(error))?;
    let mut amount = amount(&ask, &options).map_err(|error| ask.no(error))?;
    if ask.dialect.is_v2() {
        adapt_pull(&mut options, &mut amount.skip);
    }
    let wants_count = if ask.dialect.is_v2() { options.inline_count } else { options.count || options.inline_count };
    let counted = options.after.as_ref().and_then(|cursor| cursor.count);
    let query = Query {
        filter: options.filter.clone(),
        order: options.order.clone(),
        skip: amount.skip,
        limit: amount.limit,
        count: wants_count && counted.is_none(),
        deleted: ask.with_deleted(),
        after: options.after.as_ref().map(|cursor| cursor.place.clone()),
        owner,
        unknown: unknown(&ask),
        null_differs: !ask.dialect.is_v2(),
    };
    let mut page = match ask.app.store.tables().list_rows(ask.definition(), query).await {
        Ok(page) => page,
        Err(error) => return Ok(refused(&ask, error)),
    };
    page.count = page.count.or(counted).filter(|_| wants_count);
    let names = selected(&ask, &options, &mut page)?;
    let shown = |page: &Page| -> Vec<Map<String, Json>> {
        let row = |row| {
            let mut item = item(ask.dialect, ask.definition(), &page.schema, row);
            if let Some(names) = &names {
                item.retain(|name, _| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)));
            }
            item
        };
        page.rows.iter().map(row).collect()
    };
    let items = shown(&page);
    let next = next(&ask, &options, &amount, &page);
    if !ask.dialect.is_v2() {
        let link = next.map(|next| link(&ask, &next));
        return Ok(json(StatusCode::OK, &object!({ "items": items, "count": page.count, "nextLink": link })));
    }
    let mut response = match page.count {
        Some(count) => json(StatusCode::OK, &object!({ "results": items, "count": count })),
        None => json(StatusCode::OK, &items),
    };
    if let Some(next) = next.filter(|_| page.count.is_none() || !ask.is_android())
        && let Ok(value) = HeaderValue::try_from(format!("{}; rel=next", link(&ask, &next)))
    {
        response.headers_mut().insert(header::LINK, value);
    }
    Ok(response)
}

fn unknown(ask: &Ask) -> Unknown {
    match (ask.definition().dynamic_schema, ask.dialect) {
        (false, _) => Unknown::Refused,
        (true, Dialect::V2) => Unknown::Empty,
        (true, Dialect::V3 | Dialect::Ct) => Unknown::Null,
    }
}

/// The columns to show; a page without rows where V2 names one that no row has (OBS 60).
fn selected(ask: &Ask, options: &ListOptions, page: &mut Page) -> Result<Option<Vec<String>>, Refused> {
    let Some(names) = &options.select else { return Ok(None) };
    let names: Vec<_> = names.iter().filter(|name| *name != "*").cloned().collect();
    if names.is_empty() {
        return Ok(None);
    }
    let missing = names.iter().find(|name| !is_system(name) && page.schema.find(name).is_none());
    match (missing, unknown(ask)) {
        (Some(name), Unknown::Refused) => {
            let shown: String = name.chars().take(64).collect();
            let rule = format!("names {shown}, which is no column of this table");
            Err(ask.no(FieldError::new("$select", rule)))
        }
        (Some(_), Unknown::Empty) => {
            (page.rows, page.more, page.count) = (Vec::new(), false, page.count.map(|_| 0));
            Ok(Some(names))
        }
        _ => Ok(Some(names)),
    }
}

/// Where the list goes on.
fn next(ask: &Ask, options: &ListOptions, amount: &Amount, page: &Page) -> Option<Next> {
    if !page.more || page.rows.is_empty() {
        return None;
    }
    let rows = page.rows.len() as u64;
    let top = match amount.top {
        // As it was asked for, page by page (OBS 47, 95); of more than a page what is left.
        Some(top) if ask.dialect.is_v2() && top <= i64::from(amount.limit) => Some(top),
        Some(top) => {
            let left = top.saturating_sub_unsigned(rows);
            if left <= 0 {
                return None;
            }
            Some(left)
        }
        None => ask.dialect.is_v2().then(|| i64::from(amount.limit)),
    };
    let place = place_after(options, page).filter(|_| !ask.dialect.is_v2() || options.is_by_stamp());
    Some(match place {
        Some(place) => Next { top, skip: None, after: Some(Cursor { place, count: page.count }) },
        None => Next { top, skip: Some(amount.skip + rows), after: None },
    })
}
