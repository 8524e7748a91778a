//! Starting and stopping.

use fanfare::service::{Options, Running, StartError};
use serde_json::json;

use crate::client::Client;
use crate::push::Mood;
use crate::world::{World, config};

#[tokio::test]
async fn a_second_process_on_the_same_file_is_refused() {
    let world = World::start().await;
    let second = Running::start(&config(world.folder.path(), &[]), Options::default()).await;
    let Err(StartError::Config(error)) = second else { panic!("it started: {second:?}") };
    assert_eq!((error.key.as_str(), error.rule.as_str()), ("store.url", "must be a file that no other process uses"));
}

#[tokio::test]
async fn a_role_of_its_own_needs_what_processes_share() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { role: Some(fanfare::fanout::Role::Api), ..Options::default() };
    let Err(StartError::Config(error)) = Running::start(&config(folder.path(), &[]), options).await else {
        panic!("it started")
    };
    assert_eq!(error.key, "store.url");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
}

#[tokio::test]
async fn the_admin_key_is_made_once_and_opens_everything() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("keys/admin.key");
    let settings = [("ADMIN__KEY_FILE", key_file.to_str().unwrap()), ("SERVER__LISTEN", "127.0.0.1:0")];
    let config = {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let environment =
            [("STORE__URL", format!("sqlite:{}", path("data/fanfare.db"))), ("SECRETS__KEY_FILE", path("secret.key"))];
        let environment = environment.into_iter().chain(settings.map(|(name, value)| (name, value.to_owned())));
        let environment = environment.map(|(name, value)| (format!("FANFARE__{name}").into(), value.into()));
        fanfare::config::Config::load_with(None, environment).unwrap()
    };
    let running = Running::start(&config, Options::default()).await.unwrap();
    assert_eq!(running.admin_key().1, Some(key_file.as_path()));
    let key = std::fs::read_to_string(&key_file).unwrap();
    Client::bearer(running.address(), key.trim()).get("/v1/hubs").await.expect(200);
    assert!(running.stop().await);
    let running = Running::start(&config, Options::default()).await.unwrap();
    assert_eq!(running.admin_key().1, None);
    Client::bearer(running.address(), key.trim()).get("/v1/hubs").await.expect(200);
    running.stop().await;
}

#[tokio::test]
async fn stopping_turns_readiness_off_ends_streams_and_loses_nothing() {
    let world = World::start().await;
    world.register(500).await;
    assert_eq!(world.admin.get("/readyz").await.expect(200).json(), json!({"status": "ready"}));
    world.push.set(Mood::Hold);
    let id = world.send("all").await;
    let path = format!("/v1/hubs/demo/broadcasts/{id}/events");
    let mut events = world.admin.begin("GET", &path, &[]).await;
    events.head().await.expect(200);
    assert!(events.next_chunk().await.is_some());
    let app = world.running.app().clone();
    app.draining.cancel();
    let unready = world.admin.get("/readyz").await.expect(503).json();
    assert_eq!(unready["missing"], json!(["this process is stopping"]));
    drop(app);
    while events.next_chunk().await.is_some() {}
    world.push.set(Mood::Accept);
    let world = world.restart(&[]).await;
    let over = world.finished(&id).await;
    assert_eq!((&over["counters"]["delivered"], &over["counters"]["targeted"]), (&json!(500), &json!(500)));
}
