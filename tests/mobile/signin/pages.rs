//! The pages at the end (4.4, 4.5). What their scripts do is seen by the JavaScript client (`clients`).

use super::flows::escaped;
use super::*;

#[tokio::test]
async fn a13_the_done_page_leaves_the_fragment_and_names_only_a_page_that_may_know() {
    let world = World::start().await;
    let done = world.client.get("/.auth/login/done").await.expect(200);
    assert_eq!(done.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(!done.text().contains("data-origin") && !done.text().contains("http-equiv"), "{}", done.text());
    assert!(!done.text().contains("'*'") && !done.text().contains("\"*\""), "no message to everybody");
    let origin = escaped(PAGE);
    let told =
        world.client.get(&format!("/.auth/login/done?completion_type=postMessage&completion_origin={origin}")).await;
    assert!(told.expect(200).text().contains("data-origin=\"https://app.example.com\" data-kind=\"postMessage\""));
    let frame = world.client.get(&format!("/.auth/login/iframereceiver?completion_origin={origin}")).await.expect(200);
    let policy = |answer: &Answer| answer.header("content-security-policy").unwrap().to_owned();
    assert!(policy(&frame).ends_with("frame-ancestors https://app.example.com"), "{}", policy(&frame));
    assert!(policy(&done).ends_with("frame-ancestors 'none'") && policy(&done).starts_with("default-src 'none'"));
    // The script that is allowed is the one that is there.
    for answer in [&done, &frame] {
        use base64::Engine as _;
        let script = answer.text().split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
        let hash = base64::engine::general_purpose::STANDARD.encode(fanfare::identity::pkce::sha256(script.as_bytes()));
        assert!(policy(answer).contains(&format!("script-src 'sha256-{hash}'")), "{}", policy(answer));
        assert_eq!(
            (answer.header("cache-control"), answer.header("x-content-type-options")),
            (Some("no-store"), Some("nosniff"))
        );
    }
}

#[tokio::test]
async fn a13_the_plain_pages_say_what_happened() {
    let world = World::start().await;
    for (path, words) in [
        ("/.auth/login/complete", "You are signed in."),
        ("/.auth/logout/done", "You are signed out."),
        ("/.auth/logout/complete", "You are signed out."),
    ] {
        let page = world.client.get(path).await.expect(200);
        assert!(page.text().contains(words) && !page.text().contains("<script"), "{path}");
    }
}

/// 4.1: behind a proxy that mounts the service elsewhere every address says so.
#[tokio::test]
async fn a13_addresses_are_those_of_the_proxy() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), loadtest::gateways::Authority::new().unwrap());
    let provider = loadtest::gateways::OpenIdSim::start_under(loadtest::gateways::OpenIdConfig::default(), &authority);
    let provider = provider.await.unwrap();
    let section = format!(
        "[mobile.auth.providers.house]\nissuer = '{}'\nclient_id = 'the-app'\nclient_secret = 'a secret+/'\nca_file = 'ca.pem'\n",
        provider.issuer()
    );
    let toml = toml(&section).replace("[mobile]\n", "[mobile]\npublic_url = 'https://api.example.com/app'\n");
    let world = World::within(folder, authority, &toml).await;
    let answer = world.client.get("/.auth/login/WindowsAzureActiveDirectory").await;
    assert_eq!(refused(&answer).0, 404);
    let answer = world.client.get("/.auth/login/house").await.expect(302);
    let redirect_uri = escaped("https://api.example.com/app/.auth/login/house/callback");
    assert!(answer.header("location").unwrap().contains(&format!("redirect_uri={redirect_uri}")));
    assert!(answer.header("set-cookie").unwrap().starts_with("__Host-"));
    let lost = world.client.get("/.auth/login/house/callback?state=x&code=y").await.expect(302);
    assert!(lost.header("location").unwrap().starts_with("https://api.example.com/app/.auth/login/done#error="));
}
