//! What others try: redirects to strangers, answers put into somebody else's browser, codes and answers used twice,
//! providers mixed up, pages that are not theirs to be told.

use loadtest::gateways::{OpenIdConfig, OpenIdSim};
use serde_json::json;

use super::browser::Browser;
use super::flows::{challenge, escaped};
use super::*;

#[tokio::test]
async fn a13_a_foreign_redirect_is_refused() {
    let house = House::start().await;
    for target in [
        "https://evil.net",
        "//evil.net",
        "/\\evil.net",
        "https://web.example.com/signedout",
        "https://web.example.com.evil.net/signed",
        "https://web.example.com@evil.net/signed",
        "http://web.example.com/signed",
        "com.evil.app://easyauth.callback",
        "com.example.app://other",
        "javascript:alert(1)",
        "/page#token=mine",
        "/.auth/login/house?session_mode=cookie",
        "/.auth/login/other",
        "/%2Eauth/login/other",
        "/.auth/logout",
    ] {
        for name in ["post_login_redirect_url", "post_login_redirect_uri", "sso_end_uri"] {
            let answer = house.world.client.get(&format!("/.auth/login/house?{name}={}", escaped(target))).await;
            let (status, words) = refused(&answer);
            assert_eq!(status, 400, "{target}");
            assert!(words.starts_with(&format!("{name} must be")), "{words}");
            assert!(answer.header("location").is_none() && answer.header("set-cookie").is_none());
        }
        let answer =
            house.world.client.get(&format!("/.auth/logout?post_logout_redirect_uri={}", escaped(target))).await;
        assert!(answer.expect(302).header("location").unwrap().ends_with("/.auth/logout/done"), "{target}");
    }
    assert!(house.provider.browsers().is_empty(), "nobody was sent to the provider");
}

#[tokio::test]
async fn a13_what_a_request_says_is_held_to_rules() {
    let house = House::start().await;
    for (query, words) in [
        ("session_mode=both", "session_mode must be token or cookie"),
        ("code_challenge=abc", "code_challenge must be a SHA-256 in base64"),
        ("code_challenge=abc&code_challenge_method=plain", "code_challenge_method must be S256"),
        ("code_challenge=", "code_challenge must be a SHA-256 in base64"),
        ("code_challenge=a&code_challenge=a", "code_challenge must be a SHA-256 in base64"),
        ("code_challenge_method=S256", "code_challenge is required with code_challenge_method"),
        ("code_challenge=a&code_challenge_method=", "code_challenge_method must be S256"),
        (
            "code_challenge=a&code_challenge_method=S256&code_challenge_method=S256",
            "code_challenge_method must be S256",
        ),
        (
            "completion_type=letter&completion_origin=https://app.example.com",
            "completion_type must be postMessage or iframe",
        ),
    ] {
        let answer = house.world.client.get(&format!("/.auth/login/house?{query}")).await;
        assert_eq!(refused(&answer), (400, words.to_owned()));
    }
    let alone = format!("/.auth/login/house?code_challenge={}", escaped(&challenge("v")));
    assert_eq!(
        refused(&house.world.client.get(&alone).await),
        (400, "post_login_redirect_url is required with code_challenge".to_owned())
    );
}

#[tokio::test]
async fn a13_only_pages_that_may_have_it_are_told() {
    let house = House::start().await;
    let client = &house.world.client;
    for origin in [
        "https://evil.net",
        "*",
        "null",
        "http://app.example.com",
        "https://app.example.com.evil.net",
        "https://evilexample.com",
        "https://app.example.com/",
        "",
    ] {
        for path in [
            format!("/.auth/login/house?completion_type=postMessage&completion_origin={}", escaped(origin)),
            format!("/.auth/login/done?completion_type=postMessage&completion_origin={}", escaped(origin)),
            format!("/.auth/login/iframereceiver?completion_origin={}", escaped(origin)),
        ] {
            let (status, words) = refused(&client.get(&path).await);
            assert_eq!(status, 400, "{path}");
            assert!(words.starts_with("completion_origin must be the origin of a page"), "{words}");
        }
    }
    // Letting everybody call lets nobody in particular have a session.
    let world = World::with(&USERS.replace("'localhost', '*.example.com'", "'*'")).await;
    let answer = world.client.get("/.auth/login/iframereceiver?completion_origin=https://app.example.com").await;
    assert_eq!(refused(&answer).0, 400);
}

