//! A list as an engine is asked for it.

use std::time::Duration;

use crate::model::time::Timestamp;
use crate::tables::odata::{Comparison, Cursor, Expr, ListOptions, Literal, Order, Place};
use crate::tables::row::Row;
use crate::tables::schema::Schema;
use crate::tables::typed::Unknown;
use crate::tables::value::Value;

/// A list. Every order ends with the id, so that pages are the same each time (spec 3.3 R4).
#[derive(Clone, Debug)]
pub struct Query {
    pub filter: Option<Expr>,
    /// Empty: by id.
    pub order: Vec<Order>,
    pub skip: u64,
    /// The rows of a page.
    pub limit: u32,
    /// Whether the rows of the whole list are counted.
    pub count: bool,
    /// Whether deleted rows belong to it.
    pub deleted: bool,
    pub after: Option<Place>,
    /// Whose rows they are, where rows belong to users.
    pub owner: Option<String>,
    pub unknown: Unknown,
    /// Whether `x ne 5` holds where x is null (spec 2.3).
    pub null_differs: bool,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    pub schema: Schema,
    pub rows: Vec<Row>,
    /// Whether rows follow.
    pub more: bool,
    /// Of the whole list, when it was to be counted.
    pub count: Option<u64>,
    /// The table's clock as of this page: no row of it is stamped later.
    pub clock: Timestamp,
}

/// A list that takes longer is given up: whoever asks for it may have made it as long as they like, and the database has
/// others to serve.
pub const LONGEST: Duration = Duration::from_secs(10);

/// What is said of it.
pub(crate) const TOO_SLOW: &str = "must ask for less: a list may take no more than 10 seconds";

/// The texts of a page, in bytes: with the row that exceeds them it ends, however many rows were asked for. A page is held
/// in memory, and every client goes on until a list ends (spec 2.2).
const PAGE_BYTES: usize = 8 << 20;

/// What there is room for on a page.
#[derive(Debug)]
pub struct Room {
    rows: u32,
    bytes: usize,
}

impl Room {
    /// Of an empty page of this list.
    pub const fn of(query: &Query) -> Self {
        Self { rows: query.limit, bytes: PAGE_BYTES }
    }

    /// Whether one more row is taken.
    pub const fn is_left(&self) -> bool {
        self.rows > 0 && self.bytes > 0
    }

    /// Takes a row.
    pub fn take(&mut self, row: &Row) {
        let text = |value: &Value| if let Value::Text(text) = value { text.len() } else { 0 };
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(row.fields.iter().map(text).sum());
    }
}

/// Each `updatedAt ge T` among the conditions that must all hold: with the order by stamp the mark of a pull (spec 3.4). An
/// app's own filter may hold another one beside the pull's.
fn bounds<'a>(filter: &'a mut Expr, found: &mut Vec<(Timestamp, &'a mut Comparison)>) {
    match filter {
        Expr::And(parts) => parts.iter_mut().for_each(|part| bounds(part, found)),
        Expr::Compare(operator @ (Comparison::GreaterOrEqual | Comparison::Greater), left, right) => {
            let is_stamp = matches!(&**left, Expr::Member(name) if name.eq_ignore_ascii_case("updatedAt"));
            if let (true, Expr::Literal(Literal::Time(time) | Literal::Day(time))) = (is_stamp, &**right) {
                found.push((*time, operator));
            }
        }
        _ => {}
    }
}

/// Whether it is a pull, and in one of the older dialect the rule that keeps it from losing rows (spec 3.3 R6): the row
/// at the bound is one that the client has, so to skip one row from there is to ask for what comes after it. If that row
/// moved meanwhile, plain skipping would skip a row that nobody has.
pub fn adapt_pull(options: &mut ListOptions, skip: &mut u64) -> bool {
    if !options.is_by_stamp() {
        return false;
    }
    let mut found = Vec::new();
    if let Some(filter) = &mut options.filter {
        bounds(filter, &mut found);
    }
    // The last is the one that bounds the list, and its row the one that is skipped.
    let Some(last) = found.iter().map(|(time, _)| *time).max() else { return false };
    let at_last = found.into_iter().filter(|(time, _)| *time == last).map(|(_, operator)| operator);
    let operators: Vec<&mut Comparison> = at_last.collect();
    if *skip == 1 && operators.iter().all(|operator| **operator == Comparison::GreaterOrEqual) {
        operators.into_iter().for_each(|operator| *operator = Comparison::Greater);
        *skip = 0;
    }
    true
}

