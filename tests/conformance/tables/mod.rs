//! The apps' own tables.

use std::sync::Arc;
use std::time::Duration;

use fanfare::model::audience::AudienceLimits;
use fanfare::model::time::Timestamp;
use fanfare::store::{Note, TableError, TableStore};
use fanfare::tables::definition::{Conflict, Definition, OWNER};
use fanfare::tables::notice::Notice;
use fanfare::tables::odata::{ListOptions, Place};
use fanfare::tables::query::{Page, Query};
use fanfare::tables::row::{Row, RowId};
use fanfare::tables::schema::Schema;
use fanfare::tables::typed::Unknown;
use fanfare::tables::value::{Kind, Value};
use fanfare::tables::write::{Change, Refusal, Resolved, Seen, Write, Written};
use serde_json::{Map, Value as Json, json};

use super::{Bench, START, benches, wait};

mod filters;
mod overlaps;
mod pulls;

pub(crate) fn soft(name: &str) -> Definition {
    let columns = vec![("text".to_owned(), Kind::Text), ("complete".to_owned(), Kind::Boolean)];
    Definition { soft_delete: true, columns, ..Definition::named(name) }
}

pub(crate) fn item(json: Json) -> Map<String, Json> {
    json.as_object().unwrap().clone()
}

pub(crate) fn text_id(id: &str) -> RowId {
    RowId::given(id).unwrap()
}

pub(crate) fn write(id: &str, change: Change) -> Write {
    Write { id: Some(text_id(id)), owner: None, seen: Seen::Any, change }
}

pub(crate) fn insert(id: &str, json: Json) -> Write {
    write(id, Change::Insert(item(json)))
}

/// Everything, deleted rows too, by id.
pub(crate) fn everything() -> Query {
    Query {
        filter: None,
        order: Vec::new(),
        skip: 0,
        limit: 10_000,
        count: false,
        deleted: true,
        after: None,
        owner: None,
        unknown: Unknown::Null,
        null_differs: true,
    }
}

/// A list as a client's query asks for it.
pub(crate) fn asked(filter: &str, order: &str) -> Query {
    let options = ListOptions::read([("$filter", filter), ("$orderby", order)]).unwrap();
    Query { filter: options.filter, order: options.order, ..everything() }
}

pub(crate) fn ids(page: &Page) -> Vec<String> {
    page.rows.iter().map(|row| row.id.to_string()).collect()
}

fn open(tables: &dyn TableStore, definition: Definition) -> Arc<Definition> {
    let definition = Arc::new(definition);
    wait(tables.open_table(&definition, Vec::new())).unwrap();
    definition
}

fn field<'a>(schema: &Schema, row: &'a Row, name: &str) -> &'a Value {
    &row.fields[schema.find(name).unwrap()]
}

fn refusal(made: Result<Written, TableError>) -> Refusal {
    match made {
        Err(TableError::Refused(refusal)) => refusal,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_row_goes_through_its_life() {
    for mut bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, soft("TodoItem"));
        let made = wait(tables.write_row(&table, insert("a-1", json!({"text": "one", "prio": 3.5})))).unwrap();
        assert_eq!((made.row.created, made.row.updated, made.row.deleted), (START, START, false));
        assert_eq!(field(&made.schema, &made.row, "PRIO"), &Value::Float(3.5));
        assert_eq!(field(&made.schema, &made.row, "complete"), &Value::Null);
        let merged =
            wait(tables.write_row(&table, write("a-1", Change::Merge(item(json!({"complete": true})))))).unwrap();
        assert_eq!(merged.row.created, START);
        assert!(merged.row.updated > START, "a stamp of its own though the clock stood still");
        assert_eq!(field(&merged.schema, &merged.row, "text"), &Value::Text("one".into()));
        let replaced =
            wait(tables.write_row(&table, write("a-1", Change::Replace(item(json!({"text": "two"})))))).unwrap();
        assert_eq!(field(&replaced.schema, &replaced.row, "complete"), &Value::Null);
        let gone = wait(tables.write_row(&table, write("a-1", Change::Delete))).unwrap();
        assert!(gone.row.deleted && gone.row.updated > replaced.row.updated);
        assert!(matches!(refusal(wait(tables.write_row(&table, write("a-1", Change::Delete)))), Refusal::Deleted(_)));
        let again = wait(tables.write_row(&table, insert("a-1", json!({}))));
        assert!(matches!(refusal(again), Refusal::Exists(Some(_))));
        bench.crash();
        let tables = bench.store().tables();
        let table = open(tables, soft("todoitem"));
        let (schema, row) = wait(tables.table_row(&table, text_id("a-1"), None)).unwrap().unwrap();
        assert_eq!((&schema, &row), (&gone.schema, &gone.row));
        let back = wait(tables.write_row(&table, write("a-1", Change::Undelete))).unwrap();
        assert!(!back.row.deleted && back.row.fields == gone.row.fields);
        assert_eq!(refusal(wait(tables.write_row(&table, write("A-1", Change::Delete)))), Refusal::NoRow);
        assert_eq!(wait(tables.table_row(&table, text_id("b"), None)).unwrap(), None);
    }
}

