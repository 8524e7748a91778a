//! What template targets send: stored once, named by each target, gone when nobody has it.

use std::time::Duration;

use fanfare::model::chunk_set::ChunkSet;
use fanfare::model::id::{ChunkNo, HubId, HubName, InstallationId, Seq};
use fanfare::model::target::AudienceKind;
use fanfare::model::template::{TemplateContent, TemplateId};
use fanfare::store::{Applied, Change, Store};
use serde_json::{Value, json};

use super::registry::{apply, audience, device, hub, on_every_bench, put};
use super::wait;

/// By seq: the template that a target names, and its variables.
fn named(store: &dyn Store, hub: HubId) -> Vec<(u64, Option<TemplateId>, String)> {
    let rows = wait(store.read_rows(hub, ChunkNo(0), &ChunkSet::full(), None)).unwrap();
    let named =
        rows.iter().map(|(row, _)| (row.seq.0, row.template, String::from_utf8(rows.variables(row).to_vec()).unwrap()));
    named.collect()
}

fn ids(store: &dyn Store, hub: HubId) -> Vec<TemplateId> {
    named(store, hub).into_iter().filter_map(|(_, id, _)| id).collect()
}

fn contents(store: &dyn Store, hub: HubId, ids: &[TemplateId]) -> Vec<TemplateContent> {
    ids.iter().flat_map(|id| wait(store.templates(hub, &[*id])).unwrap()).map(|(_, content)| content).collect()
}

fn with(n: u32, templates: Value) -> Change {
    let mut value = device(n, &["a"]);
    value["templates"] = templates;
    put(value)
}

#[test]
fn a_content_is_stored_once_and_every_target_names_it() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let same = json!({"body": "{\"a\":\"$(x)\"}", "headers": {"apns-priority": "5"}, "expiry": "$(until)"});
        let other = json!({"body": "{\"a\":\"$(x)\"}"});
        let changes = (0..3).map(|n| with(n, json!({"one": same, "two": other}))).collect();
        apply(bench.store(), hub, changes);
        settle(bench);
        let named = named(bench.store(), hub);
        let by_target: Vec<_> = named.iter().map(|(_, id, _)| *id).collect();
        assert_eq!(by_target[..3], by_target[3..6]);
        assert_eq!((by_target[0], by_target[1] == by_target[2]), (None, false));
        let ids: Vec<_> = by_target[..3].iter().flatten().copied().collect();
        let nobodys = TemplateId(7);
        let mut found = wait(bench.store().templates(hub, &[ids[0], nobodys, ids[1]])).unwrap();
        found.sort_by_key(|(id, _)| *id != ids[0]);
        let headers = [("apns-priority".to_owned(), "5".to_owned())].into();
        let body = "{\"a\":\"$(x)\"}".to_owned();
        let first = TemplateContent { body: body.clone(), headers, expiry: Some("$(until)".to_owned()) };
        assert_eq!(found, [(ids[0], first), (ids[1], TemplateContent { body, ..TemplateContent::default() })]);
        // Another hub has its own.
        let second = wait(bench.store().put_hub(&HubName::parse("second").unwrap(), Vec::new())).unwrap().id;
        apply(bench.store(), second, vec![with(0, json!({"one": same}))]);
        assert_eq!(wait(bench.store().templates(second, &ids)).unwrap(), []);
        let own = self::ids(bench.store(), second);
        assert_eq!(contents(bench.store(), second, &own), contents(bench.store(), hub, &ids[..1]));
    });
}

