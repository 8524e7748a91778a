//! What becomes of a session (acceptance 13: refresh, me, logout; 14: what is over is nobody's).

use std::time::Duration;

use fanfare::identity::secret::Secret;
use fanfare::identity::session::{Profile, Sessions};
use fanfare::model::time::Timestamp;
use loadtest::gateways::OpenIdConfig;
use serde_json::json;

use super::*;
use crate::world::session;

/// A token of a session of an hour that began so many hours ago.
fn began(hours: i64, provider: &str) -> String {
    use fanfare::clock::Clock;
    let sessions = Sessions::new(&Secret::new(SIGNING_KEY), AUDIENCE, AUDIENCE, Duration::from_hours(1));
    let now = fanfare::clock::SystemClock.now().millis();
    let then = Timestamp::from_millis(now - hours * 3_600_000);
    sessions.begin("sid:00", provider, Profile::default(), then).unwrap().1
}

async fn signed_in(house: &House) -> (String, String) {
    session_of(&house.show(&json!({"id_token": house.id_token()})).await.expect(200).json())
}

async fn refresh(house: &House, token: &str) -> Answer {
    house.world.client.send("GET", "/.auth/refresh", &[("x-zumo-auth", token)], b"").await
}

#[tokio::test]
async fn a13_a_session_is_refreshed_also_when_it_ended_a_while_ago() {
    let house = House::start().await;
    let (user, token) = signed_in(&house).await;
    let answer = refresh(&house, &token).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let (again, second) = session_of(&answer.json());
    assert_eq!(again, user);
    assert_ne!(second, token);
    assert_eq!((who(&house.world, &token).await, who(&house.world, &second).await), (200, 200));
    assert_eq!(claims_of(&second)["sid"], claims_of(&token)["sid"], "the same session");
    assert_eq!(claims_of(&second)["email"], json!("ann@example.com"));
    let late = began(2, "house");
    assert_eq!(refused(&house.world.showing(&late).get("/.auth/me").await), (401, "jwt expired".to_owned()));
    let (_, fresh) = session_of(&refresh(&house, &late).await.expect(200).json());
    assert_eq!(who(&house.world, &fresh).await, 200);
    assert_eq!(refused(&refresh(&house, &began(74, "house")).await), (401, "jwt expired".to_owned()));
    // Those that others made have the end that others gave them.
    assert_eq!(refused(&refresh(&house, &session("ann")).await).0, 400);
    assert_eq!(refused(&house.world.client.get("/.auth/refresh").await).0, 401);
    assert_eq!(refused(&refresh(&house, "a.b.c").await), (401, "invalid token".to_owned()));
}

/// 4.11: its life is for its own server to give, and what the provider gave is this service's.
#[tokio::test]
async fn a_token_of_the_apps_own_server_is_not_renewed_through_the_provider_that_it_names() {
    let house = House::start().await;
    let token = worn(&house).await;
    let told = me(&house, &token).await;
    let user = claims_of(&token)["sub"].clone();
    let own = own(json!({"sub": user, "idp": "house"}));
    assert_eq!(who(&house.world, &own).await, 200);
    let asked = house.provider.asked("/token");
    let words = "the app's own server made this token: only that server makes another";
    assert_eq!(refused(&refresh(&house, &own).await), (400, words.to_owned()));
    assert_eq!(house.provider.asked("/token"), asked);
    let owns = me(&house, &own).await;
    assert_eq!((&owns["provider_name"], owns.get("access_token")), (&json!("house"), None), "{owns}");
    house.world.client.send("GET", "/.auth/logout", &[("x-zumo-auth", &own)], b"").await.expect(302);
    assert_eq!(me(&house, &token).await, told, "and takes nothing along");
}