/// A session stands in a fragment, and browsers take fragments along.
#[tokio::test]
async fn a_session_does_not_follow_our_redirects_to_strangers() {
    let house = House::start().await;
    let here = house.world.over_tls();
    // A logout leads only to those who are trusted with sessions.
    for path in ["/.auth/login/house", "/.auth/login/house?session_mode=cookie"] {
        let end = house.browser().follow(format!("{here}{path}#token=mine")).await;
        assert!(end.visited.len() > 1 && end.visited[1..].iter().all(|url| !url.contains("mine")), "{end:?}");
        let answer = house.browser().own(path).await.expect(302);
        assert!(answer.header("location").unwrap().contains('#'), "{answer:?}");
    }
}

/// Begins a sign-in and answers the address with which the provider sends the browser back.
async fn begun(browser: &mut Browser, path: &str) -> String {
    let answer = browser.own(path).await.expect(302);
    let to_provider = answer.header("location").unwrap().to_owned();
    let said = browser.ask("GET", &to_provider, &[], b"").await.expect(302);
    said.header("location").unwrap().to_owned()
}

fn is_lost(end: &browser::End) -> bool {
    end.fragment("error").starts_with("this sign-in was not begun in this browser")
        && end.url.contains("/.auth/login/done#")
}

#[tokio::test]
async fn another_ones_answer_signs_nobody_in() {
    let house = House::start().await;
    let (mut attacker, mut victim) = (house.browser(), house.browser());
    let path = format!("/.auth/login/house?post_login_redirect_url={APP}");
    let answer = begun(&mut attacker, &path).await;
    assert!(is_lost(&victim.follow(answer.clone()).await), "a browser that began nothing");
    let own = begun(&mut victim, "/.auth/login/house").await;
    assert!(is_lost(&victim.follow(answer.clone()).await), "or something else");
    // The attacker's code with the victim's state: PKCE and nonce are the victim's.
    let part = |url: &str, name: &str| {
        let (_, query) = url.split_once('?').unwrap();
        super::browser::url_pairs(query).into_iter().find(|(known, _)| known == name).unwrap().1
    };
    let mixed = own.replace(&part(&own, "code"), &part(&answer, "code"));
    assert_eq!(victim.follow(mixed).await.fragment("error"), "the provider does not take the code");
    assert!(is_lost(&victim.follow(own).await), "and that sign-in is over");
}

#[tokio::test]
async fn an_answer_is_good_once() {
    let house = House::start().await;
    let mut browser = house.browser();
    let back = begun(&mut browser, "/.auth/login/house").await;
    let cookies = browser.cookies.clone();
    assert!(browser.follow(back.clone()).await.url.contains("#token="));
    assert!(is_lost(&browser.follow(back.clone()).await), "the cookie is gone");
    // With the cookie as well, from a copy: the provider's code is used up; and so is the state.
    browser.cookies = cookies.clone();
    let asked = house.provider.asked("/token");
    assert_eq!(browser.follow(back.clone()).await.fragment("error"), "this sign-in was used before");
    assert_eq!(house.provider.asked("/token"), asked, "nor is the provider asked again");
    let code = back.split("code=").nth(1).unwrap().to_owned();
    assert!(!code.is_empty());
    for twice in [format!("{back}&state=x"), back.replace("state=", "state=x&state=")] {
        browser.cookies = cookies.clone();
        assert!(is_lost(&browser.follow(twice).await), "a parameter that comes twice");
    }
}

#[tokio::test]
async fn a_state_is_marked_as_used_even_where_a_provider_forgets() {
    let house = House::start().await;
    let mut browser = house.browser();
    let back = begun(&mut browser, "/.auth/login/house").await;
    let cookies = browser.cookies.clone();
    house.provider.set_reusable(true);
    assert!(browser.follow(back.clone()).await.url.contains("#token="));
    browser.cookies = cookies;
    assert_eq!(browser.follow(back).await.fragment("error"), "this sign-in was used before");
}

#[tokio::test]
async fn providers_are_not_mixed_up() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), loadtest::gateways::Authority::new().unwrap());
    let honest = OpenIdSim::start_under(OpenIdConfig::default(), &authority).await.unwrap();
    let evil = OpenIdSim::start_under(OpenIdConfig::default(), &authority).await.unwrap();
    let section = |name: &str, provider: &OpenIdSim| {
        format!(
            "[mobile.auth.providers.{name}]\nissuer = '{}'\nclient_id = 'the-app'\nclient_secret = 'a secret+/'\nca_file = 'ca.pem'\n",
            provider.issuer()
        )
    };
    let providers = section("honest", &honest) + &section("evil", &evil);
    let world = World::within(folder, authority, &toml(&providers)).await;
    // What one provider signed is nothing to the other, though both know the app under one name.
    let body = json!({"id_token": evil.id_token(&loadtest::gateways::Twist::default())});
    assert_eq!(refused(&world.client.post("/.auth/login/honest", &body).await).0, 401);
    let mut browser = Browser::new(&world);
    let back = begun(&mut browser, "/.auth/login/evil").await;
    let answer = browser.follow(back.replace("/login/evil/", "/login/honest/")).await;
    assert!(is_lost(&answer), "{answer:?}");
    // The same subject of two providers is two users.
    let one = browser.go("/.auth/login/honest").await.session();
    let other = Browser::new(&world).go("/.auth/login/evil").await.session();
    assert_ne!(session_of(&one).0, session_of(&other).0);
}

