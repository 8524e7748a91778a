//! Changes of parts of one installation.

use std::collections::BTreeSet;
use std::time::Duration;

use fanfare::model::chunk_set::ChunkSet;
use fanfare::model::id::{ChunkNo, HubId, InstallationId, Seq};
use fanfare::model::installation::{InstallationLimits, Patch};
use fanfare::model::target::AudienceKind;
use fanfare::store::{Applied, Change, PatchError, Store, StoreError, StoredInstallation};
use serde_json::{Value, json};

use super::registry::{apply, audience, count, device, hub, on_every_bench, put, seqs};
use super::{START, benches, wait};

fn id() -> InstallationId {
    InstallationId::parse("dev-1").unwrap()
}

fn patch_within(
    store: &dyn Store,
    hub: HubId,
    operations: Value,
    limits: InstallationLimits,
) -> Result<Applied, PatchError> {
    let patch = Patch::parse(operations.to_string().as_bytes()).unwrap();
    wait(store.patch(hub, &id(), patch, limits))
}

fn patch(store: &dyn Store, hub: HubId, operations: Value) -> Result<Applied, PatchError> {
    patch_within(store, hub, operations, InstallationLimits::default())
}

fn stored(store: &dyn Store, hub: HubId) -> StoredInstallation {
    wait(store.installation(hub, &id())).unwrap().unwrap()
}

fn channels(store: &dyn Store, hub: HubId) -> Vec<Vec<u8>> {
    let rows = wait(store.read_rows(hub, ChunkNo(0), &ChunkSet::full(), None)).unwrap();
    rows.iter().map(|(_, channel)| channel.to_vec()).collect()
}

#[test]
fn a_patch_changes_its_parts_and_the_index_follows() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, vec![put(device(1, &["a", "b"])), put(device(2, &["a", "b"]))]);
        settle(bench);
        bench.clock().advance(Duration::from_secs(5));
        let operations = json!([
            {"op": "add", "path": "/tags", "value": "c"},
            {"op": "remove", "path": "/tags/b"},
            {"op": "replace", "path": "/userId", "value": "u"},
            {"op": "add", "path": "/templates/t", "value": "{\"body\":\"{}\",\"tags\":[\"x\"]}"},
        ]);
        assert_eq!(patch(bench.store(), hub, operations).unwrap(), Applied::Updated);
        settle(bench);
        let counts = ["", "a", "b", "c", "$UserId:{u}"].map(|text| count(bench.store(), hub, text));
        assert_eq!(counts, [2, 2, 1, 1, 1]);
        let templates = wait(bench.store().count(hub, &audience("x && c"), AudienceKind::Template)).unwrap();
        assert_eq!(templates.values().sum::<u64>(), 1);
        assert_eq!(seqs(bench.store(), hub), [Seq(0), Seq(1), Seq(2)], "the native target keeps its seq");
        let changed = stored(bench.store(), hub);
        assert_eq!(changed.installation.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        // It says nothing of whether the channel works.
        assert_eq!((changed.updated, changed.confirmed), (START.plus(Duration::from_secs(5)), START));
    });
}

#[test]
fn a_patch_that_sets_the_channel_confirms_it() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, vec![put(device(1, &["a"]))]);
        settle(bench);
        bench.clock().advance(Duration::from_secs(5));
        let channel = json!([{"op": "replace", "path": "/pushChannel", "value": "ab".repeat(32)}]);
        assert_eq!(patch(bench.store(), hub, channel).unwrap(), Applied::Updated);
        settle(bench);
        assert_eq!(channels(bench.store(), hub), [vec![0xab; 32]]);
        assert_eq!(stored(bench.store(), hub).confirmed, START.plus(Duration::from_secs(5)));
    });
}

#[test]
fn a_patch_that_changes_nothing_writes_no_change() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, vec![put(device(1, &["a"]))]);
        settle(bench);
        bench.clock().advance(Duration::from_secs(5));
        for operations in [json!([]), json!([{"op": "remove", "path": "/tags/b"}])] {
            assert_eq!(patch(bench.store(), hub, operations).unwrap(), Applied::Touched);
        }
        settle(bench);
        assert_eq!((stored(bench.store(), hub).updated, count(bench.store(), hub, "a")), (START, 1));
    });
}