#[test]
fn a_table_that_deletes_for_good_never_repeats_a_version() {
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, Definition::named("hard"));
        let first = wait(tables.write_row(&table, insert("a", json!({"n": 1})))).unwrap();
        let gone = wait(tables.write_row(&table, write("a", Change::Delete))).unwrap();
        assert_eq!(gone.row, first.row, "as it stood last");
        assert_eq!(wait(tables.table_row(&table, text_id("a"), None)).unwrap(), None);
        assert_eq!(refusal(wait(tables.write_row(&table, write("a", Change::Undelete)))), Refusal::NoRow);
        let second = wait(tables.write_row(&table, insert("a", json!({"n": 1})))).unwrap();
        assert!(second.row.updated > first.row.updated && second.row.version() != first.row.version());
    }
}

#[test]
fn the_server_numbers_rows() {
    for mut bench in benches() {
        let numbered = || Definition { auto_increment: true, ..Definition::named("autoid") };
        let table = open(bench.store().tables(), numbered());
        let new = || Write { id: None, ..insert("x", json!({"id": 55, "n": 1})) };
        let first = wait(bench.store().tables().write_row(&table, new())).unwrap();
        assert_eq!(first.row.id, RowId::Number(1));
        let go = Write { id: Some(RowId::Number(1)), ..write("x", Change::Delete) };
        wait(bench.store().tables().write_row(&table, go)).unwrap();
        bench.reopen();
        let tables = bench.store().tables();
        assert_eq!(
            wait(tables.write_row(&table, new())).unwrap().row.id,
            RowId::Number(2),
            "a number never comes back"
        );
        for _ in 0..10 {
            wait(tables.write_row(&table, new())).unwrap();
        }
        let order: Vec<_> =
            wait(tables.list_rows(&table, everything())).unwrap().rows.into_iter().map(|r| r.id).collect();
        assert!(order.is_sorted() && order.len() == 11);
        let found = wait(tables.list_rows(&table, asked("id eq 3 or id eq '4'", ""))).unwrap();
        assert_eq!(ids(&found), ["3", "4"]);
        let other = Arc::new(Definition::named("autoid"));
        assert!(matches!(wait(tables.open_table(&other, Vec::new())), Err(TableError::Definition(_))));
    }
}

#[test]
fn a_table_is_seeded_once() {
    for mut bench in benches() {
        let table = Arc::new(soft("seeded"));
        let seed = || vec![item(json!({"id": "a", "text": "one"})), item(json!({"text": "two", "extra": 2}))];
        let bad = vec![item(json!({"id": "a"})), item(json!({"id": "a"}))];
        assert!(matches!(wait(bench.store().tables().open_table(&table, bad)), Err(TableError::Field(_))));
        wait(bench.store().tables().open_table(&table, seed())).unwrap();
        let page = wait(bench.store().tables().list_rows(&table, everything())).unwrap();
        let mut stamps: Vec<_> = page.rows.iter().map(|row| row.updated).collect();
        stamps.dedup();
        assert_eq!((page.rows.len(), stamps.len()), (2, 2));
        wait(bench.store().tables().write_row(&table, write("a", Change::Delete))).unwrap();
        bench.reopen();
        let tables = bench.store().tables();
        wait(tables.open_table(&table, seed())).unwrap();
        assert_eq!(wait(tables.list_rows(&table, everything())).unwrap().rows.len(), 2);
    }
}

