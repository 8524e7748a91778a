//! What the trait does not show: marks of shared handles, whatever was read of a channel; two nodes that write one hub;
//! changes of one group that fail alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use loadtest::servers::postgres::{Postgres, PostgresOptions};
use serde_json::{Value, json};

use super::super::pool::{Durability, begin, commit};
use super::super::{Options, PostgresStore, Time};
use super::{drop_dead, on_view, target_rows};
use crate::clock::{Clock, ManualClock};
use crate::model::audience::Audience;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, HubId, HubName, InstallationId, Seq};
use crate::model::installation::{Installation, InstallationLimits};
use crate::model::target::AudienceKind;
use crate::model::time::Timestamp;
use crate::store::Retention;
use crate::store::index::IndexView;
use crate::store::registration::{Removal, of_key};
use crate::store::{Applied, Change, Store, StoreError};

const START: Timestamp = Timestamp::from_millis(1_769_941_800_000);

/// A server with a database that two nodes have open.
struct Bench {
    server: Postgres,
    clock: Arc<ManualClock>,
    nodes: [PostgresStore; 2],
    hub: HubId,
}

async fn bench() -> Bench {
    let settings = ["fsync = off", "autovacuum = off"].map(str::to_owned).to_vec();
    let server = Postgres::start_with(&PostgresOptions { settings, inside: None }).unwrap();
    let clock = ManualClock::starting_at(START);
    let options = Options { url: server.database("fanfare").unwrap(), connections: 8, base: "/".into() };
    let open = || PostgresStore::open(&options, Time::Given(clock.clone()), Retention::default());
    let nodes = [open().await.unwrap(), open().await.unwrap()];
    let hub = nodes[0].put_hub(&HubName::parse("demo").unwrap(), Vec::new()).await.unwrap().id;
    Bench { server, clock, nodes, hub }
}

impl Bench {
    async fn shared(&self, node: usize) -> BTreeSet<u16> {
        let parts = &self.nodes[node].parts;
        let shared = on_view(parts, self.hub, self.clock.now(), |view| view.shared(ChunkNo(0))).await.unwrap();
        shared.iter().collect()
    }

    /// Those that have a twin, as the rows say.
    fn twins(&self) -> BTreeSet<u16> {
        let twins = "SELECT DISTINCT a.key FROM target a JOIN target b ON a.channel = b.channel AND a.class = b.class \
                     AND a.name IS NOT DISTINCT FROM b.name AND a.platform = b.platform AND a.key <> b.key \
                     WHERE a.gone_why IS NULL AND b.gone_why IS NULL";
        let keys = self.server.psql("fanfare", twins).unwrap();
        keys.lines().map(|key| of_key(key.parse().unwrap()).1.offset()).collect()
    }

    async fn apply(&self, node: usize, changes: Vec<Change>) -> Vec<Applied> {
        self.nodes[node].apply(self.hub, changes).await.unwrap()
    }

    async fn drop_dead(&self, node: usize, seqs: &[u64], since: Timestamp) -> Vec<Removal> {
        let parts = &self.nodes[node].parts;
        let dead: Vec<_> = seqs.iter().map(|seq| (Seq(*seq), since)).collect();
        let mut client = parts.pool.get().await.unwrap();
        let tx = begin(&mut client, Durability::Relaxed).await.unwrap();
        let removals = drop_dead(parts, &tx, self.hub, &dead, self.clock.now()).await.unwrap();
        commit(tx).await.unwrap();
        removals
    }

    async fn count(&self, node: usize) -> u64 {
        let counts = self.nodes[node].count(self.hub, &Audience::Everyone, AudienceKind::Native).await.unwrap();
        counts.values().sum()
    }
}

fn put(value: &Value) -> Change {
    let installation = Installation::parse(value.to_string().as_bytes(), None, &InstallationLimits::default());
    Change::Put(Box::new(installation.unwrap()))
}

fn device(n: u32, channel: u32, templates: &[&str]) -> Value {
    let templates = templates.iter().map(|name| ((*name).to_owned(), json!({"body": "<toast/>"})));
    json!({"installationId": format!("dev-{n}"), "platform": "wns", "tags": ["a"],
           "pushChannel": format!("https://w.example/{channel}"), "templates": Value::Object(templates.collect())})
}

fn delete(n: u32) -> Change {
    Change::Delete(InstallationId::parse(&format!("dev-{n}")).unwrap())
}

