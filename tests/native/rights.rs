//! Who may do what.

use std::net::SocketAddr;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::client::Client;
use crate::world::{ADMIN, World};

/// Method, path, body, and which of listen, send, full and the admin key may.
type Row = (&'static str, &'static str, &'static str, [bool; 4]);

const LISTEN: [bool; 4] = [true, false, true, true];
const SEND: [bool; 4] = [false, true, true, true];
const MANAGE: [bool; 4] = [false, false, true, true];
const ADMIN_ONLY: [bool; 4] = [false, false, false, true];

const MATRIX: [Row; 24] = [
    ("PUT", "/v1/hubs/demo/installations/d", r#"{"platform":"adm","pushChannel":"x"}"#, LISTEN),
    ("GET", "/v1/hubs/demo/installations/d", "", LISTEN),
    ("DELETE", "/v1/hubs/demo/installations/d", "", LISTEN),
    ("POST", "/v1/hubs/demo/audience", "{}", SEND),
    ("POST", "/v1/hubs/demo/broadcasts", r#"{"notification":{"title":"x"},"dry_run":true}"#, SEND),
    ("GET", "/v1/hubs/demo/broadcasts", "", SEND),
    ("GET", "/v1/hubs/demo/broadcasts/x", "", SEND),
    ("GET", "/v1/hubs/demo/broadcasts/x/events", "", SEND),
    ("GET", "/v1/hubs/demo/broadcasts/x/outcomes", "", SEND),
    ("GET", "/v1/hubs/demo/broadcasts/x/outcomes/d", "", SEND),
    ("POST", "/v1/hubs/demo/broadcasts/x:pause", "", SEND),
    ("PATCH", "/v1/hubs/demo/broadcasts/x", "{}", SEND),
    ("GET", "/v1/hubs/demo/installations", "", MANAGE),
    ("POST", "/v1/hubs/demo/installations:import", "", MANAGE),
    ("GET", "/v1/hubs/demo", "", MANAGE),
    ("PUT", "/v1/hubs/demo", "{}", MANAGE),
    ("POST", "/v1/hubs/demo/senders/apns:resume", "", MANAGE),
    ("PUT", "/v1/hubs/demo", r#"{"keys":7}"#, ADMIN_ONLY),
    ("PUT", "/v1/hubs/other", "{}", ADMIN_ONLY),
    ("GET", "/v1/hubs", "", ADMIN_ONLY),
    ("POST", "/v1/hubs/demo/keys/none:rotate", "", ADMIN_ONLY),
    ("GET", "/v1/hubs/other", "", ADMIN_ONLY),
    ("DELETE", "/v1/hubs/other", "", ADMIN_ONLY),
    ("DELETE", "/v1/hubs/demo", "", ADMIN_ONLY),
];

#[tokio::test]
async fn each_key_may_what_its_rights_say() {
    let world = World::start().await;
    let address = world.running.address();
    let listen = world.with_rule("listen").await;
    let send = world.with_rule("send").await;
    let full = world.with_rule("full").await;
    let callers = [("listen", listen), ("send", send), ("full", full), ("admin", Client::bearer(address, ADMIN))];
    for (method, path, body, allowed) in MATRIX {
        for nobody in [Client::new(address, None), Client::bearer(address, "wrong"), Client::bearer(address, "")] {
            let answer = nobody.send(method, path, &[], body.as_bytes()).await;
            assert_eq!(answer.refusal(), (401, "unauthorized".into(), String::new()), "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        for ((name, caller), allowed) in callers.iter().zip(allowed) {
            let status = caller.send(method, path, &[], body.as_bytes()).await.status;
            // A hub's key is nobody's at a path that names another hub or none.
            let refused = if path.contains("demo") { 403 } else { 401 };
            match allowed {
                true => assert!(!matches!(status, 401 | 403), "{name} may {method} {path}: {status}"),
                false => assert_eq!(status, refused, "{name} may not {method} {path} {body}"),
            }
        }
    }
}

#[tokio::test]
async fn who_runs_the_service_needs_no_key() {
    let world = World::start().await;
    let nobody = Client::new(world.running.address(), None);
    for path in ["/healthz", "/readyz", "/metrics"] {
        nobody.get(path).await.expect(200);
    }
}

/// A signed token of a rule for a resource in percent-encoding, good until `expiry` in Unix seconds.
pub fn token(key: &str, rule: &str, resource: &str, expiry: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes());
    let escape = |text: &str| text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let signature = escape(&STANDARD.encode(signature.as_ref()));
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={rule}")
}

#[tokio::test]
async fn a_signed_token_stands_for_its_rule() {
    let world = World::start().await;
    let address: SocketAddr = world.running.address();
    const LATER: u64 = 4_000_000_000;
    let escaped = |path: &str| format!("http%3a%2f%2f{}%2f{path}", address.to_string().replace(':', "%3a"));
    let status =
        async |authorization: String, path: &str| Client::new(address, Some(authorization)).get(path).await.status;
    let path = "/v1/hubs/demo/installations/nobody";
    let listen = |resource: String, expiry| token("the-listen-key", "listen", &resource, expiry);
    for resource in ["", "demo", "demo%2f", "v1%2fhubs%2fdemo", "v1%2fhubs%2fdemo%2finstallations"] {
        assert_eq!(status(listen(escaped(resource), LATER), path).await, 404, "{resource}");
    }
    assert_eq!(status(listen(escaped("other"), LATER), path).await, 401);
    assert_eq!(status(listen("http%3a%2f%2felsewhere%2fdemo".into(), LATER), path).await, 401);
    assert_eq!(status(listen(escaped("demo"), 1_600_000_000), path).await, 401);
    assert_eq!(status(token("wrong", "listen", &escaped("demo"), LATER), path).await, 401);
    assert_eq!(status(listen(escaped("demo"), LATER), "/v1/hubs/demo").await, 403);
    assert_eq!(status(token(ADMIN, "RootManageSharedAccessKey", &escaped(""), LATER), "/v1/hubs").await, 200);
}