#[test]
fn rows_of_users_are_theirs_alone() {
    for bench in benches() {
        let tables = bench.store().tables();
        let columns = vec![(OWNER.to_owned(), Kind::Text)];
        let table =
            open(tables, Definition { per_user: true, soft_delete: true, columns, ..Definition::named("mine") });
        let of = |owner: &str, write: Write| Write { owner: Some(owner.to_owned()), ..write };
        let spoofed = insert("a", json!({"text": "x", "userId": "spoof"}));
        let made = wait(tables.write_row(&table, of("u", spoofed.clone()))).unwrap();
        assert_eq!(field(&made.schema, &made.row, OWNER), &Value::Text("u".into()));
        let list = |owner: Option<&str>| {
            let query = Query { owner: owner.map(str::to_owned), count: true, ..everything() };
            let page = wait(tables.list_rows(&table, query)).unwrap();
            (page.rows.len(), page.count)
        };
        assert_eq!((list(Some("u")), list(Some("v")), list(None)), ((1, Some(1)), (0, Some(0)), (0, Some(0))));
        assert!(wait(tables.table_row(&table, text_id("a"), Some("v".into()))).unwrap().is_none());
        assert_eq!(refusal(wait(tables.write_row(&table, of("v", spoofed)))), Refusal::Exists(None));
        for change in [Change::Merge(item(json!({}))), Change::Delete, Change::Undelete] {
            assert_eq!(refusal(wait(tables.write_row(&table, of("v", write("a", change))))), Refusal::NoRow);
        }
    }
}

#[test]
fn what_merges_knows_what_the_writer_had_seen() {
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, Definition { conflict: Conflict::Merge, ..soft("merging") });
        let first = wait(tables.write_row(&table, insert("a", json!({"text": "x", "complete": false})))).unwrap();
        let seen = Seen::Version(first.row.version());
        let by = |seen: &Seen, json: Json| Write { seen: seen.clone(), ..write("a", Change::Merge(item(json))) };
        wait(tables.write_row(&table, by(&seen, json!({"complete": true})))).unwrap();
        let made = wait(tables.write_row(&table, by(&seen, json!({"text": "y", "complete": false})))).unwrap();
        assert_eq!(made.resolved, Resolved::Merged(vec!["complete".into()]));
        assert_eq!(field(&made.schema, &made.row, "complete"), &Value::Bool(true));
        assert_eq!(field(&made.schema, &made.row, "text"), &Value::Text("y".into()));
        let clash = wait(tables.write_row(&table, by(&seen, json!({"text": "z"}))));
        assert!(matches!(refusal(clash), Refusal::Stale(_)));
        // A version that is no longer kept is a conflict, not a guess.
        for _ in 0..20 {
            wait(tables.write_row(&table, by(&Seen::Any, json!({"complete": null})))).unwrap();
        }
        assert!(matches!(refusal(wait(tables.write_row(&table, by(&seen, json!({"other": 1}))))), Refusal::Stale(_)));
        bench.clock().advance(Duration::from_secs(31 * 86_400));
        while wait(bench.store().sweep()).unwrap() {}
    }
}

#[test]
fn a_refused_write_leaves_nothing() {
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, soft("t"));
        let made = wait(tables.write_row(&table, insert("a", json!({"text": "x"})))).unwrap();
        for json in [json!({"text": 5}), json!({"new": [1]}), json!({"a b": 1}), json!({"new": 1, "text": true})] {
            assert!(matches!(
                wait(tables.write_row(&table, write("a", Change::Merge(item(json))))),
                Err(TableError::Refused(Refusal::Field(_)))
            ));
        }
        let stale = Seen::Version("MQ==".into());
        let write = Write { seen: stale, ..write("a", Change::Merge(item(json!({"new": 1})))) };
        assert!(matches!(refusal(wait(tables.write_row(&table, write))), Refusal::Stale(_)));
        let page = wait(tables.list_rows(&table, everything())).unwrap();
        assert_eq!((page.schema, page.rows), (made.schema, vec![made.row]));
    }
}

#[test]
fn values_come_back_as_they_went_in() {
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, Definition { columns: vec![("d".into(), Kind::Date)], ..Definition::named("t") });
        let long = "x".repeat(100) + "_column";
        let row = json!({
            "s": "häß '\"\\ 💡 %_", "big": i64::MAX, "small": i64::MIN, "f": 0.1, "huge": 1.5e300, "tiny": 5e-324,
            "minus": -2.5, "b": false, "d": "0001-01-01T00:00:00Z", "select": 1, "rowid": "r", "xmin": 2, long.clone(): "l",
        });
        let made = wait(tables.write_row(&table, insert("ä/1", row.clone()))).unwrap();
        let (schema, read) = wait(tables.table_row(&table, text_id("ä/1"), None)).unwrap().unwrap();
        assert_eq!((&made.schema, &made.row), (&schema, &read));
        for (name, sent) in row.as_object().unwrap() {
            let expected = if name == "d" { json!("0001-01-01T00:00:00.000Z") } else { sent.clone() };
            assert_eq!(field(&schema, &read, name).to_json(), expected, "{name}");
        }
        let found =
            wait(tables.list_rows(&table, asked("big eq 9223372036854775807L and huge gt 1.4E+300", ""))).unwrap();
        assert_eq!(ids(&found), ["ä/1"]);
    }
}