#[tokio::test]
async fn a13_a_code_is_for_whoever_began_and_one_try() {
    let house = House::start().await;
    let client = &house.world.client;
    let path =
        format!("/.auth/login/house?post_login_redirect_url={APP}&code_challenge={}", escaped(&challenge("the word")));
    let code = |house: &House| {
        let mut browser = house.browser();
        let path = path.clone();
        async move { browser.go(&path).await.fragment("authorization_code") }
    };
    let ask = |provider: &str, code: &str, word: &str| {
        let path = format!("/.auth/login/{provider}/token?authorization_code={code}&code_verifier={}", escaped(word));
        async move { client.get(&path).await.status }
    };
    let first = code(&house).await;
    assert_eq!(ask("house", &first, "a guess").await, 401);
    assert_eq!(ask("house", &first, "the word").await, 401, "nobody guesses twice");
    assert_eq!(ask("house", "unknown", "the word").await, 401);
    assert_eq!(ask("house", &"x".repeat(10_000), "the word").await, 401);
    assert_eq!(ask("other", &code(&house).await, "the word").await, 404);
    let good = code(&house).await;
    let challenge_itself = challenge("the word");
    assert_eq!(ask("house", &code(&house).await, &challenge_itself).await, 401, "the hash is not the word");
    assert_eq!(ask("house", &good, "the word").await, 200);
}

/// The token that a page is told, and nobody else, never stands in a query, where servers and histories keep it.
#[tokio::test]
async fn a_session_travels_in_no_query_and_is_not_kept() {
    let house = House::start().await;
    let end = house.browser().go("/.auth/login/house").await;
    for url in &end.visited {
        let before = url.split('#').next().unwrap();
        assert!(!before.contains("authenticationToken"), "{url}");
    }
    for header in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
        assert_eq!(end.answer.as_ref().unwrap().header(header.0), Some(header.1));
    }
    let answer = house.show(&json!({"id_token": house.id_token()})).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_body_that_is_none_is_a_clear_400() {
    let house = House::start().await;
    let client = &house.world.client;
    for (body, words) in [
        (&b"[1]"[..], "body must be a JSON object"),
        (b"{", "body must be a JSON object"),
        (b"{}", "access_token is required: a token of the provider"),
        (b"{\"id_token\": 7}", "access_token is required: a token of the provider"),
    ] {
        let answer = client.send("POST", "/.auth/login/house", &[("content-type", "application/json")], body).await;
        let (status, said) = refused(&answer);
        assert!(status == 400 && said.starts_with(words), "{said}");
    }
    let answer = client.send("POST", "/.auth/login/house", &[("content-type", "text/plain")], b"{}").await;
    assert_eq!(refused(&answer).0, 415);
}

#[tokio::test]
async fn what_an_app_shows_has_bounds() {
    let house = House::start().await;
    for name in ["access_token", "refresh_token", "authentication_token"] {
        let mut body = json!({"id_token": house.id_token()});
        body[name] = json!("a".repeat(16 * 1024 + 1));
        let words = format!("{name} must be at most 16384 bytes");
        assert_eq!(refused(&house.show(&body).await), (400, words));
    }
    let huge = json!({"id_token": house.id_token(), "more": "a".repeat(64 * 1024)});
    assert_eq!(refused(&house.show(&huge).await).0, 413);
    assert_eq!(refused(&house.world.client.post("/.auth/login", &huge).await).0, 413);
}

#[tokio::test]
async fn a13_a_service_does_not_start_with_the_stubs_secret() {
    let folder = tempfile::tempdir().unwrap();
    for key in ["0000", " 0000 ", "changeme"] {
        let toml = USERS.replace("0011, as text", key);
        std::fs::write(folder.path().join("fanfare.toml"), toml).unwrap();
        let none: [(std::ffi::OsString, std::ffi::OsString); 0] = [];
        let refused = fanfare::config::Config::load_with(Some(&folder.path().join("fanfare.toml")), none).unwrap_err();
        let line = refused.to_string();
        assert_eq!(line, "config: mobile.auth.signing_key: must not be a key that everybody knows (got ***)");
    }
}
