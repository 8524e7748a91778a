//! Provider tokens: who may push, for how long, and how often a connection may change its token.
use std::time::Duration;

use loadtest::gateways::{ApnsConfig, ProviderKey, apns::Environment};

use crate::client::{self, Client, Kit, request, soon, token};

/// Pushes with this `authorization`; answers the reason, empty when accepted.
async fn push(client: &Client, authorization: &str) -> String {
    let request = request(&token(1)).header("authorization", authorization);
    soon(client.push(request)).await.unwrap().reason().to_owned()
}

async fn push_signed(client: &Client, kit: &Kit, key: &ProviderKey, age: i64) -> String {
    let jwt = key.sign(kit.sim.clock().unix_seconds() - age).unwrap();
    push(client, &format!("bearer {jwt}")).await
}

#[tokio::test]
async fn missing_malformed_and_forged_tokens_are_refused() {
    let kit = client::kit(client::config()).await;
    let client = kit.connect().await;
    let answered = soon(client.push(request(&token(1)))).await.unwrap();
    assert_eq!((answered.status, answered.reason()), (403, "MissingProviderToken"));
    let (message, _) = kit.jwt.rsplit_once('.').unwrap();
    let forged = format!("bearer {message}.{}", "A".repeat(86));
    for bad in ["", "bearer", "bearer x.y.z", "basic abc", &format!("bearer {message}"), &forged] {
        assert_eq!(push(&client, bad).await, "InvalidProviderToken", "{bad}");
    }
    let stranger = ProviderKey::generate("TEAM123456").unwrap();
    assert_eq!(push_signed(&client, &kit, &stranger, 0).await, "InvalidProviderToken");
    let mut other_team = kit.sim.issue_key("TEAM123456").unwrap();
    other_team.team_id = "TEAM999999".to_owned();
    assert_eq!(push_signed(&client, &kit, &other_team, 0).await, "InvalidProviderToken");
    // After all that the connection is still good, in either spelling of the scheme.
    assert_eq!(push(&client, &format!("Bearer {}", kit.jwt)).await, "");
}

#[tokio::test]
async fn tokens_age() {
    let kit = client::kit(client::config()).await;
    assert_eq!(push_signed(&kit.connect().await, &kit, &kit.key, 3700).await, "ExpiredProviderToken");
    assert_eq!(push_signed(&kit.connect().await, &kit, &kit.key, -3700).await, "InvalidProviderToken");
    assert_eq!(push_signed(&kit.connect().await, &kit, &kit.key, 3500).await, "");
    // One that was good runs out on an open connection.
    let client = kit.connect().await;
    let authorization = format!("bearer {}", kit.jwt);
    assert_eq!(push(&client, &authorization).await, "");
    kit.sim.clock().advance(Duration::from_secs(3601));
    assert_eq!(push(&client, &authorization).await, "ExpiredProviderToken");
}

#[tokio::test]
async fn a_connection_changes_its_token_once_in_twenty_minutes() {
    let kit = client::kit(client::config()).await;
    let client = kit.connect().await;
    let first = format!("bearer {}", kit.jwt);
    assert_eq!(push(&client, &first).await, "");
    assert_eq!(push_signed(&client, &kit, &kit.key, 1).await, "", "the first change");
    assert_eq!(push_signed(&client, &kit, &kit.key, 2).await, "TooManyProviderTokenUpdates");
    assert_eq!(push(&client, &first).await, "", "an old one is no update");
    assert_eq!(push_signed(&kit.connect().await, &kit, &kit.key, 2).await, "", "other connections count by themselves");
    kit.sim.clock().advance(Duration::from_secs(20 * 60));
    assert_eq!(push_signed(&client, &kit, &kit.key, 2).await, "");
}

#[tokio::test]
async fn a_connection_belongs_to_one_team() {
    let kit = client::kit(client::config()).await;
    let client = kit.connect().await;
    assert_eq!(push_signed(&client, &kit, &kit.key, 0).await, "");
    let other = kit.sim.issue_key("TEAM999999").unwrap();
    assert_eq!(push_signed(&client, &kit, &other, 0).await, "InvalidProviderToken");
    assert_eq!(push_signed(&kit.connect().await, &kit, &other, 0).await, "");
}

#[tokio::test]
async fn keys_have_topics_environments_and_an_end() {
    let kit = client::kit(client::config()).await;
    let mut narrow = ProviderKey::generate("TEAM123456").unwrap();
    narrow.topics = vec!["com.example.other".to_owned()];
    kit.sim.trust(&narrow);
    let client = kit.connect().await;
    assert_eq!(push_signed(&client, &kit, &narrow, 0).await, "TopicDisallowed");
    assert_eq!(push_signed(&client, &kit, &kit.key, 0).await, "UnrelatedKeyIdInToken");

    let mut sandbox = ProviderKey::generate("TEAM123456").unwrap();
    sandbox.environment = Some(Environment::Sandbox);
    kit.sim.trust(&sandbox);
    assert_eq!(push_signed(&kit.connect().await, &kit, &sandbox, 0).await, "BadEnvironmentKeyIdInToken");

    let client = kit.connect().await;
    let authorization = format!("bearer {}", kit.jwt);
    assert_eq!(push(&client, &authorization).await, "");
    kit.sim.revoke(&kit.key.key_id);
    assert_eq!(push(&client, &authorization).await, "InvalidProviderToken");
}

#[tokio::test]
async fn the_sandbox_gives_a_unique_id() {
    let kit = client::kit(ApnsConfig { environment: Environment::Sandbox, ..client::config() }).await;
    let answered = soon(kit.connect().await.push(kit.request(&token(1)))).await.unwrap();
    assert!(answered.headers.contains_key("apns-unique-id"));
}