#[test]
fn orders_put_null_first_and_end_with_the_id() {
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, soft("t"));
        for (id, complete) in [("c", json!(true)), ("a", json!(false)), ("d", json!(null)), ("b", json!(true))] {
            wait(tables.write_row(&table, insert(id, json!({"complete": complete, "text": id.to_uppercase()}))))
                .unwrap();
        }
        for (order, expected) in [
            ("", ["a", "b", "c", "d"]),
            ("complete desc", ["b", "c", "a", "d"]),
            ("complete,text desc", ["d", "a", "c", "b"]),
            ("updatedAt desc", ["b", "d", "a", "c"]),
            ("version", ["c", "a", "d", "b"]),
            ("id desc", ["d", "c", "b", "a"]),
            ("nothing", ["a", "b", "c", "d"]),
        ] {
            assert_eq!(ids(&wait(tables.list_rows(&table, asked("", order))).unwrap()), expected, "{order}");
        }
        let page = wait(tables.list_rows(&table, Query { limit: 2, skip: 1, count: true, ..asked("", "") })).unwrap();
        assert_eq!((ids(&page), page.more, page.count), (vec!["b".into(), "c".into()], true, Some(4)));
        let after = Query { after: Some(Place::Id("b".into())), ..asked("", "") };
        assert_eq!(ids(&wait(tables.list_rows(&table, after)).unwrap()), ["c", "d"]);
        let empty = Query { unknown: Unknown::Empty, count: true, ..asked("", "nothing") };
        let page = wait(tables.list_rows(&table, empty)).unwrap();
        assert_eq!((page.rows.len(), page.count), (0, Some(0)));
        let refused = Query { unknown: Unknown::Refused, ..asked("nothing eq 1", "") };
        assert!(matches!(wait(tables.list_rows(&table, refused)), Err(TableError::Field(_))));
    }
}

#[test]
fn a_change_is_noted_with_the_row_and_rests_between() {
    for mut bench in benches() {
        let limits = AudienceLimits { terms: 10, depth: 10, tag_length: 120 };
        let notice = Some(Notice::parse("list:{{text}}", &limits).unwrap());
        let definition = Definition { notice, ..soft("Told") };
        let table = open(bench.store().tables(), definition);
        let change = |bench: &dyn Bench, id: &str, text: &str| {
            let tables = bench.store().tables();
            wait(tables.write_row(&table, insert(id, json!({"text": text})))).unwrap().row.updated.millis()
        };
        let due = |bench: &dyn Bench| wait(bench.store().tables().due_notes(10)).unwrap();
        let note = |audience: &str, number| Note { table: "told".into(), audience: audience.into(), number };
        change(&*bench, "1", "a");
        let number = change(&*bench, "2", "a");
        change(&*bench, "3", "no tag");
        bench.crash();
        assert_eq!(due(&*bench), [note("list:a", number)]);
        // Changed after it was read: still owed, after the rest.
        let later = change(&*bench, "4", "a");
        wait(bench.store().tables().settle_note(note("list:a", number), Duration::from_secs(5))).unwrap();
        assert_eq!(due(&*bench), []);
        bench.clock().advance(Duration::from_secs(5));
        assert_eq!(due(&*bench), [note("list:a", later)]);
        wait(bench.store().tables().settle_note(note("list:a", later), Duration::from_secs(5))).unwrap();
        bench.clock().advance(Duration::from_secs(5));
        assert_eq!(due(&*bench), []);
        while wait(bench.store().sweep()).unwrap() {}
        let again = change(&*bench, "5", "a");
        assert!(again > later);
        assert_eq!(due(&*bench), [note("list:a", again)]);
    }
}

#[test]
fn the_clock_goes_on_when_the_machine_s_is_set_back() {
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, soft("t"));
        bench.clock().advance(Duration::from_secs(3_600));
        let before = wait(tables.write_row(&table, insert("a", json!({})))).unwrap().row.updated;
        bench.clock().set_wall(-7_200_000);
        let after = wait(tables.write_row(&table, insert("b", json!({})))).unwrap().row.updated;
        assert_eq!(after.millis(), before.millis() + 1);
    }
}
