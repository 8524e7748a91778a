//! Providers that are known by name.

use loadtest::gateways::{OpenIdConfig, Twist};
use serde_json::json;

use super::*;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

async fn show(house: &House, provider: &str, body: serde_json::Value) -> Answer {
    house.world.client.post(&format!("/.auth/login/{provider}"), &body).await
}

#[tokio::test]
async fn a13_google_takes_an_id_token_also_of_its_older_issuer() {
    let house = House::with(OpenIdConfig::default(), "google", "audiences = ['android']").await;
    let bare = house.provider.issuer().replace("https://", "");
    for json in [json!({}), json!({"iss": bare}), json!({"azp": "android"})] {
        let token = house.provider.id_token(&Twist { claims: claims(json), ..Twist::default() });
        show(&house, "google", json!({"id_token": token})).await.expect(200);
    }
    let answer = show(&house, "google", json!({"access_token": house.id_token()})).await;
    assert_eq!(refused(&answer), (400, "id_token is required: a token of the provider".to_owned()));
}

/// The documents of many directories at once have a gap where each token names its own.
#[tokio::test]
async fn a13_aad_takes_people_of_every_directory_or_of_one() {
    let path = |tenant: &str| format!("/{tenant}/v2.0");
    let many =
        OpenIdConfig { path: path("organizations"), said_path: Some(path("{tenantid}")), ..OpenIdConfig::default() };
    let house = House::with(many, "aad", "").await;
    let issuer = house.provider.issuer();
    let of = |iss: &str, tid: Option<&str>| {
        let json = json!({"iss": issuer.replace("organizations", iss), "tid": tid});
        house.provider.id_token(&Twist { claims: claims(json), ..Twist::default() })
    };
    for name in ["aad", "WindowsAzureActiveDirectory", "windowsazureactivedirectory"] {
        let body = json!({"access_token": "for the graph", "id_token": of(TENANT, Some(TENANT))});
        show(&house, name, body).await.expect(200);
    }
    show(&house, "aad", json!({"access_token": of(TENANT, Some(TENANT))})).await.expect(200);
    let other = "00000000-0000-0000-0000-000000000000";
    for (iss, tid) in [
        (TENANT, Some(other)),
        (TENANT, None),
        ("{tenantid}", None),
        ("{tenantid}", Some("{tenantid}")),
        ("organizations", Some(TENANT)),
        ("evil/x", Some("evil/x")),
    ] {
        let answer = show(&house, "aad", json!({"access_token": of(iss, tid)})).await;
        assert_eq!(refused(&answer), (401, "the token is of another issuer".to_owned()), "{iss} {tid:?}");
    }
    let one = OpenIdConfig { path: path(TENANT), ..OpenIdConfig::default() };
    let house = House::with(one, "aad", "").await;
    show(&house, "aad", json!({"id_token": house.id_token()})).await.expect(200);
    let foreign = house.provider.issuer().replace(TENANT, other);
    let token =
        house.provider.id_token(&Twist { claims: claims(json!({"iss": foreign, "tid": other})), ..Twist::default() });
    assert_eq!(refused(&show(&house, "aad", json!({"id_token": token})).await).0, 401, "another directory's people");
}

#[tokio::test]
async fn a13_microsoft_prefers_its_authentication_token() {
    let house = House::with(OpenIdConfig::default(), "microsoftaccount", "").await;
    let body = json!({"access_token": "opaque", "authentication_token": house.id_token()});
    let (_, token) = session_of(&show(&house, "microsoftaccount", body).await.expect(200).json());
    let me = house.world.showing(&token).get("/.auth/me").await.expect(200).json();
    assert!(me[0]["authentication_token"].is_string() && me[0]["access_token"] == json!("opaque"), "{me}");
    let answer = show(&house, "microsoftaccount", json!({"access_token": "opaque"})).await;
    assert_eq!(refused(&answer).0, 401, "one that only the provider can read proves nothing");
}

/// Apple is shown a secret that the team's key signs; asked for a name it comes back by a POST from its own pages.
#[tokio::test]
async fn a13_apple_comes_back_by_a_post() {
    let house = House::with(OpenIdConfig::default(), "apple", "scopes = ['openid', 'name']").await;
    let mut browser = house.browser();
    let answer = browser.own("/.auth/login/apple").await.expect(302);
    assert!(browser.set[0].ends_with("; HttpOnly; Secure; SameSite=None"), "{}", browser.set[0]);
    let page = browser.ask("GET", answer.header("location").unwrap(), &[], b"").await.expect(200);
    let (to, form) = (page.header("x-form-action").unwrap().to_owned(), page.body.clone());
    let kind = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "cross-site")];
    let stranger = house.browser().ask("POST", &to, &kind, &form).await.expect(302);
    assert!(stranger.header("location").unwrap().contains("#error="), "somebody else's browser");
    let back = browser.ask("POST", &to, &kind, &form).await.expect(302);
    assert!(back.header("location").unwrap().contains("/.auth/login/done#token="), "{back:?}");
    let huge = vec![b'a'; 100_000];
    assert_eq!(browser.ask("POST", &to, &kind, &huge).await.status, 413);
    let house = House::start().await;
    let posted = house
        .browser()
        .ask("POST", &format!("{}/.auth/login/house/callback", house.world.over_tls()), &kind, b"x=y")
        .await;
    assert_eq!(refused(&posted).0, 405, "others do not post");
}