#[tokio::test]
async fn a_session_is_over_for_good_at_its_age() {
    let house = House::start().await;
    let (_, young) = session_of(&refresh(&house, &began(1, "house")).await.expect(200).json());
    assert_eq!(who(&house.world, &young).await, 200);
    // The usual end is a year.
    let sessions = Sessions::new(&Secret::new(SIGNING_KEY), AUDIENCE, AUDIENCE, Duration::from_hours(10_000));
    let now = fanfare::clock::Clock::now(&fanfare::clock::SystemClock);
    for (hours, status) in [(8_759, 200), (8_761, 401)] {
        let then = Timestamp::from_millis(now.millis() - hours * 3_600_000);
        let (_, token) = sessions.begin("sid:00", "house", Profile::default(), then).unwrap();
        assert_eq!(who(&house.world, &token).await, status, "{hours}");
        let answer = refresh(&house, &token).await.expect(status);
        if status == 401 {
            assert_eq!(refused(&answer).1, "jwt expired");
            continue;
        }
        let end = claims_of(&session_of(&answer.json()).1)["exp"].as_i64().unwrap();
        assert!((end - now.millis() / 1_000 - 3_600).abs() < 60, "an hour is left, and not thirty days");
    }
}

#[tokio::test]
async fn a13_me_tells_what_the_provider_said_to_its_user() {
    let house = House::start().await;
    let end = house.browser().go("/.auth/login/house").await;
    let (user, token) = session_of(&end.session());
    let client = house.world.showing(&token);
    let me = client.get("/.auth/me").await.expect(200).json();
    let [entry] = &me.as_array().unwrap()[..] else { panic!("{me}") };
    assert_eq!((&entry["provider_name"], &entry["user_id"]), (&json!("house"), &json!("ann@example.com")));
    for name in ["access_token", "id_token", "refresh_token", "expires_on"] {
        assert!(entry[name].is_string(), "{name}: {entry}");
    }
    let has =
        |typ: &str, val: &str| entry["user_claims"].as_array().unwrap().contains(&json!({"typ": typ, "val": val}));
    assert!(has("sub", "248289761001") && has("name", "Ann Other") && has("stable_sid", &user), "{entry}");
    assert_eq!(client.get("/.auth/me?provider=House").await.expect(200).json(), me);
    assert_eq!(client.get("/.auth/me?provider=google").await.expect(200).json(), json!([]));
    assert_eq!(refused(&house.world.client.get("/.auth/me").await).0, 401);
    // Who has a token of the app's own server has no provider's.
    let own = house.world.signed_in("ann").get("/.auth/me").await.expect(200).json();
    assert_eq!(
        own,
        json!([{"provider_name": "test", "user_id": "ann", "user_claims": [{"typ": "stable_sid", "val": "ann"}]}])
    );
}

#[tokio::test]
async fn providers_tokens_rest_sealed() {
    let house = House::start().await;
    let end = house.browser().go("/.auth/login/house").await;
    let (_, token) = session_of(&end.session());
    let me = house.world.showing(&token).get("/.auth/me").await.expect(200).json();
    let World { folder, running, .. } = house.world;
    assert!(running.stop().await);
    let mut bytes = Vec::new();
    for name in ["fanfare.db", "fanfare.db-wal"] {
        bytes.extend(std::fs::read(folder.path().join(name)).unwrap_or_default());
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("auth_tokens") && holds("sid:"), "it is the database");
    for secret in ["access_token", "refresh_token", "id_token"] {
        assert!(!holds(me[0][secret].as_str().unwrap()), "{secret}");
    }
    assert!(!holds("ann@example.com") && !holds(&token));
}

