//! The ways to a session (acceptance 13).

use fanfare::identity::secret::Secret;
use fanfare::identity::user_id::{KnownIds, UserIds};
use loadtest::gateways::OpenIdConfig;
use serde_json::json;

use super::browser::url_pairs;
use super::*;

const PERSON: &str = "248289761001";

fn sid(provider: &str, subject: &str) -> String {
    UserIds::new(&Secret::new(SIGNING_KEY), KnownIds::default()).of(provider, subject)
}

#[tokio::test]
async fn a13_an_app_with_a_providers_token_gets_a_session() {
    let house = House::start().await;
    let answer = house.show(&json!({"id_token": house.id_token()})).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    let (user, token) = session_of(&answer.json());
    assert_eq!(user, sid("house", PERSON), "made of provider and subject alone");
    let said = claims_of(&token);
    assert_eq!((&said["sub"], &said["stable_sid"], &said["idp"]), (&json!(user), &json!(user), &json!("house")));
    assert_eq!(
        (&said["subject"], &said["email"], &said["ver"]),
        (&json!(PERSON), &json!("ann@example.com"), &json!("4"))
    );
    assert_eq!(who(&house.world, &token).await, 200);
    // The same person is the same user, whatever they call themselves by now.
    house.provider.set_person(json!({"sub": PERSON, "name": "Ann Married", "email": "new@example.com"}));
    let (again, second) = session_of(&house.show(&json!({"id_token": house.id_token()})).await.expect(200).json());
    assert_eq!(again, user);
    assert_eq!(claims_of(&second).get("email"), None, "an address that is not verified is nobody's");
    // A token that says so is taken as an access token as well; another query changes nothing.
    let path = "/.auth/login/House?access_type=offline";
    house.world.client.post(path, &json!({"access_token": house.id_token()})).await.expect(200);
}

#[tokio::test]
async fn who_had_an_id_keeps_it() {
    let house = House::start().await;
    let old = "sid:0123456789abcdef0123456789abcdef";
    let list = json!({"house": {PERSON: old}}).to_string();
    std::fs::write(house.world.folder.path().join("ids.json"), list).unwrap();
    let providers = section(&house);
    let token = house.id_token();
    let world = house.world.restart(&toml(&format!("user_ids_file = 'ids.json'\n{providers}"))).await;
    let answer = world.client.post("/.auth/login/house", &json!({"id_token": token})).await.expect(200);
    assert_eq!(session_of(&answer.json()).0, old);
}

#[tokio::test]
async fn a13_a_browser_ends_on_our_page_with_the_session_in_the_fragment() {
    let house = House::start().await;
    let mut browser = house.browser();
    let end =
        browser.go("/.auth/login/house?session_mode=token&prompt=login&scope=calendar&client_id=evil&state=x").await;
    let here = house.world.over_tls();
    assert!(end.url.starts_with(&format!("{here}/.auth/login/done#token=%7B%22authenticationToken%22")), "{end:?}");
    let (user, token) = session_of(&end.session());
    assert_eq!((user, who(&house.world, &token).await), (sid("house", PERSON), 200));
    let page = end.answer.as_ref().unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    // What the provider was asked.
    let asked = house.provider.browsers().remove(0);
    let get = |name: &str| asked.get(name).map_or("", String::as_str);
    assert_eq!(get("redirect_uri"), format!("{here}/.auth/login/house/callback"));
    assert_eq!((get("response_type"), get("client_id"), get("code_challenge_method")), ("code", "the-app", "S256"));
    assert_eq!((get("scope"), get("prompt")), ("openid profile email calendar", "login"));
    assert!(get("state").len() >= 43 && get("nonce").len() >= 43 && get("code_challenge").len() == 43);
    assert!(get("state") != get("nonce") && get("state") != "x");
    // What the browser keeps meanwhile is for it alone, and gone afterwards.
    let [set, gone] = &browser.set[..] else { panic!("{:?}", browser.set) };
    assert!(set.starts_with("__Host-fanfare-sign-in-") && set.ends_with("; HttpOnly; Secure; SameSite=Lax"), "{set}");
    assert!(gone.contains("Max-Age=0") && browser.cookies.is_empty(), "{gone}");
    for secret in [get("nonce"), "the-app", PERSON] {
        assert!(!set.contains(secret), "sealed");
    }
}

#[tokio::test]
async fn a13_a_refused_sign_in_ends_there_too_with_the_reason() {
    let house = House::start().await;
    house.provider.refuse("access_denied");
    let end = house.browser().go("/.auth/login/house").await;
    assert!(end.url.starts_with(&format!("{}/.auth/login/done#error=", house.world.over_tls())), "{end:?}");
    assert_eq!(end.fragment("error"), "the provider says access_denied");
    house.provider.refuse("<script>");
    let end = house.browser().go("/.auth/login/house?post_login_redirect_url=https://web.example.com/signed?x").await;
    assert_eq!(end.url, "https://web.example.com/signed?x#error=the%20provider%20says%20error");
}

#[tokio::test]
async fn a13_a_browser_is_sent_where_the_app_waits() {
    let house = House::start().await;
    for (name, target) in [
        ("post_login_redirect_url", "https://web.example.com/signed/in?a=b"),
        ("post_login_redirect_uri", "COM.example.app://EASYAUTH.callback"),
        ("sso_end_uri", "com.example.app://easyauth.callback"),
    ] {
        let end =
            house.browser().go(&format!("/.auth/login/house?session_mode=token&{name}={}", escaped(target))).await;
        assert!(end.url.starts_with(&format!("{target}#token=")), "{end:?}");
        assert_eq!(session_of(&end.session()).0, sid("house", PERSON));
    }
    let end = house.browser().go("/.auth/login/house?post_login_redirect_url=/.auth/login/complete").await;
    assert!(end.url.contains("/.auth/login/complete#token="), "{end:?}");
}

