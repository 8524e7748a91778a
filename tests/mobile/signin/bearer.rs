//! A provider's own token in the place of a session (4.11): the libraries of Datasync and of the Community Toolkit show it
//! with each request.

use loadtest::gateways::{Fault, OpenIdConfig, Signing, Twist};
use serde_json::json;

use super::*;
use crate::client::Client;

const TABLES: &str = "bearer = true\n[mobile.tables.mine]\nper_user = true\nsoft_delete = true\n[mobile.tables.open]";
const V3: (&str, &str) = ("zumo-api-version", "3.0.0");

async fn house() -> House {
    House::with(OpenIdConfig::default(), "house", TABLES).await
}

fn token(house: &House, signing: Signing, claims: serde_json::Value) -> String {
    house.provider.id_token(&Twist { signing, claims: self::claims(claims) })
}

async fn read(client: &Client, path: &str) -> Answer {
    client.send("GET", path, &[V3], b"").await
}

#[tokio::test]
async fn a_providers_token_stands_for_the_user_that_a_session_of_theirs_does() {
    let house = house().await;
    let (user, session) = session_of(&house.show(&json!({"id_token": house.id_token()})).await.expect(200).json());
    let bearer = house.id_token();
    let client = house.world.showing(&bearer);
    let row = json!({"id": "a", "text": "mine"}).to_string();
    let headers = [V3, ("content-type", "application/json")];
    client.send("POST", "/tables/mine", &headers, row.as_bytes()).await.expect(201);
    let both = [read(&client, "/tables/mine").await, read(&house.world.showing(&session), "/tables/mine").await];
    for answer in both {
        let items = answer.expect(200).json()["items"].clone();
        assert_eq!((items[0]["text"].clone(), items[0]["userId"].clone()), (json!("mine"), json!(user)));
    }
    let own = house.world.client.send("GET", "/tables/mine/a", &[V3, ("x-zumo-auth", &bearer)], b"").await;
    own.expect(200);
    // Somebody else at the same provider is somebody else.
    house.provider.set_person(json!({"sub": "another"}));
    let another = house.world.showing(&house.id_token());
    assert_eq!(read(&another, "/tables/mine").await.expect(200).json()["items"], json!([]));
    read(&another, "/tables/mine/a").await.expect(404);
    let me = client.get("/.auth/me").await.expect(200).json();
    assert_eq!((&me[0]["provider_name"], &me[0]["user_id"]), (&json!("house"), &json!("ann@example.com")));
    // It is no session.
    assert_eq!(refused(&client.get("/.auth/refresh").await).0, 401);
    let shown = json!({"authenticationToken": bearer});
    assert_eq!(refused(&house.world.client.post("/.auth/login", &shown).await).0, 401);
    client.get("/.auth/logout").await.expect(302);
    assert_eq!(read(&client, "/tables/mine").await.status, 200);
}

#[tokio::test]
async fn a14_a_providers_token_that_is_not_good_is_refused_on_every_table() {
    let house = house().await;
    let now = house.provider.now();
    assert_eq!(read(&house.world.showing(&house.id_token()), "/tables/open").await.status, 200);
    let refuses = async |token: String, words: &str| {
        for table in ["open", "mine"] {
            let answer = read(&house.world.showing(&token), &format!("/tables/{table}")).await;
            assert_eq!((answer.status, answer.json()["error"].clone()), (401, json!(words)), "{table}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    };
    let forged = "the token is not signed by the provider";
    for signing in [Signing::Stranger, Signing::Unpublished, Signing::Tampered] {
        refuses(token(&house, signing, json!({})), forged).await;
    }
    // Signed with what everybody can read, or not at all: they are no provider's, and no session's either.
    refuses(token(&house, Signing::Hmac, json!({})), "invalid signature").await;
    refuses(token(&house, Signing::None, json!({})), "invalid token").await;
    for (claims, words) in [
        (json!({"aud": "another-app"}), "the token was issued for another app"),
        (json!({"azp": "another-app"}), "the token was issued for another app"),
        (json!({"exp": now - 120}), "the token has expired"),
        (json!({"exp": null}), "the token has no end"),
        (json!({"nbf": now + 600}), "the token is not valid yet"),
        (json!({"iat": null}), "the token does not say when it was issued"),
        (json!({"sub": ""}), "the token does not say whose it is"),
    ] {
        refuses(token(&house, Signing::Rsa, claims), words).await;
    }
    // Of an issuer that is not known here: nobody is asked.
    let asked = house.provider.asked("/keys");
    for iss in [json!("https://evil.example"), json!(null), json!(7)] {
        refuses(token(&house, Signing::Unpublished, json!({ "iss": iss })), "invalid algorithm").await;
    }
    assert_eq!(house.provider.asked("/keys"), asked);
}

#[tokio::test]
async fn a14_to_revoke_a_users_sessions_revokes_their_providers_tokens() {
    let house = house().await;
    let (user, _) = session_of(&house.show(&json!({"id_token": house.id_token()})).await.expect(200).json());
    let bearer = house.id_token();
    assert_eq!(who(&house.world, &bearer).await, 200);
    house.world.admin.post(&format!("/v1/users/{user}:revoke"), &json!({})).await.expect(200);
    assert_eq!(refused(&house.world.showing(&bearer).get("/.auth/me").await), (401, "session revoked".to_owned()));
    let later = token(&house, Signing::Rsa, json!({"iat": house.provider.now() + 30}));
    assert_eq!(who(&house.world, &later).await, 200, "and not those that it makes later");
}

#[tokio::test]
async fn while_a_provider_is_away_its_tokens_are_for_later() {
    let house = house().await;
    let bearer = house.world.showing(&house.id_token());
    house.provider.set_fault("/keys", Some(Fault::Status(500)));
    let answer = read(&bearer, "/tables/open").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{answer:?}");
    assert!(answer.json().as_object().unwrap().len() == 1, "as the newer libraries read it: {answer:?}");
    assert_eq!(read(&house.world.client, "/tables/open").await.status, 200);
}

/// Where two providers could have made a token, the one that it names comes first.
#[tokio::test]
async fn a_directorys_token_stands_for_its_user() {
    let tid = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let config = OpenIdConfig::default();
    let house = House::with(config, "aad", TABLES).await;
    let good = house.world.showing(&token(&house, Signing::Rsa, json!({ "tid": tid })));
    let (user, _) = session_of(
        &house.world.client.post("/.auth/login/aad", &json!({"id_token": house.id_token()})).await.expect(200).json(),
    );
    let told = good.get("/.auth/me").await.expect(200).json();
    assert!(told[0]["user_claims"].as_array().unwrap().contains(&json!({"typ": "stable_sid", "val": user})), "{told}");
}