/// Any order of groups of registrations on few channels, on two nodes: marked are exactly those with a twin.
#[tokio::test(flavor = "multi_thread")]
async fn marks_are_exact() {
    let bench = bench().await;
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..150 {
        let node = random.usize(0..2);
        match random.u32(0..10) {
            0 => drop(bench.drop_dead(node, &[random.u64(0..300), random.u64(0..300)], START).await),
            1 => drop(bench.nodes[node].fold().await.unwrap()),
            _ => {
                let change = |random: &mut fastrand::Rng| {
                    let n = random.u32(0..8);
                    if random.u32(0..6) == 0 {
                        return delete(n);
                    }
                    let names: Vec<_> = ["s", "t"].into_iter().filter(|_| random.bool()).collect();
                    let mut value = device(n, random.u32(0..3), &names);
                    if random.bool() {
                        let channel = format!("https://w.example/{}", random.u32(0..3));
                        value["secondaryTiles"] = json!({"x": {"pushChannel": channel, "tags": ["tile"]}});
                    }
                    put(&value)
                };
                let changes = (0..random.usize(1..6)).map(|_| change(&mut random)).collect();
                bench.apply(node, changes).await;
            }
        }
        bench.clock.advance(Duration::from_secs(1));
        assert_eq!(bench.shared(1 - node).await, bench.twins(), "round {round}");
    }
}

/// Of a channel that very many share only some targets are read, unless they do not tell enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_of_very_many_is_marked_until_one_is_left() {
    let bench = bench().await;
    bench.apply(0, (0..300).map(|n| put(&device(n, 7, &[]))).collect()).await;
    assert_eq!(bench.shared(1).await.len(), 300);
    bench.apply(1, (0..200).map(delete).collect()).await;
    assert_eq!(bench.shared(0).await.len(), 100);
    bench.apply(0, (201..299).map(|n| put(&device(n, n, &[]))).collect()).await;
    assert_eq!(bench.shared(0).await, BTreeSet::from([200, 299]));
    bench.apply(1, vec![put(&device(200, 200, &[]))]).await;
    assert_eq!(bench.shared(0).await, BTreeSet::new());
    assert_eq!(bench.twins(), BTreeSet::new());
}