#[tokio::test]
async fn a13_logout_ends_the_session_with_all_its_tokens_and_no_other() {
    let house = House::start().await;
    let (user, first) = signed_in(&house).await;
    let (_, renewed) = session_of(&refresh(&house, &first).await.expect(200).json());
    let (_, other) = signed_in(&house).await;
    let target = "https://web.example.com/signed?out";
    let path = format!("/.auth/logout?post_logout_redirect_uri={}", super::flows::escaped(target));
    let answer = house.world.client.send("GET", &path, &[("x-zumo-auth", &first)], b"").await.expect(302);
    assert_eq!(answer.header("location"), Some(target));
    for token in [&first, &renewed] {
        assert_eq!(refused(&house.world.showing(token).get("/.auth/me").await), (401, "session revoked".to_owned()));
        assert_eq!(refused(&refresh(&house, token).await), (401, "session revoked".to_owned()));
        assert_eq!(
            refused(&house.world.client.post("/.auth/login", &json!({"authenticationToken": token})).await).0,
            401
        );
    }
    let me = house.world.showing(&other).get("/.auth/me").await.expect(200).json();
    assert!(me[0].get("access_token").is_none(), "the provider's tokens are forgotten");
    assert_eq!(signed_in(&house).await.0, user, "and who signs in again is welcome");
    // Without a session, or with a bad one, it is done all the same.
    for headers in [&[][..], &[("x-zumo-auth", "a.b.c")]] {
        let answer = house.world.client.send("GET", "/.auth/logout", headers, b"").await.expect(302);
        assert!(answer.header("location").unwrap().ends_with("/.auth/logout/done"));
    }
    let done = house.world.client.get("/.auth/logout/done").await.expect(200);
    assert!(done.text().contains("You are signed out."));
    // It holds after a restart.
    let toml = toml("");
    let world = house.world.restart(&toml).await;
    assert_eq!(world.showing(&renewed).get("/.auth/me").await.status, 401);
}

#[tokio::test]
async fn a14_the_operator_ends_all_sessions_of_a_user() {
    let house = House::start().await;
    let (user, first) = signed_in(&house).await;
    let (_, second) = signed_in(&house).await;
    house.provider.set_person(json!({"sub": "another"}));
    let (_, anothers) = signed_in(&house).await;
    let path = format!("/v1/users/{user}:revoke");
    assert_eq!(house.world.client.post(&path, &json!({})).await.status, 401);
    assert_eq!(house.world.showing(&first).post(&path, &json!({})).await.status, 401, "no user may");
    let answer = house.world.admin.post(&path, &json!({})).await.expect(200).json();
    assert_eq!(answer["user"], json!(user));
    for token in [&first, &second] {
        assert_eq!(who(&house.world, token).await, 401);
        assert_eq!(refused(&refresh(&house, token).await), (401, "session revoked".to_owned()));
    }
    assert_eq!(who(&house.world, &anothers).await, 200);
    house.provider.set_person(json!({"sub": "248289761001"}));
    let (again, fresh) = signed_in(&house).await;
    assert_eq!((again, who(&house.world, &fresh).await), (user, 200));
}

#[tokio::test]
async fn a14_a_code_that_waits_while_sessions_are_revoked_is_worth_nothing() {
    let house = House::start().await;
    let (user, _) = signed_in(&house).await;
    let challenge = super::flows::escaped(&super::flows::challenge("the word"));
    let path = format!("/.auth/login/house?post_login_redirect_url={APP}&code_challenge={challenge}");
    let code = house.browser().go(&path).await.fragment("authorization_code");
    house.world.admin.post(&format!("/v1/users/{user}:revoke"), &json!({})).await.expect(200);
    let path = format!("/.auth/login/house/token?authorization_code={code}&code_verifier=the%20word");
    assert_eq!(refused(&house.world.client.get(&path).await), (401, "session revoked".to_owned()));
}

/// The token of a browser's sign-in whose provider's tokens have ended already.
async fn worn(house: &House) -> String {
    house.provider.set_access_seconds(0);
    session_of(&house.browser().go("/.auth/login/house").await.session()).1
}

async fn me(house: &House, token: &str) -> Value {
    house.world.showing(token).get("/.auth/me").await.expect(200).json()[0].clone()
}

#[tokio::test]
async fn a_provider_that_refuses_the_app_ends_nobodys_session() {
    let house = House::start().await;
    for (status, word) in [
        (401, "invalid_client"),
        (400, "unauthorized_client"),
        (400, "temporarily_unavailable"),
        (400, "interaction_required"),
        (403, "invalid_grant"),
        (404, ""),
        (429, "slow_down"),
    ] {
        let token = worn(&house).await;
        let before = (me(&house, &token).await, house.provider.asked("/token"));
        house.provider.set_token_refusal(Some((status, word)));
        let (_, token) = session_of(&refresh(&house, &token).await.expect(200).json());
        assert_eq!((me(&house, &token).await, house.provider.asked("/token")), (before.0, before.1 + 1), "{word}");
        house.provider.set_token_refusal(None);
    }
    house.provider.set_token_refusal(Some((401, "invalid_client")));
    let end = house.browser().go("/.auth/login/house").await;
    let words = "the sign-in provider cannot be asked: it does not take this app's client_id and client_secret";
    assert_eq!(end.fragment("error"), words, "no fault of the user's code");
}

