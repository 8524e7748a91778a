//! What is written of a row, and when it is refused.

use super::*;
use crate::tables::row::version_of;
use crate::tables::value::Kind;
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn schema() -> Schema {
    let mut schema = Schema::default();
    for (name, kind) in [("text", Kind::Text), ("complete", Kind::Boolean), (OWNER, Kind::Text)] {
        schema.add(name, kind);
    }
    schema
}

fn row(text: &str, complete: bool, deleted: bool) -> Row {
    let fields = vec![Value::Text(text.into()), Value::Bool(complete), Value::Text("u".into())];
    Row { id: RowId::Text("a".into()), created: NOW, updated: NOW, deleted, fields }
}

fn write(change: Change, seen: Seen) -> Write {
    Write { id: Some(RowId::Text("a".into())), owner: Some("u".into()), seen, change }
}

fn item(json: Json) -> Map<String, Json> {
    json.as_object().unwrap().clone()
}

fn soft() -> Definition {
    Definition { soft_delete: true, ..Definition::named("t") }
}

fn stale() -> Seen {
    Seen::Version(version_of(Timestamp::from_millis(900)))
}

#[test]
fn a_merge_keeps_and_a_replacement_resets_what_it_does_not_name() {
    let stands = row("x", true, false);
    let change = item(json!({"TEXT": "y", "version": "z", "deleted": true}));
    for (change, complete) in
        [(Change::Merge(change.clone()), Value::Bool(true)), (Change::Replace(change), Value::Null)]
    {
        let decision = decide(&soft(), &schema(), &write(change, Seen::Any), Some(&stands), None).unwrap();
        let Effect::Update { fields, deleted: false } = decision.effect else { panic!("{decision:?}") };
        assert_eq!((&fields[0], &fields[1]), (&Value::Text("y".into()), &complete));
    }
}

#[test]
fn each_rule_of_a_conflict() {
    let stands = row("x", true, false);
    let change = Change::Merge(item(json!({"text": "y"})));
    let with = |conflict, change: &Change| {
        let definition = Definition { conflict, ..soft() };
        decide(&definition, &schema(), &write(change.clone(), stale()), Some(&stands), None)
    };
    assert!(matches!(with(Conflict::Fail, &change), Err(Refusal::Stale(_))));
    assert!(matches!(with(Conflict::Merge, &change), Err(Refusal::Stale(_))), "the base is not known");
    let won = with(Conflict::ClientWins, &change).unwrap();
    assert!(won.resolved == Resolved::ClientWins && matches!(won.effect, Effect::Update { .. }));
    let kept = with(Conflict::ServerWins, &change).unwrap();
    assert_eq!((kept.resolved, kept.effect), (Resolved::ServerWins, Effect::Keep));
    let kept = with(Conflict::ServerWins, &Change::Delete).unwrap();
    assert_eq!(kept.effect, Effect::Update { fields: stands.fields.clone(), deleted: false });
    assert!(matches!(with(Conflict::Merge, &Change::Delete), Err(Refusal::Stale(_))));
}

#[test]
fn a_row_that_was_seen_at_a_time_must_not_have_changed_after_that_second() {
    let stands = Row { updated: Timestamp::from_millis(5_700), ..row("x", true, false) };
    let with = |conflict, millis| {
        let write = write(Change::Delete, Seen::At(Timestamp::from_millis(millis)));
        decide(&Definition { conflict, ..soft() }, &schema(), &write, Some(&stands), None)
    };
    for (millis, fits) in [(0, false), (4_999, false), (5_000, true), (5_700, true), (60_000, true)] {
        let decided = with(Conflict::Fail, millis);
        assert_eq!(decided.is_ok(), fits, "{millis}: {decided:?}");
    }
    assert!(matches!(with(Conflict::Fail, 0), Err(Refusal::Stale(_))));
    assert!(matches!(with(Conflict::Merge, 0), Err(Refusal::Stale(_))), "what stood then is not known");
    assert_eq!(with(Conflict::ClientWins, 0).unwrap().resolved, Resolved::ClientWins);
}

#[test]
fn a_merge_takes_from_each_side_what_it_alone_changed() {
    let definition = Definition { conflict: Conflict::Merge, ..soft() };
    let (base, stands) = (row("x", false, false), row("x", true, false));
    let merged = |json: Json| {
        let write = write(Change::Merge(item(json)), stale());
        decide(&definition, &schema(), &write, Some(&stands), Some(&base.fields))
    };
    let decision = merged(json!({"text": "y", "complete": false})).unwrap();
    assert_eq!(decision.resolved, Resolved::Merged(vec!["complete".into()]));
    let Effect::Update { fields, .. } = decision.effect else { panic!() };
    assert_eq!(fields[..2], [Value::Text("y".into()), Value::Bool(true)]);
    assert!(merged(json!({"complete": true})).is_ok(), "both made the same of it");
    assert!(matches!(merged(json!({"complete": null})), Err(Refusal::Stale(_))));
}

#[test]
fn deleted_and_foreign_rows_are_not_there() {
    let gone = row("x", true, true);
    let change = Change::Merge(item(json!({"text": "y"})));
    let refused = |definition: &Definition, change: &Change, row: &Row, owner: &str| {
        let write = Write { owner: Some(owner.into()), ..write(change.clone(), Seen::Any) };
        decide(definition, &schema(), &write, Some(row), None)
    };
    assert!(matches!(refused(&soft(), &change, &gone, "u"), Err(Refusal::Deleted(_))));
    assert!(matches!(refused(&soft(), &Change::Delete, &gone, "u"), Err(Refusal::Deleted(_))));
    let back = refused(&soft(), &Change::Undelete, &gone, "u").unwrap();
    assert_eq!(back.effect, Effect::Update { fields: gone.fields.clone(), deleted: false });
    let hard = Definition::named("t");
    assert_eq!(refused(&hard, &Change::Undelete, &gone, "u"), Err(Refusal::NoUndelete));
    let own = Definition { per_user: true, ..soft() };
    let live = row("x", true, false);
    for change in [change, Change::Delete, Change::Undelete] {
        assert_eq!(refused(&own, &change, &live, "v"), Err(Refusal::NoRow));
    }
    let insert = Change::Insert(item(json!({"text": "y"})));
    assert_eq!(refused(&own, &insert, &live, "v"), Err(Refusal::Exists(None)));
    assert!(matches!(refused(&own, &insert, &live, "u"), Err(Refusal::Exists(Some(_)))));
}

#[test]
fn the_owner_is_the_writer_whatever_the_item_says() {
    let own = Definition { per_user: true, ..soft() };
    let insert = write(Change::Insert(item(json!({"text": "y", "userId": "spoof"}))), Seen::Any);
    let decision = decide(&own, &schema(), &insert, None, None).unwrap();
    let Effect::Insert(fields) = decision.effect else { panic!() };
    assert_eq!(fields[2], Value::Text("u".into()));
}

#[test]
fn a_property_that_comes_twice_is_refused() {
    let insert = write(Change::Insert(item(json!({"text": "y", "Text": "z"}))), Seen::Any);
    assert!(matches!(decide(&soft(), &schema(), &insert, None, None), Err(Refusal::Field(_))));
}
