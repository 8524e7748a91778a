//! What holds on every path of the face.

use serde_json::json;

use crate::client::Client;
use crate::world::{USERS, World};

const ORIGIN: (&str, &str) = ("origin", "http://localhost:3000");

/// The headers that decide what pages may see; each as (status, allowed origin, exposed).
async fn seen(client: &Client, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Option<String>, bool) {
    let answer = client.send(method, path, headers, b"").await;
    assert!(answer.header("vary").is_some_and(|vary| vary.contains("Origin")), "{path}: {answer:?}");
    assert!(answer.header("x-zumo-server-version").is_some_and(|version| version.starts_with("fanfare-")));
    let origin = answer.header("access-control-allow-origin").map(str::to_owned);
    (
        answer.status,
        origin,
        answer.header("access-control-expose-headers") == Some("Link, ETag, x-zumo-server-version, x-fanfare-conflict"),
    )
}

#[tokio::test]
async fn point_01_obs_7_9_pages_of_listed_hosts_may_call_and_see_refusals_too() {
    let world = World::start().await;
    let own = Some("http://localhost:3000".to_owned());
    for path in ["/tables/none", "/push/none", "/.auth/none", "/api/none", "/swagger/none"] {
        assert_eq!(seen(&world.client, "GET", path, &[ORIGIN]).await, (404, own.clone(), true), "{path}");
        assert_eq!(seen(&world.client, "GET", path, &[("origin", "https://evil.net")]).await, (404, None, false));
        assert_eq!(seen(&world.client, "GET", path, &[]).await, (404, None, false));
        assert_eq!(seen(&world.client, "OPTIONS", path, &[("origin", "https://evil.net")]).await, (200, None, false));
        // Before anybody is asked who they are.
        let forged = ("x-zumo-auth", "a.b.c");
        let asked = ("access-control-request-headers", "if-match,zumo-api-version,x-zumo-auth");
        let answer = world.client.send("OPTIONS", path, &[ORIGIN, forged, asked], b"").await.expect(200);
        for (name, value) in [
            ("access-control-allow-origin", "http://localhost:3000"),
            ("access-control-allow-headers", "if-match,zumo-api-version,x-zumo-auth"),
            ("access-control-allow-methods", "GET, PUT, PATCH, POST, DELETE, OPTIONS"),
            ("access-control-max-age", "300"),
            ("allow", "GET,HEAD,POST,PATCH,DELETE"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
        assert_eq!(answer.text(), "GET,HEAD,POST,PATCH,DELETE");
    }
    let app = ("origin", "https://app.example.com");
    let own = Some("https://app.example.com".to_owned());
    assert_eq!(seen(&world.client, "GET", "/tables/none", &[app]).await, (404, own, true));
    // The other faces are not for pages of others.
    let answer = world.client.send("GET", "/healthz", &[ORIGIN], b"").await.expect(200);
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("vary")), (None, None));
    assert!(answer.header("x-zumo-server-version").is_none());
}

#[tokio::test]
async fn point_09_refusals_are_json_with_their_length() {
    let world = World::start().await;
    for path in ["/tables", "/.auth/nothing", "/push", "/api", "/swagger/x"] {
        let answer = world.client.get(path).await.expect(404);
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{path}");
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()), "{path}");
        let said = answer.json();
        assert!(said["error"].is_string() && said["error"] == said["message"], "{said}");
    }
}

#[tokio::test]
async fn point_10_a_header_of_32_kb_is_taken() {
    let world = World::start().await;
    let features = "TR,QS,".repeat(5_462);
    world.client.send("GET", "/tables/none", &[("x-zumo-features", &features)], b"").await.expect(404);
}

#[tokio::test]
async fn without_its_section_there_is_no_face() {
    let world = World::with("").await;
    let answer = world.client.get("/tables/todoitem").await.expect(404);
    assert_eq!(answer.json()["error"]["code"], json!("no_route"));
    assert!(answer.header("x-zumo-server-version").is_none());
    let world = world.restart(USERS).await;
    assert!(world.client.get("/tables/todoitem").await.expect(404).json()["error"].is_string());
}
