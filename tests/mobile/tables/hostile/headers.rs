//! Tokens, versions and other headers.

use super::*;
use crate::world::session;

#[tokio::test]
async fn hostile_tokens_versions_and_headers_are_refused() {
    let world = world().await;
    let client = &world.client;
    let good = session("sid:a");
    let (begun, _) = good.rsplit_once('.').unwrap();
    let long = "a".repeat(60_000);
    for token in [
        "a",
        "a.b",
        "a.b.c",
        "...",
        "....",
        "a.b.c.d",
        "bm9uZQ.e30.",
        "é",
        "\u{ff}",
        &long,
        begun,
        &format!("{begun}."),
        &format!("{good}x"),
        &format!("{good}.x"),
        &good.to_uppercase(),
        "'; DROP TABLE app_mine; --",
        "null",
        "{}",
        "Bearer",
        "Bearer a.b.c",
        "Basic eDp5",
    ] {
        for (name, value) in [("x-zumo-auth", token.to_owned()), ("authorization", format!("Bearer {token}"))] {
            for path in ["/tables/mine", "/tables/secure", "/tables/todoitem"] {
                for dialect in [V2, V3, TOOLKIT] {
                    let answer = send(client, "GET", path, &[dialect, (name, &value)], &Value::Null).await;
                    let shown: String = value.chars().take(40).collect();
                    assert_eq!(answer.status, 401, "{name}: {shown}: {answer:?}");
                    judged(&answer, &value);
                }
            }
        }
    }
    for text in TEXTS.iter().filter(|text| !text.contains(['\r', '\n', '\0'])) {
        for name in [
            "x-zumo-features",
            "x-zumo-options",
            "x-zumo-installation-id",
            "x-zumo-version",
            "user-agent",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
            "x-forwarded-proto",
            "accept",
            "prefer",
            "cookie",
        ] {
            for dialect in [V2, V3] {
                judged(&send(client, "GET", "/tables/todoitem", &[dialect, (name, text)], &Value::Null).await, text);
                judged(
                    &send(client, "DELETE", "/tables/todoitem/x", &[dialect, (name, text)], &Value::Null).await,
                    text,
                );
            }
        }
        let version = [("zumo-api-version", *text)];
        judged(&send(client, "GET", "/tables/todoitem", &version, &Value::Null).await, text);
    }
    for host in ["", "a b", "x@y", "é", "a:b:c", "[", "evil.example:99999", "../x"] {
        let answer = client.send("GET", "/tables/todoitem", &[V2, ("host", host)], b"").await;
        assert!(answer.status < 500, "{host}: {answer:?}");
    }
}
