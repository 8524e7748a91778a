//! Registrations beside installations: conditions, lists, departures.

use std::collections::BTreeSet;
use std::time::Duration;

use fanfare::model::id::{HubId, InstallationId, Seq};
use fanfare::model::installation::InstallationLimits;
use fanfare::model::outcome::{Outcome, Place};
use fanfare::model::platform::Platform;
use fanfare::model::registration::filter::Handle;
use fanfare::model::registration::{self, Registrant, Registration, RegistrationId};
use fanfare::model::target::{AudienceKind, TargetKind};
use fanfare::model::verdict::Reason;
use fanfare::store::{
    Checkpoint, Evidence, Judgement, OutcomeQuery, Precondition, Registered, RegistrationChange, RegistrationPage,
    RegistrationQuery, Store, StoredRegistration,
};
use serde_json::json;

use super::broadcasts::{HOUR, Life, request};
use super::registry::{apply, audience, count, device, hub, on_every_bench, put};
use super::{START, benches, wait};

fn id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).unwrap()
}

/// A registration on the channel of number `n`: native, or with a template of this name.
fn single(text: &str, n: u32, tags: &str, template: Option<&str>) -> Registration {
    let (stem, body) = match template {
        None => ("FcmV1", String::new()),
        Some(name) => {
            ("FcmV1Template", format!("<BodyTemplate>{{}}</BodyTemplate><TemplateName>{name}</TemplateName>"))
        }
    };
    let document = format!(
        "<{stem}RegistrationDescription><Tags>{tags}</Tags><FcmV1RegistrationId>token-{n}</FcmV1RegistrationId>{body}\
         </{stem}RegistrationDescription>"
    );
    registration::read(document.as_bytes(), &InstallationLimits::default(), START).unwrap().named(id(text))
}

fn registers(store: &dyn Store, hub: HubId, changes: Vec<RegistrationChange>) -> Vec<Registered> {
    wait(store.register(hub, changes)).unwrap()
}

fn change(registration: Registration, only: Precondition) -> RegistrationChange {
    RegistrationChange::Put { registration: Box::new(registration), only }
}

fn write(store: &dyn Store, hub: HubId, registration: Registration) -> Registered {
    registers(store, hub, vec![change(registration, Precondition::None)])[0]
}

fn delete(store: &dyn Store, hub: HubId, id: RegistrationId, only: Precondition) -> Registered {
    registers(store, hub, vec![RegistrationChange::Delete { id, only }])[0]
}

fn get(store: &dyn Store, hub: HubId, text: &str) -> Option<StoredRegistration> {
    wait(store.registration(hub, &id(text))).unwrap()
}

fn page(store: &dyn Store, hub: HubId, query: RegistrationQuery, from: Seq, limit: usize) -> RegistrationPage {
    wait(store.registrations(hub, query, from, limit)).unwrap()
}

/// Ids of a whole list, read in pages of two.
fn ids(store: &dyn Store, hub: HubId, query: &RegistrationQuery) -> Vec<String> {
    let (mut ids, mut from) = (Vec::new(), Some(Seq(0)));
    while let Some(at) = from {
        let page = page(store, hub, query.clone(), at, 2);
        assert!(page.items.len() <= 2);
        ids.extend(page.items.iter().map(|item| item.registration.id.to_string()));
        from = page.next;
    }
    ids
}

fn tag(text: &str) -> RegistrationQuery {
    RegistrationQuery::Tag(text.to_owned())
}

fn on(n: u32) -> RegistrationQuery {
    let channel = format!("token-{n}").into_bytes().into();
    RegistrationQuery::Handles(vec![Handle { platform: Platform::Fcm, channel }])
}

fn templates(store: &dyn Store, hub: HubId, text: &str) -> u64 {
    wait(store.count(hub, &audience(text), AudienceKind::Template)).unwrap().values().sum()
}

