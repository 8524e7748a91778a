//! `fanfare doctor`, beside a running service and without one.

use fanfare::clock::{Clock, SystemClock};
use fanfare::store::postgres::SCHEMA_VERSION;
use loadtest::gateways::script::Act;
use loadtest::gateways::{Answer, Authority, Script, Simulated, WnsConfig, WnsSim};
use loadtest::servers::postgres::{Postgres, PostgresOptions};
use loadtest::servers::redis::{Cluster, Redis, Sentinels};
use serde_json::json;

use crate::world::{World, environment, fanfare};

async fn doctor(world: &World, more: &[(&str, &str)]) -> crate::world::Ran {
    let settings = environment(world.folder.path());
    let settings = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    fanfare(world.folder.path(), &["doctor"], &settings.chain(more.iter().copied()).collect::<Vec<_>>(), "").await
}

#[tokio::test]
async fn a_good_setup_is_all_ok_beside_the_running_service() {
    let world = World::start().await;
    let ran = doctor(&world, &[]).await.expect(0);
    assert!(ran.out.lines().all(|line| line.starts_with("ok  ") || line.contains("free on its disk")), "{ran:?}");
    assert!(ran.out.contains("a running service has it, so it was only read"), "{ran:?}");
    assert!(ran.out.contains("ok   hub demo apns: the service is there and takes the credentials"), "{ran:?}");
    assert!(ran.out.contains("ok   queue: memory:") && ran.out.contains("ok   clock: 20"), "{ran:?}");
    world.run(&["hub", "list"]).await.expect(0);
    let World { folder, running, sim, key } = world;
    let mut stopped = environment(folder.path());
    assert!(running.stop().await);
    // Its answers are wrong from now on: the key is not that of this team any more.
    drop((sim, key));
    stopped.push(("FANFARE_LOG".to_owned(), "off".to_owned()));
    let settings: Vec<_> = stopped.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let ran = fanfare(folder.path(), &["doctor"], &settings, "").await.expect(1);
    assert!(ran.out.contains("no service has it"), "{ran:?}");
    assert!(ran.out.contains("fail hub demo apns: the service cannot be reached"), "{ran:?}");
    assert_eq!(ran.err, "fanfare: 1 test failed\n");
}

#[tokio::test]
async fn refused_credentials_and_a_lost_key_say_what_to_do() {
    let world = World::start().await;
    world.run(&["hub", "create", "bare"]).await.expect(0);
    let other = ["hub", "create", "demo", "--replace", "--apns-topic", "com.example.app", "--apns-team-id"];
    let endpoint = world.sim.endpoint();
    let rest = ["TEAM999999", "--apns-key-id", &world.key.key_id, "--apns-key-file", "key.p8"];
    let where_to = ["--apns-ca-file", "ca.pem", "--apns-endpoint", &endpoint];
    world.run(&[&other[..], &rest[..], &where_to[..]].concat()).await.expect(0);
    let ran = doctor(&world, &[]).await.expect(1);
    assert!(
        ran.out.contains("fail hub demo apns: the service refuses the credentials (InvalidProviderToken)"),
        "{ran:?}"
    );
    assert!(ran.out.contains("warn hub bare: has no push service"), "{ran:?}");
    let lost = doctor(&world, &[("FANFARE__SECRETS__KEY_FILE", "elsewhere.key")]).await.expect(1);
    assert!(lost.out.contains("fail hub demo: its settings are sealed with a key that is not there"), "{lost:?}");
    assert!(!world.folder.path().join("elsewhere.key").exists(), "it makes no key");
}