#[test]
fn a_changed_body_keeps_the_seq_and_what_nobody_has_is_swept() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let body = |n: u32| json!({"t": {"body": format!("{{\"n\":{n}}}")}});
        apply(bench.store(), hub, vec![with(0, body(0)), with(1, body(1)), with(2, body(1))]);
        settle(bench);
        let before = ids(bench.store(), hub);
        assert_eq!(apply(bench.store(), hub, vec![with(0, body(2)), with(1, body(2))]), [Applied::Updated; 2]);
        settle(bench);
        let after = named(bench.store(), hub);
        assert_eq!(after.iter().map(|(seq, ..)| *seq).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        let after = ids(bench.store(), hub);
        assert!(after[0] == after[1] && after[2] == before[2] && after[0] != before[0]);
        let bodies = |ids: &[TemplateId]| {
            contents(bench.store(), hub, ids).into_iter().map(|content| content.body).collect::<Vec<_>>()
        };
        assert_eq!(bodies(&after), ["{\"n\":2}", "{\"n\":2}", "{\"n\":1}"]);
        wait(bench.store().sweep()).unwrap();
        assert_eq!(bodies(&[before[0], before[2], after[0]]), ["{\"n\":1}", "{\"n\":2}"]);
        // The last one goes with its installation, and comes again with another.
        let delete = (1..3).map(|n| Change::Delete(InstallationId::parse(&format!("dev-{n}")).unwrap()));
        apply(bench.store(), hub, delete.collect());
        bench.clock().advance(Duration::from_secs(3_601));
        wait(bench.store().sweep()).unwrap();
        let bodies = |ids: &[TemplateId]| contents(bench.store(), hub, ids).len();
        assert_eq!((bodies(&[before[2]]), bodies(&[after[0]])), (0, 1), "the one of dev-0 stays");
        apply(bench.store(), hub, vec![with(9, body(1))]);
        assert_eq!(bodies(&[before[2]]), 1);
    });
}

#[test]
fn a_target_has_those_push_variables_that_its_template_reads() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let person = |variables: Value| {
            let mut value = device(0, &["a"]);
            value["templates"] = json!({"hi": {"body": "{\"a\":\"{'Hi ' + $(NAME)}\"}"}, "plain": {"body": "{}"}});
            value["pushVariables"] = variables;
            put(value)
        };
        let variables =
            |store: &dyn Store| named(store, hub).into_iter().map(|(.., variables)| variables).collect::<Vec<_>>();
        apply(bench.store(), hub, vec![person(json!({"Name": "Anna", "other": "x"}))]);
        settle(bench);
        assert_eq!(variables(bench.store()), ["", "{\"name\":\"Anna\"}", ""]);
        let before = ids(bench.store(), hub);
        apply(bench.store(), hub, vec![person(json!({"Name": "Ben"}))]);
        settle(bench);
        assert_eq!(variables(bench.store()), ["", "{\"name\":\"Ben\"}", ""]);
        apply(bench.store(), hub, vec![person(json!({}))]);
        settle(bench);
        assert_eq!(variables(bench.store()), ["", "", ""]);
        assert_eq!(ids(bench.store(), hub), before, "the template is the same whoever has it");
    });
}

#[test]
fn telling_rows_their_template_again_changes_nothing_that_is_right() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, (0..3).map(|n| with(n, json!({"t": {"body": format!("{{\"n\":{n}}}")}}))).collect());
        settle(bench);
        let before = named(bench.store(), hub);
        wait(bench.store().relink_templates(hub, ChunkNo(0), &ChunkSet::from_range(0..=99))).unwrap();
        assert_eq!(named(bench.store(), hub), before);
        wait(bench.store().relink_templates(HubId(99), ChunkNo(0), &ChunkSet::from_range(0..=99))).unwrap();
        wait(bench.store().relink_templates(hub, ChunkNo(0), &ChunkSet::new())).unwrap();
    });
}

#[test]
fn the_lowest_targets_of_an_audience_are_found() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let changes = (0..6).map(|n| match n % 2 {
            0 => with(n, json!({"t": {"body": "{}"}})),
            _ => put(device(n, &["b"])),
        });
        apply(bench.store(), hub, changes.collect());
        settle(bench);
        let lowest = |text, kind, limit| wait(bench.store().lowest(hub, &audience(text), kind, limit)).unwrap();
        assert_eq!(lowest("", AudienceKind::Template, 9), [Seq(1), Seq(4), Seq(7)]);
        assert_eq!(lowest("t && a", AudienceKind::Template, 2), [Seq(1), Seq(4)]);
        assert_eq!(lowest("b", AudienceKind::Template, 9), []);
        assert_eq!(lowest("b", AudienceKind::Native, 1), [Seq(2)]);
    });
}