/// Nodes take turns: no seq is drawn twice, none is left out, and nobody's change is lost.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_write_one_hub() {
    let bench = bench().await;
    let groups = (0..60_u32).map(|group| {
        let changes = (0..10).map(|n| put(&device(group * 10 + n, group * 10 + n, &[]))).collect();
        bench.apply(group as usize % 2, changes)
    });
    let folds = async {
        for turn in 0..6 {
            bench.nodes[turn % 2].fold().await.unwrap();
        }
    };
    let (applied, ()) = futures_util::join!(futures_util::future::join_all(groups), folds);
    assert!(applied.iter().flatten().all(|applied| *applied == Applied::Created));
    let seqs = "SELECT count(*), count(DISTINCT key), max(key & 1099511627775) FROM target";
    assert_eq!(bench.server.psql("fanfare", seqs).unwrap(), "600|600|599");
    for node in 0..2 {
        assert_eq!(bench.count(node).await, 600);
        while bench.nodes[node].fold().await.unwrap() {}
        assert_eq!(bench.count(1 - node).await, 600);
    }
    let unfolded = "SELECT (SELECT count(*) FROM index_delta) + (SELECT count(*) FROM touch)";
    assert_eq!(bench.server.psql("fanfare", unfolded).unwrap(), "0");
    assert!(bench.nodes.iter().all(|node| node.commits().registrations == 300 && node.commits().unfolded == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_fails_alone() {
    let bench = bench().await;
    bench.server.psql("fanfare", &format!("UPDATE hub_counter SET next_seq = {}", Seq::END - 2)).unwrap();
    // Whoever comes while the first is at work makes one group.
    let changes = (0..6).map(|n| if n == 5 { vec![delete(9)] } else { vec![put(&device(n, n, &[]))] });
    let calls = changes.map(|changes| bench.nodes[0].apply(bench.hub, changes));
    let answers = futures_util::future::join_all(calls).await;
    let created = answers.iter().filter(|it| it.as_ref().is_ok_and(|it| it[..] == [Applied::Created])).count();
    let full = answers.iter().filter(|it| matches!(it, Err(StoreError::Full(_)))).count();
    assert_eq!((created, full), (2, 3), "{answers:?}");
    assert_eq!(answers[5].as_ref().unwrap()[..], [Applied::Absent]);
    assert_eq!(bench.count(1).await, 2);
}

/// What was confirmed since stays; a removal takes all of the installation's targets on the channel, once.
#[tokio::test(flavor = "multi_thread")]
async fn removals_of_one_transaction_see_each_other() {
    let bench = bench().await;
    bench.apply(0, vec![put(&device(1, 1, &["t"])), put(&device(2, 2, &[]))]).await;
    bench.clock.advance(Duration::from_secs(10));
    bench.apply(1, vec![put(&device(2, 2, &[]))]).await;
    let removals = bench.drop_dead(0, &[0, 1, 2, 77], START.plus(Duration::from_secs(5))).await;
    assert_eq!(removals, [Removal::Dropped, Removal::Gone, Removal::Fresher, Removal::Gone]);
    bench.nodes[1].fold().await.unwrap();
    assert_eq!(bench.count(1).await, 1);
    let id = InstallationId::parse("dev-1").unwrap();
    assert!(bench.nodes[1].installation(bench.hub, &id).await.unwrap().unwrap().channel_expired);
    let gone = bench.drop_dead(1, &[2], START.plus(Duration::from_secs(20))).await;
    assert_eq!(gone, [Removal::Dropped], "the fold wrote what the touch said");
    assert_eq!(bench.drop_dead(1, &[2], bench.clock.now()).await, [Removal::Gone]);
}

/// What a node of the version before templates were stored does: it writes documents and rows, and knows no template.
#[tokio::test]
async fn a_node_of_the_version_before_may_write_beside_this_one() {
    let bench = bench().await;
    let node = &bench.nodes[0];
    bench.apply(0, vec![put(&device(1, 7, &["s", "t"])), put(&device(2, 8, &["t"]))]).await;
    let page = async || {
        let rows = node.read_rows(bench.hub, ChunkNo(0), &ChunkSet::full(), None).await.unwrap();
        rows.iter().map(|(row, _)| row.template).collect::<Vec<_>>()
    };
    let before = page().await;
    assert_eq!(before.iter().flatten().count(), 3);
    let change = "UPDATE installation SET updated = updated + 1, document = \
                  convert_to(replace(convert_from(document, 'UTF8'), '<toast/>', '<toast a=''1''/>'), 'UTF8') \
                  WHERE convert_from(document, 'UTF8') LIKE '%\"dev-1\"%'";
    bench.server.psql("fanfare", change).unwrap();
    assert_eq!(page().await.iter().flatten().count(), 1, "what changed names none any more, the other still does");
    node.relink_templates(bench.hub, ChunkNo(0), &ChunkSet::from_range(0..=9)).await.unwrap();
    let after = page().await;
    let ids: Vec<_> = after.iter().flatten().copied().collect();
    assert_eq!((ids.len(), ids[0] == ids[1], ids[2]), (3, true, before[4].unwrap()));
    let contents = node.templates(bench.hub, &ids[..1]).await.unwrap();
    assert_eq!(contents[0].1.body, "<toast a='1'/>");
    // This version's own changes forget nothing.
    bench.apply(1, vec![put(&device(2, 9, &["t"]))]).await;
    assert_eq!(page().await, after);
}

#[tokio::test]
async fn two_contents_never_share_a_number() {
    let bench = bench().await;
    bench.apply(0, vec![put(&device(1, 7, &["t"]))]).await;
    bench.server.psql("fanfare", "UPDATE template SET content = '\\x7b7d'").unwrap();
    let refused = bench.nodes[1].apply(bench.hub, vec![put(&device(2, 8, &["t"]))]).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(bench.count(0).await, 1);
}

/// Gathered by their places and sorted, as the server would by itself, they cost half as much again.
#[tokio::test]
async fn rows_are_read_in_the_order_of_their_keys_also_of_a_table_that_was_never_analysed() {
    let bench = bench().await;
    let rows = "INSERT INTO target (key, installation, class, platform, channel, channel_hash, confirmed, user_mark) \
                SELECT (1::int8 << 40) + n, n, 0, 0, '\\x00', n, 0, 1 FROM generate_series(0, 199999) n";
    bench.server.psql("fanfare", rows).unwrap();
    let client = bench.nodes[0].parts.pool.get().await.unwrap();
    let one = target_rows::live("key BETWEEN 1::int8 << 40 AND (1::int8 << 40) + 4095");
    let several = format!(
        "unnest(ARRAY[1::int8 << 40, (1::int8 << 40) + 9000], ARRAY[(1::int8 << 40) + 500, (1::int8 << 40) + 9500]) \
         AS stretch (first, last) CROSS JOIN LATERAL {}",
        target_rows::live("key BETWEEN stretch.first AND stretch.last")
    );
    for rows in [one, several] {
        let page = target_rows::page_of(&rows, None);
        let plan = client.query(&format!("EXPLAIN {page}"), &[]).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|step| step.contains("Index Scan using target_pkey")), "{plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("Sort")), "{plan:#?}");
    }
}
