//! Facebook and Twitter: no OpenID Connect, the same promises.

use loadtest::gateways::{Authority, FacebookToken, Fault, SocialConfig, SocialSim};
use serde_json::json;

use super::browser::Browser;
use super::*;

async fn start() -> (World, SocialSim) {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new().unwrap());
    let sim = SocialSim::start_under(SocialConfig::default(), &authority).await.unwrap();
    let section = |name: &str| {
        format!(
            "[mobile.auth.providers.{name}]\nissuer = '{}'\nclient_id = '1234567890'\nclient_secret = 'a secret&more'\nca_file = 'ca.pem'\n",
            sim.issuer()
        )
    };
    let toml = toml(&(section("facebook") + &section("twitter")));
    (World::within(folder, authority, &toml).await, sim)
}

#[tokio::test]
async fn a13_facebook_by_an_apps_token_and_by_a_browser() {
    let (world, sim) = start().await;
    sim.give("EAAB-good", sim.good_token("10158000000000001"));
    let answer = world.client.post("/.auth/login/facebook", &json!({"access_token": "EAAB-good"})).await.expect(200);
    let (user, token) = session_of(&answer.json());
    let end = Browser::new(&world).go("/.auth/login/facebook?display=touch").await;
    assert_eq!(session_of(&end.session()).0, user, "the same person");
    let me = world.showing(&token).get("/.auth/me").await.expect(200).json();
    assert_eq!((&me[0]["user_id"], &me[0]["provider_name"]), (&json!("bea@example.com"), &json!("facebook")));
    sim.refuse();
    let end = Browser::new(&world).go("/.auth/login/facebook").await;
    assert_eq!(end.fragment("error"), "the provider says access_denied");
}

#[tokio::test]
async fn a14_facebook_s_token_of_another_app_signs_nobody_in() {
    let (world, sim) = start().await;
    let good = || sim.good_token("10158000000000001");
    let now = sim_now();
    for (text, token) in [
        ("another-app", FacebookToken { app_id: "999".to_owned(), ..good() }),
        ("withdrawn", FacebookToken { is_valid: false, ..good() }),
        ("over", FacebookToken { expires_at: now - 10, ..good() }),
        ("the-app-itself", FacebookToken { kind: "APP", ..good() }),
    ] {
        sim.give(text, token);
        let answer = world.client.post("/.auth/login/facebook", &json!({"access_token": text})).await;
        assert_eq!(refused(&answer).0, 401, "{text}");
    }
    for (body, status) in
        [(json!({"access_token": "unknown"}), 401), (json!({}), 400), (json!({"access_token": 7}), 400)]
    {
        assert_eq!(refused(&world.client.post("/.auth/login/facebook", &body).await).0, status, "{body}");
    }
    sim.set_fault("/debug_token", Some(Fault::Status(500)));
    sim.give("good", good());
    assert_eq!(refused(&world.client.post("/.auth/login/facebook", &json!({"access_token": "good"})).await).0, 503);
    sim.set_fault("/debug_token", Some(Fault::Huge));
    assert_eq!(refused(&world.client.post("/.auth/login/facebook", &json!({"access_token": "good"})).await).0, 503);
}

fn sim_now() -> i64 {
    use fanfare::clock::Clock;
    fanfare::clock::SystemClock.now().millis() / 1_000
}

#[tokio::test]
async fn a13_twitter_by_an_apps_token_and_by_a_browser() {
    let (world, sim) = start().await;
    sim.give_access("access-1", "secret+/1", "1234567890");
    let body = json!({"access_token": "access-1", "access_token_secret": "secret+/1"});
    let (user, token) = session_of(&world.client.post("/.auth/login/twitter", &body).await.expect(200).json());
    let me = world.showing(&token).get("/.auth/me").await.expect(200).json();
    assert_eq!((&me[0]["access_token_secret"], &me[0]["user_id"]), (&json!("secret+/1"), &json!("14927800")));
    let mut browser = Browser::new(&world);
    let end = browser.go("/.auth/login/twitter").await;
    assert_eq!(session_of(&end.session()).0, user, "the same person");
    assert!(browser.cookies.is_empty());
    sim.refuse();
    let end = Browser::new(&world).go("/.auth/login/twitter").await;
    assert_eq!(end.fragment("error"), "the provider says access_denied");
}

#[tokio::test]
async fn a14_twitter_s_token_of_another_app_signs_nobody_in() {
    let (world, sim) = start().await;
    sim.give_access("foreign", "secret", "another-app");
    sim.give_access("own", "secret", "1234567890");
    let post = |body: serde_json::Value| {
        let client = world.client.clone();
        async move { refused(&client.post("/.auth/login/twitter", &body).await).0 }
    };
    assert_eq!(post(json!({"access_token": "foreign", "access_token_secret": "secret"})).await, 401);
    assert_eq!(post(json!({"access_token": "own", "access_token_secret": "a guess"})).await, 401);
    assert_eq!(post(json!({"access_token": "unknown", "access_token_secret": "secret"})).await, 401);
    assert_eq!(post(json!({"access_token": "own"})).await, 400);
    sim.set_fault("/1.1/account/verify_credentials.json", Some(Fault::Status(503)));
    assert_eq!(post(json!({"access_token": "own", "access_token_secret": "secret"})).await, 503);
}

#[tokio::test]
async fn another_ones_answer_of_twitter_signs_nobody_in() {
    let (world, _sim) = start().await;
    let (mut attacker, mut victim) = (Browser::new(&world), Browser::new(&world));
    let answer = attacker.own("/.auth/login/twitter").await.expect(302);
    let said = attacker.ask("GET", answer.header("location").unwrap(), &[], b"").await.expect(302);
    let back = said.header("location").unwrap().to_owned();
    victim.own("/.auth/login/twitter").await.expect(302);
    let end = victim.follow(back.clone()).await;
    assert!(end.fragment("error").starts_with("this sign-in was not begun in this browser"), "{end:?}");
    assert!(attacker.follow(back).await.url.contains("#token="));
}