/// Where the list goes on behind a page; `None` for orders in which it must count.
pub fn place_after(options: &ListOptions, page: &Page) -> Option<Place> {
    let last = page.rows.last()?;
    if options.is_by_stamp() {
        let upto = match options.after {
            Some(Cursor { place: Place::Stamp { upto, .. }, .. }) => upto,
            _ => page.clock,
        };
        return Some(Place::Stamp { after: last.updated, upto });
    }
    options.order.is_empty().then(|| Place::Id(last.id.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(filter: &str, order: &str, skip: u64) -> (bool, u64, bool) {
        let mut options = ListOptions::read([("$filter", filter), ("$orderby", order)]).unwrap();
        let before = options.filter.clone();
        let mut skip = skip;
        let pull = adapt_pull(&mut options, &mut skip);
        (pull, skip, before != options.filter)
    }

    #[test]
    fn to_skip_the_row_at_the_bound_of_a_pull_is_to_go_on_behind_it() {
        let bound = "datetimeoffset'2026-11-23T03:01:56.706Z'";
        for (filter, order, skip, expected) in [
            (format!("(updatedAt ge {bound})"), "updatedAt", 1, (true, 0, true)),
            (format!("((n eq 2) and (updatedAt ge {bound}))"), "updatedAt asc", 1, (true, 0, true)),
            (format!("((n eq 2) and (UpdatedAt ge ({bound})))"), "updatedat", 1, (true, 0, true)),
            (format!("(updatedAt ge {bound})"), "updatedAt", 2, (true, 2, false)),
            (format!("(updatedAt ge {bound})"), "updatedAt", 0, (true, 0, false)),
            (format!("(updatedAt gt {bound})"), "updatedAt", 1, (true, 1, false)),
            (format!("(n eq 1) or (updatedAt ge {bound})"), "updatedAt", 1, (false, 1, false)),
            (format!("not (updatedAt ge {bound})"), "updatedAt", 1, (false, 1, false)),
            (format!("(updatedAt ge {bound})"), "updatedAt desc", 1, (false, 1, false)),
            (format!("(updatedAt ge {bound})"), "updatedAt,id", 1, (false, 1, false)),
            (format!("(updatedAt ge {bound})"), "", 1, (false, 1, false)),
            (format!("(createdAt ge {bound})"), "updatedAt", 1, (false, 1, false)),
        ] {
            assert_eq!(adapted(&filter, order, skip), expected, "{filter} {order} {skip}");
        }
    }

    #[test]
    fn the_bound_of_a_pull_is_the_last_of_several() {
        let (first, last) =
            ("updatedAt ge datetime'2026-01-01T00:00:00Z'", "updatedAt ge datetime'2026-02-01T00:00:00Z'");
        let after = last.replace("ge", "gt");
        for (filter, expected) in [
            (format!("(({first}) and ({last}))"), format!("(({first}) and ({after}))")),
            (format!("(({last}) and ({first}))"), format!("(({after}) and ({first}))")),
            (format!("(({last}) and ({last}))"), format!("(({after}) and ({after}))")),
        ] {
            let read = |filter: &str| ListOptions::read([("$filter", filter), ("$orderby", "updatedAt")]).unwrap();
            let (mut options, mut skip) = (read(&filter), 1);
            assert!(adapt_pull(&mut options, &mut skip) && skip == 0, "{filter}");
            assert_eq!(options.filter, read(&expected).filter, "{filter}");
        }
        // Where that row is left out already, the row to skip is another.
        let filter = format!("(({last}) and ({after}))");
        assert_eq!(adapted(&filter, "updatedAt", 1), (true, 1, false));
    }
}
