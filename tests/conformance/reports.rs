//! What apps report of their own devices.

use std::time::Duration;

use fanfare::clock::Clock;
use fanfare::model::id::{HubId, InstallationId, Seq, UserId};
use fanfare::model::installation::{Installation, InstallationLimits, OwnTag, Patch, Report, Reporter, Said};
use fanfare::store::{Applied, ReportError, Store, StoredInstallation};
use serde_json::{Value, json};

use super::registry::{apply, count, device, hub, on_every_bench, put, seqs};
use super::{START, wait};

fn id() -> InstallationId {
    InstallationId::parse("dev-1").unwrap()
}

fn nobody() -> Reporter {
    Reporter::default()
}

fn user(name: &str) -> Reporter {
    Reporter { user: Some(UserId::parse(name).unwrap()), is_device: false }
}

fn says(by: Reporter, document: &Value) -> Report {
    let limits = InstallationLimits::default();
    let installation = Installation::parse(document.to_string().as_bytes(), None, &limits).unwrap();
    let own = [OwnTag::parse("topic:*").unwrap()].into_iter().collect();
    Report { id: id(), by, says: Some(Box::new(Said { installation, names_tags: false, own })) }
}

fn leaves(by: Reporter) -> Report {
    Report { id: id(), by, says: None }
}

fn report(store: &dyn Store, hub: HubId, report: Report) -> Result<Applied, ReportError> {
    wait(store.report(hub, report, InstallationLimits::default()))
}

fn stored(store: &dyn Store, hub: HubId) -> StoredInstallation {
    wait(store.installation(hub, &id())).unwrap().unwrap()
}

fn not_theirs(answer: &Result<Applied, ReportError>) -> bool {
    matches!(answer, Err(ReportError::NotTheirs))
}

#[test]
fn a_report_is_laid_over_what_the_server_keeps_and_the_index_follows() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        assert_eq!(report(bench.store(), hub, says(nobody(), &device(1, &[]))).unwrap(), Applied::Created);
        settle(bench);
        let tags = json!([{"op": "add", "path": "/tags", "value": ["vip", "_UserId:sid:old"]}]);
        let patch = Patch::parse(tags.to_string().as_bytes()).unwrap();
        wait(bench.store().patch(hub, &id(), patch, InstallationLimits::default())).unwrap();
        settle(bench);
        bench.clock().advance(Duration::from_secs(5));
        assert_eq!(report(bench.store(), hub, says(user("sid:a"), &device(1, &[]))).unwrap(), Applied::Updated);
        settle(bench);
        let counts = ["", "vip", "_UserId:sid:a", "$UserId:{sid:a}", "_UserId:sid:old"]
            .map(|text| count(bench.store(), hub, text));
        assert_eq!(counts, [1, 1, 1, 1, 0]);
        assert_eq!(seqs(bench.store(), hub), [Seq(0)], "the target keeps its seq");
        assert_eq!(stored(bench.store(), hub).confirmed, bench.clock().now());
        // Again, by the same and by the device without a user: nothing to write.
        for by in [user("sid:a"), Reporter { user: None, is_device: true }] {
            assert_eq!(report(bench.store(), hub, says(by, &device(1, &[]))).unwrap(), Applied::Touched);
        }
        // Another user on the same device takes it over.
        let other = Reporter { is_device: true, ..user("sid:b") };
        assert_eq!(report(bench.store(), hub, says(other, &device(1, &[]))).unwrap(), Applied::Updated);
        settle(bench);
        let counts = ["vip", "_UserId:sid:a", "$UserId:{sid:a}", "_UserId:sid:b", "$UserId:{sid:b}"]
            .map(|text| count(bench.store(), hub, text));
        assert_eq!(counts, [1, 0, 0, 1, 1]);
    });
}

#[test]
fn who_may_not_change_a_device_leaves_it_as_it_is() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        report(bench.store(), hub, says(user("sid:a"), &device(1, &[]))).unwrap();
        settle(bench);
        let before = stored(bench.store(), hub);
        bench.clock().advance(Duration::from_secs(5));
        let mut other = device(1, &[]);
        other["pushChannel"] = json!("cd".repeat(32));
        for by in [nobody(), user("sid:b")] {
            assert!(not_theirs(&report(bench.store(), hub, says(by.clone(), &other))));
            assert!(not_theirs(&report(bench.store(), hub, leaves(by))));
        }
        settle(bench);
        assert_eq!(stored(bench.store(), hub), before);
        assert_eq!(report(bench.store(), hub, leaves(user("sid:a"))).unwrap(), Applied::Deleted);
        settle(bench);
        assert_eq!(report(bench.store(), hub, leaves(nobody())).unwrap(), Applied::Absent);
        assert_eq!(count(bench.store(), hub, ""), 0);
    });
}

#[test]
fn a_device_whose_time_is_over_is_nobodys() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let mut passing = device(1, &[]);
        passing["expirationTime"] = json!(START.plus(Duration::from_secs(60)));
        report(bench.store(), hub, says(user("sid:a"), &passing)).unwrap();
        settle(bench);
        bench.clock().advance(Duration::from_secs(60));
        assert_eq!(report(bench.store(), hub, says(user("sid:b"), &device(1, &[]))).unwrap(), Applied::Created);
        settle(bench);
        assert_eq!(stored(bench.store(), hub).installation.user, user("sid:b").user);
    });
}

#[test]
fn a_result_over_a_limit_is_refused_and_leaves_everything() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, vec![put(device(1, &["a", "b"]))]);
        settle(bench);
        let before = stored(bench.store(), hub);
        let limits = InstallationLimits { tags: 2, ..InstallationLimits::default() };
        let refused = wait(bench.store().report(hub, says(user("sid:a"), &device(1, &[])), limits)).unwrap_err();
        assert!(matches!(&refused, ReportError::Field(error) if error.field == "tags"), "{refused:?}");
        settle(bench);
        assert_eq!(stored(bench.store(), hub), before);
    });
}

/// Two reports and a server's patch at once, in every order that they may take: no tag of the server's is lost, and the
/// device is the signed-in user's in the end.
#[test]
fn reports_beside_each_other_lose_nothing() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, vec![put(device(1, &[]))]);
        for round in 0..8 {
            let store = bench.store();
            let patch = json!([{"op": "add", "path": "/tags", "value": format!("server-{round}")}]);
            let patch = Patch::parse(patch.to_string().as_bytes()).unwrap();
            let signed_in = Reporter { is_device: true, ..user("sid:a") };
            let device_alone = Reporter { is_device: true, ..nobody() };
            let (one, two, three) = wait(async {
                let limits = InstallationLimits::default();
                let (id, mut changed) = (id(), device(1, &[]));
                changed["pushChannel"] = json!(format!("{:02x}", round + 1).repeat(32));
                let patch = store.patch(hub, &id, patch, limits);
                let signed_in = store.report(hub, says(signed_in, &changed), limits);
                let alone = store.report(hub, says(device_alone, &device(1, &[])), limits);
                futures_util::join!(alone, patch, signed_in)
            });
            assert!(one.is_ok() && two.is_ok() && three.is_ok(), "{one:?} {two:?} {three:?}");
        }
        settle(bench);
        let installation = stored(bench.store(), hub).installation;
        for round in 0..8 {
            assert_eq!(count(bench.store(), hub, &format!("server-{round} && _UserId:sid:a")), 1, "{installation:?}");
        }
        assert_eq!((installation.user, installation.tags.len()), (user("sid:a").user, 9));
    });
}