#[tokio::test]
async fn a13_an_app_changes_its_code_for_a_session_once() {
    let house = House::start().await;
    let client = &house.world.client;
    // As the .NET library makes it: standard base64 with padding; and as the standard says.
    let verifier = "q+7/Zm9vYmFyYmF6cXV4+/==";
    let challenge = challenge(verifier);
    let url_safe = challenge.replace('+', "-").replace('/', "_").replace('=', "");
    for (challenge, mode) in [(challenge.as_str(), "&session_mode=token"), (url_safe.as_str(), "")] {
        let path = format!(
            "/.auth/login/house?post_login_redirect_url={APP}&code_challenge={}&code_challenge_method=S256{mode}",
            escaped(challenge)
        );
        let end = house.browser().go(&path).await;
        let code = end.fragment("authorization_code");
        assert!(end.url.starts_with(&format!("{APP}#authorization_code=")), "{end:?}");
        assert!(code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{code}");
        let ask = |code: &str, verifier: &str| {
            let path =
                format!("/.auth/login/house/token?authorization_code={code}&code_verifier={}", escaped(verifier));
            async move { client.get(&path).await }
        };
        let answer = ask(&code, verifier).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        let (user, token) = session_of(&answer.json());
        assert_eq!((user, who(&house.world, &token).await), (sid("house", PERSON), 200));
        assert_eq!(refused(&ask(&code, verifier).await).0, 401, "once");
    }
    for path in ["/.auth/login/house/token?code_verifier=x", "/.auth/login/house/token?authorization_code=x"] {
        assert_eq!(refused(&client.get(path).await).0, 400, "{path}");
    }
}

#[tokio::test]
async fn a13_an_existing_token_is_taken_and_a_custom_one() {
    let house = House::start().await;
    let own = crate::world::session("custom:ann");
    let answer = house.world.client.post("/.auth/login", &json!({"authenticationToken": own})).await.expect(200);
    assert_eq!(session_of(&answer.json()), ("custom:ann".to_owned(), own));
    let post = |body: serde_json::Value| {
        let client = house.world.client.clone();
        async move { refused(&client.post("/.auth/login", &body).await) }
    };
    assert_eq!(post(json!({})).await, (400, "authenticationToken is required: a session token".to_owned()));
    assert_eq!(post(json!({"authenticationToken": "a.b.c"})).await.0, 401);
    assert_eq!(
        post(json!({"authenticationToken": house.id_token()})).await.0,
        401,
        "a provider's token is none of ours"
    );
}

#[tokio::test]
async fn a13_a_public_client_and_one_that_shows_its_secret_in_a_header() {
    for config in [
        OpenIdConfig { client_secret: None, ..OpenIdConfig::default() },
        OpenIdConfig { secret_in_form: false, ..OpenIdConfig::default() },
    ] {
        let house = House::with(config, "house", "").await;
        let end = house.browser().go("/.auth/login/house").await;
        assert_eq!(session_of(&end.session()).0, sid("house", PERSON));
    }
}

#[tokio::test]
async fn a13_two_windows_sign_in_at_once() {
    let house = House::start().await;
    let mut browser = house.browser();
    let mut ends = Vec::new();
    for _ in 0..3 {
        let answer = browser.own("/.auth/login/house").await.expect(302);
        ends.push(answer.header("location").unwrap().to_owned());
    }
    let slots = browser.cookies.len();
    let mut arrived = 0;
    for start in ends {
        let end = browser.follow(start).await;
        arrived += usize::from(end.url.contains("#token="));
    }
    assert_eq!(arrived, slots, "each that kept its place");
    assert!(arrived >= 1);
}

#[tokio::test]
async fn a13_another_node_goes_on_with_what_one_began() {
    let house = House::start().await;
    let mut browser = house.browser();
    let answer = browser.own("/.auth/login/house").await.expect(302);
    let to_provider = answer.header("location").unwrap().to_owned();
    let said = browser.ask("GET", &to_provider, &[], b"").await.expect(302);
    let back = said.header("location").unwrap().to_owned();
    // The process that began is gone; the next one has the key and the store, and another port.
    let before = house.world.over_tls();
    let providers = section(&house);
    let world = house.world.restart(&toml(&providers)).await;
    let mut next = Browser::new(&world);
    next.cookies = browser.cookies;
    let end = next.follow(back.replace(&before, &world.over_tls())).await;
    assert_eq!(session_of(&end.session()).0, sid("house", PERSON));
}

fn section(house: &House) -> String {
    format!(
        "[mobile.auth.providers.house]\nissuer = '{}'\nclient_id = 'the-app'\nclient_secret = 'a secret+/'\nca_file = 'ca.pem'\n",
        house.provider.issuer()
    )
}

/// SHA-256 in standard base64 with padding.
pub fn challenge(verifier: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(fanfare::identity::pkce::sha256(verifier.as_bytes()))
}

pub fn escaped(text: &str) -> String {
    fanfare::model::percent::encoded(text)
}

#[test]
fn pairs_are_decoded() {
    assert_eq!(url_pairs("a=b%20c&d=e+f"), [("a".into(), "b c".into()), ("d".into(), "e f".into())]);
}