#[test]
fn a_registration_is_found_with_its_version_until_it_is_deleted() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        assert_eq!(
            write(bench.store(), hub, single("1-2-1", 1, "a,b", None)),
            Registered::Created { etag: 1, at: START }
        );
        settle(bench);
        let stored = get(bench.store(), hub, "1-2-1").unwrap();
        assert_eq!(stored.registration, single("1-2-1", 1, "a,b", None));
        assert_eq!((stored.etag, stored.updated, stored.derived), (1, START, false));
        assert_eq!(count(bench.store(), hub, "a && b"), 1);
        bench.clock().advance(Duration::from_secs(1));
        let at = START.plus(Duration::from_secs(1));
        assert_eq!(write(bench.store(), hub, single("1-2-1", 2, "b,c", None)), Registered::Updated { etag: 2, at });
        settle(bench);
        assert_eq!((count(bench.store(), hub, "a"), count(bench.store(), hub, "c")), (0, 1));
        assert_eq!(ids(bench.store(), hub, &on(1)), Vec::<String>::new());
        assert_eq!(ids(bench.store(), hub, &on(2)), ["1-2-1"]);
        // Of another kind it is another target.
        let stored = write(bench.store(), hub, single("1-2-1", 2, "b", Some("t")));
        assert_eq!(stored, Registered::Updated { etag: 3, at });
        settle(bench);
        assert_eq!((count(bench.store(), hub, "b"), templates(bench.store(), hub, "b")), (0, 1));
        assert_eq!(templates(bench.store(), hub, "t"), 1, "the template's name finds it");
        assert_eq!(delete(bench.store(), hub, id("1-2-1"), Precondition::None), Registered::Deleted);
        settle(bench);
        assert_eq!(delete(bench.store(), hub, id("1-2-1"), Precondition::None), Registered::Absent);
        assert_eq!((get(bench.store(), hub, "1-2-1"), templates(bench.store(), hub, "b")), (None, 0));
        assert_eq!(write(bench.store(), hub, single("1-2-1", 1, "a", None)), Registered::Created { etag: 1, at });
    });
}

/// Every row of the table of `If-Match` in 2.4, and what an import asks for.
#[test]
fn conditions_are_those_of_the_version_that_stands() {
    for bench in benches() {
        let (store, hub) = (bench.store(), hub(bench.store()));
        let put = |text, only| registers(store, hub, vec![change(single(text, 1, "a", None), only)])[0];
        assert_eq!(put("x", Precondition::Present), Registered::Absent);
        assert_eq!(put("x", Precondition::Version(1)), Registered::Absent);
        assert_eq!(put("x", Precondition::Absent), Registered::Created { etag: 1, at: START });
        assert_eq!(put("x", Precondition::Absent), Registered::Exists);
        assert_eq!(put("x", Precondition::Version(2)), Registered::Differs);
        assert_eq!(put("x", Precondition::Version(1)), Registered::Updated { etag: 2, at: START });
        assert_eq!(put("x", Precondition::Version(1)), Registered::Differs);
        assert_eq!(put("x", Precondition::Present), Registered::Updated { etag: 3, at: START });
        assert_eq!(delete(store, hub, id("x"), Precondition::Version(2)), Registered::Differs);
        assert_eq!(delete(store, hub, id("x"), Precondition::Version(3)), Registered::Deleted);
        assert_eq!(put("0-7-0", Precondition::None), Registered::OfInstallation);
        // Within one call, too: each sees what the one before it did.
        let both = vec![
            change(single("y", 1, "a", None), Precondition::None),
            change(single("y", 1, "b", None), Precondition::Version(1)),
            RegistrationChange::Delete { id: id("y"), only: Precondition::Version(2) },
            RegistrationChange::Delete { id: id("y"), only: Precondition::None },
        ];
        let (created, updated) =
            (Registered::Created { etag: 1, at: START }, Registered::Updated { etag: 2, at: START });
        assert_eq!(registers(store, hub, both), [created, updated, Registered::Deleted, Registered::Absent]);
    }
}

