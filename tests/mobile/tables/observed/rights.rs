//! OBS 151 – 164, 171 – 174.

use super::*;
use crate::world::session;

pub(super) async fn rights(world: World) {
    let nobody = &world.client;
    for (number, method, path) in [("151", "POST", "/tables/readonly"), ("152", "DELETE", "/tables/readonly/r-1")] {
        let answer = send(nobody, method, path, &[V2, JSON], &json!({"x": 1})).await;
        assert_eq!(answer.status, 405, "OBS {number}");
    }
    let refused = send(nobody, "GET", "/tables/secure", &[V2], &Value::Null).await.expect(401);
    assert_eq!(refused.json()["error"], "You must be logged in to use this application", "OBS 154");
    for path in ["/tables/todoitem", "/tables/secure"] {
        let answer = send(&world.showing("a.b.c"), "GET", path, &[V2], &Value::Null).await;
        assert_eq!(answer.status, 401, "OBS 155, 156");
    }
    // OBS 171 – 174: with another signature, with none, not even a token.
    let made = session("sid:a");
    let (head, rest) = made.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIn0.{claims}.");
    let turned = format!("{head}.{claims}.{}", signature.chars().rev().collect::<String>());
    for token in [turned.as_str(), none.as_str(), "x", "a.b"] {
        let answer = send(nobody, "GET", "/tables/todoitem", &[V2, ("x-zumo-auth", token)], &Value::Null).await;
        assert!(answer.expect(401).json()["error"].is_string());
    }
    // Who it is comes before what it says (2.10).
    send(nobody, "POST", "/tables/secure", &[V2, JSON], &json!("{")).await.expect(401);
    let session = session("sid:a");
    send(nobody, "GET", "/tables/secure", &[V2, ("x-zumo-auth", &session)], &Value::Null).await.expect(200);
    send(&world.signed_in("sid:a"), "GET", "/tables/secure", &[V2], &Value::Null).await.expect(200);
}
