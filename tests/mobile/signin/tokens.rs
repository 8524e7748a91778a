//! What tokens are held to (acceptance 14): a provider's, and ours.

use fanfare::identity::secret::Secret;
use fanfare::identity::session::{Profile, Sessions};
use loadtest::gateways::{Fault, OpenIdConfig, Signing, Twist};
use serde_json::json;

use super::*;

const KEYS: &str = "/keys";
const DISCOVERY: &str = "/.well-known/openid-configuration";

fn signed(signing: Signing) -> Twist {
    Twist { signing, ..Twist::default() }
}

fn saying(json: serde_json::Value) -> Twist {
    Twist { claims: claims(json), ..Twist::default() }
}

/// What becomes of an app that shows this token, and of a browser whose provider gives it.
async fn both(house: &House, twist: Twist) -> (u16, String, String) {
    let answer = house.show(&json!({"id_token": house.provider.id_token(&twist)})).await;
    let (status, words) = match answer.status {
        200 => (200, String::new()),
        _ => refused(&answer),
    };
    house.provider.set_twist(twist);
    let end = house.browser().go("/.auth/login/house").await;
    house.provider.set_twist(Twist::default());
    let browser = if end.url.contains("#token=") { String::new() } else { end.fragment("error") };
    (status, words, browser)
}

#[tokio::test]
async fn a14_a_providers_token_that_is_not_signed_by_its_keys_is_nobodys() {
    let house = House::start().await;
    let good = (200, String::new(), String::new());
    assert_eq!(both(&house, signed(Signing::Rsa)).await, good);
    assert_eq!(both(&house, signed(Signing::Ec)).await, good);
    let forged = "the token is not signed by the provider";
    let none = "the token is no signed token";
    for (signing, words) in [
        (Signing::Stranger, forged),
        (Signing::Unpublished, forged),
        (Signing::Tampered, forged),
        (Signing::Hmac, forged),
        (Signing::None, none),
        (Signing::Critical, none),
    ] {
        assert_eq!(both(&house, signed(signing)).await, (401, words.to_owned(), words.to_owned()), "{signing:?}");
    }
    for text in ["", "a.b.c", "a.b", &"a".repeat(20_000)] {
        let answer = house.show(&json!({"id_token": text})).await;
        assert!(matches!(refused(&answer).0, 400 | 401), "{text:.20}");
    }
}

#[tokio::test]
async fn a14_a_providers_token_of_others_for_others_or_out_of_time_is_nobodys() {
    let house = House::with(OpenIdConfig::default(), "house", "audiences = ['the-phone']").await;
    let now = house.provider.now();
    for (json, words) in [
        (json!({"aud": "another-app"}), "the token was issued for another app"),
        (json!({"aud": ["the-app", "another-app"], "azp": "the-app"}), "the token was issued for another app"),
        (json!({"aud": null}), "the token was issued for another app"),
        (json!({"azp": "another-app"}), "the token was issued for another app"),
        (json!({"appid": "another-app"}), "the token was issued for another app"),
        (json!({"client_id": "another-app"}), "the token was issued for another app"),
        (json!({"cid": "another-app", "azp": "the-app"}), "the token was issued for another app"),
        (json!({"idtyp": "app"}), "the token was issued for another app"),
        (json!({"iss": "https://evil.example"}), "the token is of another issuer"),
        (json!({"iss": null}), "the token is of another issuer"),
        (json!({"exp": now - 120}), "the token has expired"),
        (json!({"exp": null}), "the token has no end"),
        (json!({"nbf": now + 600}), "the token is not valid yet"),
        (json!({"iat": now + 600}), "the token is not valid yet"),
        (json!({"iat": null}), "the token does not say when it was issued"),
        (json!({"sub": null}), "the token does not say whose it is"),
        (json!({"sub": ""}), "the token does not say whose it is"),
    ] {
        let got = both(&house, saying(json.clone())).await;
        assert_eq!(got, (401, words.to_owned(), words.to_owned()), "{json}");
    }
    for json in [
        json!({"aud": "the-phone"}),
        json!({"azp": "the-phone"}),
        json!({"aud": ["the-app", "the-phone"], "azp": "the-app"}),
    ] {
        assert_eq!(both(&house, saying(json.clone())).await.0, 200, "{json}");
    }
}

#[tokio::test]
async fn a14_a_browsers_token_answers_its_own_sign_in() {
    let house = House::start().await;
    for nonce in [json!("another sign-in's"), json!(null)] {
        house.provider.set_twist(saying(json!({ "nonce": nonce })));
        let end = house.browser().go("/.auth/login/house").await;
        assert_eq!(end.fragment("error"), "the token answers another sign-in");
    }
}

