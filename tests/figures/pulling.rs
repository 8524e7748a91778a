//! Pages of pulls of a table with a million rows: what one costs must not hang on how far the device has come.

use std::sync::Arc;

use fanfare::model::time::Timestamp;
use fanfare::tables::definition::Definition;
use fanfare::tables::odata::ListOptions;
use fanfare::tables::query::Query;
use fanfare::tables::typed::Unknown;
use fanfare::tables::value::Kind;

use super::engine::Engine;
use super::{size, timed, wait};

/// The stamp of the row before the first, in ms.
const START: i64 = 1_700_000_000_000;
/// Rows of a page, the clients' usual number.
const PAGE: u32 = 50;

#[test]
#[ignore = "a measurement: pages of pulls of a large table"]
fn pages_of_a_pull() {
    let rows = size("FIGURES_ROWS", 1_000_000);
    let engine = Engine::open();
    let tables = engine.store.tables();
    let columns = vec![("text".to_owned(), Kind::Text), ("complete".to_owned(), Kind::Boolean)];
    let table = Arc::new(Definition { soft_delete: true, columns, ..Definition::named("rows") });
    wait(tables.open_table(&table, Vec::new())).unwrap();
    let (took, ()) = timed(|| engine.fill_rows(rows, START));
    println!("{rows} rows in {:.0} s", took.as_secs_f64());
    let page = |filter: &str, count: bool| {
        let pairs = [("$filter", filter), ("$orderby", "updatedAt")];
        let options = ListOptions::read(pairs).unwrap();
        let query = Query {
            filter: options.filter,
            order: options.order,
            skip: 0,
            limit: PAGE,
            count,
            deleted: true,
            after: None,
            owner: None,
            unknown: Unknown::Empty,
            null_differs: false,
        };
        timed(|| wait(tables.list_rows(&table, query)).unwrap())
    };
    let third = i64::from(rows) / 3;
    for (name, before) in [("all", ""), ("every other row", "(complete eq true) and ")] {
        for (place, from) in [("early", 0), ("mid", third), ("late", 2 * third)] {
            let mut millis: Vec<f64> = (0..1_000)
                .map(|_| {
                    let token = Timestamp::from_millis(START + from + fastrand::i64(0..third - i64::from(PAGE) * 3));
                    let (took, page) = page(&format!("{before}(updatedAt ge datetimeoffset'{token}')"), false);
                    assert_eq!(page.rows.len(), PAGE as usize);
                    took.as_secs_f64() * 1e3
                })
                .collect();
            millis.sort_by(f64::total_cmp);
            println!(
                "{name}, {place}: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
                millis[499], millis[989], millis[999]
            );
        }
    }
    let (took, counted) = page("", true);
    println!("a count of all: {:.1} ms ({:?})", took.as_secs_f64() * 1e3, counted.count);
}