#[test]
fn a_patch_that_breaks_a_rule_leaves_everything() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, vec![put(device(1, &["a"]))]);
        settle(bench);
        let before = stored(bench.store(), hub);
        let good = json!({"op": "add", "path": "/tags", "value": "b"});
        for (bad, field) in [
            (json!({"op": "add", "path": "/tags", "value": "b c"}), "tags[2]"),
            (json!({"op": "replace", "path": "/pushChannel", "value": "xyz"}), "pushChannel"),
            (json!({"op": "add", "path": "/templates/t", "value": {}}), "templates.t.body"),
            (json!({"op": "add", "path": "/templates", "value": 7}), "[1].value"),
        ] {
            let refused = patch(bench.store(), hub, json!([good, bad])).unwrap_err();
            assert!(matches!(&refused, PatchError::Field(error) if error.field == field), "{refused:?}");
        }
        let limits = InstallationLimits { tags: 1, ..InstallationLimits::default() };
        let refused = patch_within(bench.store(), hub, json!([good]), limits).unwrap_err();
        assert!(matches!(&refused, PatchError::Field(error) if error.field == "tags"), "{refused:?}");
        settle(bench);
        assert_eq!(stored(bench.store(), hub), before);
        assert_eq!((count(bench.store(), hub, "a"), count(bench.store(), hub, "b")), (1, 0));
    });
}

#[test]
fn what_is_not_there_is_not_patched() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let tag = || json!([{"op": "add", "path": "/tags", "value": "b"}]);
        let missing = |store: &dyn Store| matches!(patch(store, hub, tag()), Err(PatchError::NotFound));
        assert!(missing(bench.store()));
        let mut passing = device(1, &["a"]);
        passing["expirationTime"] = json!(START.plus(Duration::from_secs(60)));
        apply(bench.store(), hub, vec![put(passing)]);
        settle(bench);
        assert_eq!(patch(bench.store(), hub, tag()).unwrap(), Applied::Updated);
        bench.clock().advance(Duration::from_secs(60));
        assert!(missing(bench.store()), "it has expired");
        apply(bench.store(), hub, vec![put(device(1, &["a"])), Change::Delete(id())]);
        settle(bench);
        assert!(missing(bench.store()), "it was deleted");
        assert_eq!((count(bench.store(), hub, ""), seqs(bench.store(), hub)), (0, vec![]));
        let nowhere = patch(bench.store(), HubId(hub.0 + 1), tag());
        assert!(matches!(nowhere, Err(PatchError::NotFound | PatchError::Store(StoreError::NoHub))), "{nowhere:?}");
    });
}

#[test]
fn patches_at_the_same_time_lose_none() {
    for bench in benches() {
        let hub = hub(bench.store());
        apply(bench.store(), hub, vec![put(device(1, &[])), put(device(2, &["other"]))]);
        wait(async {
            let store = bench.store();
            let patches = (0..64).map(|tag| async move {
                let operations = json!([{"op": "add", "path": "/tags", "value": format!("t{tag}")}]).to_string();
                let patch = Patch::parse(operations.as_bytes()).unwrap();
                store.patch(hub, &id(), patch, InstallationLimits::default()).await.unwrap()
            });
            // Registrations of others are grouped with them.
            let others = (0..16).map(|round| store.apply(hub, vec![put(device(2, &[["x", "y"][round % 2]]))]));
            let (applied, _) =
                futures_util::join!(futures_util::future::join_all(patches), futures_util::future::join_all(others));
            assert!(applied.iter().all(|applied| *applied == Applied::Updated));
        });
        let tags: BTreeSet<_> =
            stored(bench.store(), hub).installation.tags.iter().map(|tag| tag.as_str().to_owned()).collect();
        assert_eq!(tags, (0..64).map(|tag| format!("t{tag}")).collect());
        let counts = (0..64).map(|tag| count(bench.store(), hub, &format!("t{tag}")));
        assert!(counts.into_iter().all(|count| count == 1));
    }
}