#[tokio::test]
async fn refreshes_at_once_use_a_refresh_token_once() {
    let house = House::start().await;
    house.provider.set_rotating(true);
    let mut token = worn(&house).await;
    for _ in 0..2 {
        let asked = house.provider.asked("/token");
        let at_once = futures_util::future::join_all((0..4).map(|_| refresh(&house, &token))).await;
        for answer in at_once {
            token = session_of(&answer.expect(200).json()).1;
        }
        assert_eq!(house.provider.asked("/token"), asked + 1);
        assert_eq!(who(&house.world, &token).await, 200);
    }
}

#[tokio::test]
async fn fresh_tokens_of_somebody_else_are_not_kept() {
    let house = House::start().await;
    let anns = worn(&house).await;
    let before = me(&house, &anns).await;
    // The provider mixes them up.
    house.provider.set_person(json!({"sub": "somebody else"}));
    let (_, anns) = session_of(&refresh(&house, &anns).await.expect(200).json());
    let after = me(&house, &anns).await;
    assert_eq!((&after["access_token"], &after["id_token"]), (&before["access_token"], &before["id_token"]));
    assert!(after.get("refresh_token").is_none(), "and is not asked so again");
    // An app shows its user's proof beside another's refresh token.
    house.provider.set_person(json!({"sub": "248289761001"}));
    for bare in [false, true] {
        let anothers = worn(&house).await;
        let anothers = me(&house, &anothers).await["refresh_token"].clone();
        house.provider.set_bare(bare);
        house.provider.set_person(json!({"sub": "mallory"}));
        let proof = json!({"id_token": house.id_token(), "refresh_token": anothers, "expires_in": 0});
        let (_, token) = session_of(&house.show(&proof).await.expect(200).json());
        house.provider.set_person(json!({"sub": "248289761001"}));
        let asked = house.provider.asked("/token");
        let (_, token) = session_of(&refresh(&house, &token).await.expect(200).json());
        let told = me(&house, &token).await;
        assert!(told.get("access_token").is_none(), "{told}");
        assert_eq!(house.provider.asked("/token"), asked + 1);
    }
    // Its own are renewed where the provider says whose they are.
    let own = worn(&house).await;
    let own = me(&house, &own).await["refresh_token"].clone();
    house.provider.set_bare(false);
    house.provider.set_access_seconds(3_600);
    let proof = json!({"id_token": house.id_token(), "refresh_token": own, "expires_in": "0"});
    let (_, token) = session_of(&house.show(&proof).await.expect(200).json());
    let (_, token) = session_of(&refresh(&house, &token).await.expect(200).json());
    assert!(me(&house, &token).await["access_token"].is_string());
}

#[tokio::test]
async fn a13_a_refresh_renews_the_providers_tokens_and_ends_with_them() {
    let house = House::start().await;
    house.provider.set_access_seconds(0);
    let (_, token) = session_of(&house.browser().go("/.auth/login/house").await.session());
    let me = || async { house.world.showing(&token).get("/.auth/me").await.expect(200).json()[0].clone() };
    let before = me().await;
    house.provider.set_access_seconds(3_600);
    let (_, token) = session_of(&refresh(&house, &token).await.expect(200).json());
    let after = house.world.showing(&token).get("/.auth/me").await.expect(200).json()[0].clone();
    for name in ["access_token", "refresh_token"] {
        assert_ne!(before[name], after[name], "{name}");
    }
    assert_eq!(before["user_claims"], after["user_claims"]);
    // One that is good is not renewed; one that the provider ended ends the session.
    let asked = house.provider.asked("/token");
    refresh(&house, &token).await.expect(200);
    assert_eq!(house.provider.asked("/token"), asked);
    house.provider.set_access_seconds(0);
    let (_, token) = session_of(&house.browser().go("/.auth/login/house").await.session());
    house.provider.withdraw();
    assert_eq!(refused(&refresh(&house, &token).await), (403, "the provider has ended this sign-in".to_owned()));
    assert_eq!(refused(&refresh(&house, &token).await).0, 401);
}