#[tokio::test]
async fn wns_is_asked_for_a_token() {
    let world = World::bare().await;
    let (authority, config) = (Authority::new().unwrap(), WnsConfig::default());
    let sim = WnsSim::start_under(config.clone(), &authority).await.unwrap();
    let hub = async |secret: &str, endpoint: String| {
        let account = json!({
            "tenant_id": config.tenant_id, "client_id": config.client_id, "client_secret": secret,
            "token_endpoint": endpoint, "allowed_hosts": [sim.allowed_host()], "ca": authority.ca_pem(),
        });
        world.write("hub.json", &json!({"wns": account}).to_string());
        world.run(&["hub", "create", "demo", "--replace", "--json", "hub.json"]).await.expect(0);
    };
    hub(&config.client_secret, sim.entra_endpoint()).await;
    let ran = doctor(&world, &[]).await.expect(0);
    assert!(ran.out.contains("ok   hub demo wns: the service is there and takes the credentials"), "{ran:?}");
    assert_eq!(sim.tokens_given(), 1);
    hub("wrong", sim.entra_endpoint()).await;
    let ran = doctor(&world, &[]).await.expect(1);
    let refused = "fail hub demo wns: the service refuses the credentials (invalid_client); check tenant_id";
    assert!(ran.out.contains(refused) && !ran.out.contains("wrong"), "{ran:?}");
    hub("any", "https://localhost:1/t".to_owned()).await;
    let ran = doctor(&world, &[]).await.expect(1);
    assert!(
        ran.out.contains("fail hub demo wns: the service cannot be reached (token endpoint not reached)"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_clock_that_differs_from_the_services_is_told() {
    let world = World::start().await;
    for (ahead, status, line) in [
        (0, 0, "ok   hub demo apns clock: agrees with the service's"),
        (100_000, 0, "warn hub demo apns clock: this machine is "),
        (-100_000, 0, "s ahead of the service; keep the system's clock by NTP"),
        (4_000_000, 1, "s behind the service; keep the system's clock by NTP, push services refuse tokens"),
    ] {
        let date = jiff::Timestamp::from_millisecond(SystemClock.now().millis() + ahead).unwrap();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
        let answer = Answer::refused(400, "BadDeviceToken").with_date(&date);
        world.sim.set_script(Script::new().always(Act::Answer(answer)));
        let ran = doctor(&world, &[]).await.expect(status);
        assert!(ran.out.contains(line), "{ahead}: {ran:?}");
        assert!(ran.out.contains("ok   hub demo apns: the service is there"), "{ran:?}");
    }
}

#[tokio::test]
async fn before_the_first_start_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let ran = fanfare(folder.path(), &["doctor"], &[], "").await.expect(0);
    assert!(ran.out.contains("is not there yet; `serve` or `migrate` makes it"), "{ran:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let refused = fanfare(folder.path(), &["doctor"], &[("FANFARE__STORE__URL", "mysql://h")], "").await.expect(2);
    assert!(refused.err.starts_with("config: store.url: "), "{refused:?}");
}

/// What doctor says of a store and a queue, without a hub.
async fn of_servers(folder: &std::path::Path, store: &str, queue: &str) -> crate::world::Ran {
    let settings = [("FANFARE__STORE__URL", store), ("FANFARE__QUEUE__URL", queue)];
    fanfare(folder, &["doctor"], &settings, "").await
}

#[tokio::test]
async fn a_good_database_is_ok_before_and_after_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start().unwrap();
    let url = postgres.database("fanfare").unwrap();
    let ran = of_servers(folder.path(), &url, "memory:").await.expect(0);
    assert!(ran.out.contains("ok   store: it has no schema yet; `serve` or `migrate` makes it"), "{ran:?}");
    let migrated = fanfare(folder.path(), &["migrate"], &[("FANFARE__STORE__URL", &url)], "").await.expect(0);
    assert!(migrated.out.starts_with("the store has the schema of version"), "{migrated:?}");
    let ran = of_servers(folder.path(), &url, "memory:").await.expect(0);
    let schema = format!("ok   store: schema version {SCHEMA_VERSION}");
    for line in [
        &*schema,
        "ok   store: synchronous_commit=on, fsync=on, full_page_writes=on",
        "ok   store clock: agrees with the service's to some seconds",
        "enough for 12 processes of store.connections = 16",
        "ok   hubs: there is none yet",
    ] {
        assert!(ran.out.contains(line), "{line} {ran:?}");
    }
}

#[tokio::test]
async fn a_database_that_may_lose_what_it_promised_fails() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["fsync = off", "synchronous_commit = off", "max_connections = 12"];
    let options = PostgresOptions { settings: settings.map(str::to_owned).to_vec(), ..PostgresOptions::default() };
    let postgres = Postgres::start_with(&options).unwrap();
    let url = postgres.database("fanfare").unwrap();
    let ran = of_servers(folder.path(), &url, "memory:").await.expect(1);
    assert!(ran.out.contains("fail store: synchronous_commit=off, fsync=off"), "{ran:?}");
    assert!(ran.out.contains("enough for 0 processes of store.connections = 16; raise max_connections"), "{ran:?}");
    let unknown = postgres.url("nowhere");
    let ran = of_servers(folder.path(), &unknown, "memory:").await.expect(1);
    assert!(ran.out.contains("fail store: ") && ran.out.contains("nowhere"), "{ran:?}");
    drop(postgres);
    let ran = of_servers(folder.path(), &url, "memory:").await.expect(1);
    assert!(ran.out.contains("check store.url, that the server runs"), "{ran:?}");
}

#[tokio::test]
async fn a_queue_is_judged_by_what_it_may_lose() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("fanfare.db").display());
    let durable = Redis::start_durable().await.unwrap();
    let ran = of_servers(folder.path(), &store, &durable.url()).await.expect(0);
    assert!(ran.out.contains("appendonly yes, appendfsync always: a restart loses nothing"), "{ran:?}");
    assert!(ran.out.contains("maxmemory-policy noeviction"), "{ran:?}");
    let words = ["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"];
    let mut short = Redis::start_with(&words).await.unwrap();
    let ran = of_servers(folder.path(), &store, &short.url()).await.expect(1);
    assert!(ran.out.contains("maxmemory-policy allkeys-lru throws queued work away"), "{ran:?}");
    assert!(ran.out.contains("warn queue 127.0.0.1") && ran.out.contains("a restart loses the queue"), "{ran:?}");
    short.kill();
    let ran = of_servers(folder.path(), &store, &short.url()).await.expect(1);
    assert!(ran.out.contains("fail queue 127.0.0.1"), "{ran:?}");
}

#[tokio::test]
async fn sentinels_and_a_cluster_are_asked_whether_they_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("fanfare.db").display());
    let sentinels = Sentinels::start().await.unwrap();
    let ran = of_servers(folder.path(), &store, &sentinels.url()).await.expect(0);
    assert_eq!(ran.out.matches("ok   queue sentinel 127.0.0.1").count(), 3, "{ran:?}");
    assert!(ran.out.contains("queue master fanfare: Redis "), "{ran:?}");
    drop(sentinels);
    let cluster = Cluster::start().await.unwrap();
    let ran = of_servers(folder.path(), &store, &cluster.url()).await.expect(0);
    assert!(ran.out.contains("ok   queue: the Cluster is whole: 3 masters"), "{ran:?}");
}