#[test]
fn an_installation_and_a_registration_of_one_id_are_two() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, vec![put(device(1, &["a"]))]);
        write(bench.store(), hub, single("dev-1", 1, "a", None));
        settle(bench);
        assert_eq!(count(bench.store(), hub, "a"), 2);
        assert_eq!(count(bench.store(), hub, "$InstallationId:{dev-1}"), 1);
        let installation = InstallationId::parse("dev-1").unwrap();
        assert!(wait(bench.store().installation(hub, &installation)).unwrap().is_some());
        let listed = wait(bench.store().installations(hub, &audience("a"), Seq(0), 9)).unwrap();
        assert_eq!((listed.items.len(), listed.next), (1, None), "a registration is no installation");
        delete(bench.store(), hub, id("dev-1"), Precondition::None);
        settle(bench);
        assert!(wait(bench.store().installation(hub, &installation)).unwrap().is_some());
        assert_eq!(count(bench.store(), hub, "a"), 1);
    });
}

#[test]
fn targets_of_installations_are_seen_as_registrations() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let mut value = device(1, &["a"]);
        value["userId"] = json!("u42");
        value["templates"] = json!({"My Alert": {"body": "{}"}});
        apply(bench.store(), hub, vec![put(value)]);
        write(bench.store(), hub, single("1-2-1", 1, "a", None));
        settle(bench);
        let store = bench.store();
        assert_eq!(ids(store, hub, &RegistrationQuery::All), ["0-0-0", "0-1-0", "1-2-1"]);
        assert_eq!(ids(store, hub, &tag("a")), ["0-0-0", "0-1-0", "1-2-1"]);
        assert_eq!(ids(store, hub, &tag("My Alert")), ["0-1-0"]);
        for system in ["$InstallationId:{dev-1}", "$InstallationId:dev-1", "$UserId:{u42}", "$userid:u42"] {
            assert_eq!(ids(store, hub, &tag(system)), ["0-0-0", "0-1-0"], "{system}");
        }
        for none in ["$UserId:{u4}", "none", "$InstallationId:{}", "\u{1}live:0:0", "\u{1}shared"] {
            assert_eq!(ids(store, hub, &tag(none)), Vec::<String>::new(), "{none}");
        }
        let stored = get(store, hub, "0-1-0").unwrap();
        assert!(stored.derived);
        let tags: Vec<_> = stored.registration.tags.iter().map(|tag| tag.as_str()).collect();
        assert_eq!(tags, ["$InstallationId:{dev-1}", "$UserId:{u42}", "a", "My Alert"]);
        assert_eq!(get(store, hub, "0-2-0"), None, "a registration has its own id alone");
        assert_eq!(get(store, hub, "0-9-0"), None);
        // Deleting one of its targets deletes the installation; what is no installation's stays.
        assert_eq!(delete(store, hub, id("0-1-0"), Precondition::Version(1)), Registered::Differs);
        assert_eq!(delete(store, hub, id("0-2-0"), Precondition::None), Registered::Absent);
        assert_eq!(delete(store, hub, id("0-1-0"), Precondition::Version(stored.etag)), Registered::Deleted);
        assert_eq!(delete(store, hub, id("0-0-0"), Precondition::None), Registered::Absent);
        settle(bench);
        assert_eq!(ids(bench.store(), hub, &RegistrationQuery::All), ["1-2-1"]);
    });
}

#[test]
fn a_list_goes_on_where_it_was_whatever_is_written_meanwhile() {
    for bench in benches() {
        let (store, hub) = (bench.store(), hub(bench.store()));
        for n in 0..6 {
            write(store, hub, single(&format!("r-{n}"), n, "a", None));
        }
        let first = page(store, hub, tag("a"), Seq(0), 3);
        let shown = |page: &RegistrationPage| -> Vec<String> {
            page.items.iter().map(|item| item.registration.id.to_string()).collect()
        };
        assert_eq!(shown(&first), ["r-0", "r-1", "r-2"]);
        delete(store, hub, id("r-0"), Precondition::None);
        delete(store, hub, id("r-3"), Precondition::None);
        write(store, hub, single("r-1", 1, "a,b", None));
        write(store, hub, single("r-9", 9, "a", None));
        let second = page(store, hub, tag("a"), first.next.unwrap(), 3);
        assert_eq!((shown(&second), second.next), (vec!["r-4".to_owned(), "r-5".to_owned(), "r-9".to_owned()], None));
        // Who asks for the first page again and again while deleting comes to an end.
        loop {
            let page = page(store, hub, on(4), Seq(0), 2);
            let Some(item) = page.items.first() else { break };
            assert_eq!(delete(store, hub, item.registration.id.clone(), Precondition::None), Registered::Deleted);
        }
        assert_eq!(ids(store, hub, &RegistrationQuery::All), ["r-1", "r-2", "r-5", "r-9"]);
    }
}