#[tokio::test]
async fn a14_keys_are_rotated_and_strangers_do_not_have_them_fetched_all_the_time() {
    let house = House::start().await;
    let show = |twist: Twist| {
        let token = house.provider.id_token(&twist);
        let client = house.world.client.clone();
        async move { client.post("/.auth/login/house", &json!({"id_token": token})).await.status }
    };
    assert_eq!(show(Twist::default()).await, 200);
    let old = house.id_token();
    assert_eq!((house.provider.asked(KEYS), house.provider.asked(DISCOVERY)), (1, 1));
    house.provider.rotate();
    assert_eq!(show(Twist::default()).await, 200, "a key of another name is looked for");
    assert_eq!(house.provider.asked(KEYS), 2);
    assert_eq!(refused(&house.show(&json!({"id_token": old})).await).0, 401, "the old key is published no longer");
    for _ in 0..20 {
        assert_eq!(show(signed(Signing::Unpublished)).await, 401);
    }
    assert_eq!((house.provider.asked(KEYS), house.provider.asked(DISCOVERY)), (2, 1));
}

#[tokio::test]
async fn a_provider_that_fails_is_an_outage_and_not_a_refusal() {
    for (path, fault) in [
        (DISCOVERY, Fault::Status(500)),
        (DISCOVERY, Fault::Huge),
        (DISCOVERY, Fault::Redirect),
        (KEYS, Fault::Status(404)),
        (KEYS, Fault::Huge),
        (KEYS, Fault::Redirect),
    ] {
        let house = House::start().await;
        house.provider.set_fault(path, Some(fault));
        let answer = house.show(&json!({"id_token": house.id_token()})).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{path} {fault:?}");
        assert!(refused(&answer).1.starts_with("the sign-in provider cannot be asked"), "{answer:?}");
        // While it is out it is not asked again at once.
        let before = house.provider.asked(path);
        assert_eq!(house.show(&json!({"id_token": house.id_token()})).await.status, 503);
        assert_eq!(house.provider.asked(path), before, "{path} {fault:?}");
    }
    let house = House::start().await;
    house.provider.set_fault("/token", Some(Fault::Huge));
    let end = house.browser().go("/.auth/login/house").await;
    assert_eq!(end.fragment("error"), "the sign-in provider cannot be asked: its answer cannot be read");
}

#[tokio::test]
async fn a_provider_that_is_silent_holds_nobody_for_long() {
    let house = House::start().await;
    house.provider.set_fault(DISCOVERY, Some(Fault::Silence));
    let body = json!({"id_token": house.id_token()});
    let waiting = house.show(&body);
    let answer = tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.unwrap();
    assert_eq!(refused(&answer), (503, "the sign-in provider cannot be asked: it gives no answer".to_owned()));
}

#[tokio::test]
async fn a14_our_own_tokens_are_held_to_it_on_every_path() {
    let house = House::start().await;
    let sessions = |key: &str, audience: &str, issuer: &str| {
        let life = std::time::Duration::from_hours(1);
        let sessions = Sessions::new(&Secret::new(key), audience, issuer, life);
        let now = fanfare::model::time::Timestamp::from_millis(house.provider.now() * 1_000);
        sessions.begin("sid:00", "house", Profile::default(), now).unwrap().1
    };
    let good = sessions(SIGNING_KEY, AUDIENCE, AUDIENCE);
    let part = |json: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json)
    };
    let middle = good.split('.').nth(1).unwrap();
    let none = format!("{}.{middle}.", part(r#"{"alg":"none","typ":"JWT"}"#));
    for (token, words) in [
        (sessions("other", AUDIENCE, AUDIENCE), "invalid signature"),
        (sessions(SIGNING_KEY, "https://other/", AUDIENCE), "jwt audience invalid"),
        (sessions(SIGNING_KEY, AUDIENCE, "https://other/"), "jwt issuer invalid"),
        (none, "invalid"),
        (house.id_token(), "invalid algorithm"),
        ("x.y.z".to_owned(), "invalid token"),
    ] {
        for path in ["/.auth/me", "/.auth/refresh", "/tables/none"] {
            let answer = house.world.showing(&token).get(path).await;
            let said = answer.json();
            assert_eq!(answer.status, 401, "{path} {said}");
            assert!(said["error"].as_str().unwrap().starts_with(words), "{path} {said}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(who(&house.world, &good).await, 200);
}