#[tokio::test]
async fn a13_a_browser_that_wants_no_token_gets_a_cookie_for_its_own_pages() {
    let table = "[mobile.tables.secure]\npermissions = { read = 'authenticated', insert = 'authenticated' }";
    let house = House::with(OpenIdConfig::default(), "house", table).await;
    let mut browser = house.browser();
    let end = browser.go("/.auth/login/house?session_mode=cookie").await;
    assert!(end.url.ends_with("/.auth/login/complete#_"), "{end:?}");
    assert!(end.answer.as_ref().unwrap().text().contains("You are signed in."));
    let set = browser.set.iter().find(|set| set.contains("AppServiceAuthSession")).unwrap();
    assert!(
        set.starts_with("__Host-AppServiceAuthSession=") && set.ends_with("; HttpOnly; Secure; SameSite=Lax"),
        "{set}"
    );
    let me = browser.own("/.auth/me").await.expect(200).json();
    assert_eq!(me[0]["provider_name"], json!("house"));
    // Another site's page that has the cookie sent gets nothing by it.
    let here = house.world.over_tls();
    let me = format!("{here}/.auth/me");
    for headers in [
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")][..],
        &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
        &[("origin", "https://evil.example.com")],
    ] {
        assert_eq!(browser.ask("GET", &me, headers, b"").await.status, 401, "{headers:?}");
    }
    let rows = format!("{here}/tables/secure");
    for (site, status) in [("cross-site", 401), ("same-site", 401), ("none", 401), ("same-origin", 201)] {
        let headers = [("sec-fetch-site", site), ("zumo-api-version", "2.0.0"), ("content-type", "application/json")];
        assert_eq!(browser.ask("POST", &rows, &headers, b"{\"id\": \"a\"}").await.status, status, "{site}");
    }
    assert_eq!(browser.ask("GET", &rows, &[("zumo-api-version", "2.0.0")], b"").await.status, 200);
    let refreshed = browser.own("/.auth/refresh").await.expect(200);
    assert!(refreshed.header("set-cookie").unwrap().starts_with("__Host-AppServiceAuthSession="));
    let told = refreshed.json();
    assert!(told["user"]["userId"].is_string() && told.as_object().unwrap().len() == 1, "no token for scripts: {told}");
    let copied = browser.cookies.clone();
    let end = browser.go("/.auth/logout").await;
    assert!(end.url.ends_with("/.auth/logout/done") && browser.cookies.is_empty(), "{end:?}");
    browser.cookies = copied;
    assert_eq!(browser.own("/.auth/me").await.status, 401, "a copy is over too");
    // A cookie that is no good is nobody, and no refusal where nobody may come.
    assert_eq!(browser.own("/.auth/login/complete").await.status, 200);
}

#[tokio::test]
async fn a13_the_configured_way_is_the_usual_one() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), loadtest::gateways::Authority::new().unwrap());
    let provider = loadtest::gateways::OpenIdSim::start_under(OpenIdConfig::default(), &authority).await.unwrap();
    let auth = toml(&format!(
        "session_mode = 'cookie'\n[mobile.auth.providers.house]\nissuer = '{}'\nclient_id = 'the-app'\nclient_secret = 'a secret+/'\nca_file = 'ca.pem'\n",
        provider.issuer()
    ));
    let world = World::within(folder, authority, &auth).await;
    let end =
        browser::Browser::new(&world).go("/.auth/login/house?post_login_redirect_url=/.auth/login/complete").await;
    assert!(end.url.ends_with("/.auth/login/complete#_"), "{end:?}");
    let end = browser::Browser::new(&world).go("/.auth/login/house?session_mode=token").await;
    assert!(end.url.contains("/.auth/login/done#token="), "{end:?}");
    // A page that waits for the session is told it.
    let path =
        format!("/.auth/login/house?completion_type=postMessage&completion_origin={}", super::flows::escaped(PAGE));
    let end = browser::Browser::new(&world).go(&path).await;
    assert!(end.url.contains("#token="), "{end:?}");
}