#[test]
fn registrations_on_one_channel_share_its_handle() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        for (text, template) in
            [("n-1", None), ("n-2", None), ("t-1", Some("t")), ("t-2", Some("t")), ("u-1", Some("u"))]
        {
            write(bench.store(), hub, single(text, 1, "a", template));
        }
        settle(bench);
        assert_eq!(ids(bench.store(), hub, &on(1)).len(), 5);
        let life = Life { store: bench.store(), hub };
        let id = life.planned(request("a"));
        let skipped = OutcomeQuery { outcome: Some(Some(Outcome::Skipped)), ..OutcomeQuery::default() };
        assert_eq!(life.outcomes(id, skipped).len(), 1, "one of the two native ones");
    });
}

#[test]
fn a_registration_expires_and_a_later_write_keeps_it() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let until = |seconds| START.plus(Duration::from_secs(seconds));
        let with =
            |text: &str, n, seconds| Registration { expires: Some(until(seconds)), ..single(text, n, "a", None) };
        write(bench.store(), hub, with("x", 1, 10));
        write(bench.store(), hub, with("y", 2, 10));
        write(bench.store(), hub, with("y", 2, 100));
        settle(bench);
        bench.clock().advance(Duration::from_secs(10));
        assert_eq!((get(bench.store(), hub, "x"), count(bench.store(), hub, "a")), (None, 1));
        assert_eq!(ids(bench.store(), hub, &RegistrationQuery::All), ["y"]);
        assert_eq!(get(bench.store(), hub, "y").unwrap().registration.expires, Some(until(100)));
        while wait(bench.store().sweep()).unwrap() {}
        assert_eq!(get(bench.store(), hub, "y").unwrap().registration.expires, Some(until(100)));
        let again = write(bench.store(), hub, single("x", 1, "a", None));
        assert!(matches!(again, Registered::Created { etag: 1, .. }), "it was gone");
    });
}

#[test]
fn a_dead_channel_takes_its_registration_and_the_outcome_names_it() {
    for bench in benches() {
        let hub = hub(bench.store());
        let life = Life { store: bench.store(), hub };
        write(bench.store(), hub, single("x", 1, "few", None));
        write(bench.store(), hub, single("y", 2, "few", None));
        bench.clock().advance(HOUR);
        let sent = life.planned(request("few"));
        let shard = life.shards(sent)[0];
        let work = life.lease(shard).unwrap();
        let dead = Evidence {
            seq: Seq(0),
            from: Place::Pending,
            since: START.plus(HOUR),
            timed: true,
            reason: Reason::known("Unregistered"),
        };
        let checkpoint = Checkpoint { evidence: vec![dead], judge: Some(Judgement::All), ..Checkpoint::default() };
        assert_eq!(life.record(shard, work.epoch, checkpoint).unwrap().dropped, 1);
        assert_eq!((get(bench.store(), hub, "x"), ids(bench.store(), hub, &on(1))), (None, Vec::new()));
        let items = life.outcomes(sent, OutcomeQuery::default());
        let told: BTreeSet<_> = items.iter().map(|item| (item.registrant.clone(), item.outcome)).collect();
        let is = |text| Some(Registrant::Registration(id(text)));
        assert_eq!(told, BTreeSet::from([(is("x"), Some(Outcome::Dropped)), (is("y"), None)]));
        assert!(items.iter().all(|item| item.target == TargetKind::Native && item.installation().is_none()));
        // Found by its id, alive or gone.
        for text in ["x", "y"] {
            let installation = Some(InstallationId::parse(text).unwrap());
            let items = life.outcomes(sent, OutcomeQuery { installation, ..OutcomeQuery::default() });
            assert_eq!(items.iter().map(|item| item.registrant.clone()).collect::<Vec<_>>(), [is(text)]);
        }
        life.assert_conserved(sent);
        assert!(matches!(write(bench.store(), hub, single("x", 1, "few", None)), Registered::Created { etag: 1, .. }));
    }
}
