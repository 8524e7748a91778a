//! `/`, `/swagger` and what holds for the paths beside the tables (6.2 to 6.4).

use serde_json::{Value, json};

use crate::push::ID;
use crate::upstream::Upstream;
use crate::world::{USERS, World};

const TABLES: &str = "
[mobile.tables.todoitem]
soft_delete = true
columns = { text = 'string', complete = 'boolean', due = 'date', prio = 'number' }
[mobile.tables.mine]
per_user = true
[mobile.tables.autoid]
auto_increment = true
[mobile.tables.secure]
permissions = { read = 'authenticated', insert = 'authenticated', update = 'disabled' }
";

/// With these keys in `[mobile]`.
fn config(keys: &str) -> String {
    format!("{}{TABLES}", USERS.replace("[mobile]", &format!("[mobile]\n{keys}")))
}

#[tokio::test]
async fn obs_190_a_home_page_where_it_is_wanted() {
    let world = World::with(&config("")).await;
    world.client.get("/").await.expect(404);
    let world = world.restart(&config("home_page = true")).await;
    let page = world.client.send("GET", "/", &[("origin", "http://localhost:3000")], b"").await.expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("is running") && !page.text().contains("/swagger"), "{page:?}");
    assert_eq!(page.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    world.client.send("HEAD", "/", &[], b"").await.expect(200);
    world.client.send("POST", "/", &[], b"").await.expect(405);
    // The list of hubs and the service's own pages stay where they are.
    assert_eq!(world.client.get("/?api-version=2020-06").await.expect(401).header("x-zumo-server-version"), None);
    world.client.get("/docs").await.expect(200);
    world.client.get("/healthz").await.expect(200);
    world.client.get("/index.html").await.expect(404);
}

#[tokio::test]
async fn obs_191_the_tables_are_described_where_it_is_wanted() {
    let world = World::with(&config("")).await;
    for path in ["/swagger", "/swagger/docs/v1", "/swagger/ui"] {
        let refused = world.client.get(path).await.expect(404);
        assert!(refused.json()["error"].is_string(), "{path}");
    }
    let world = world.restart(&config("swagger = true")).await;
    let described = world.client.get("/swagger").await.expect(200);
    assert_eq!(described.header("content-type"), Some("application/json; charset=utf-8"));
    let described = described.json();
    assert_eq!(world.client.get("/swagger/docs/v1").await.expect(200).json(), described);
    assert_eq!(described["swagger"], json!("2.0"));
    assert_eq!(described["info"]["version"], json!("2.0.0"));
    assert_eq!(described["host"], json!(world.running.address().to_string()));
    assert_eq!((&described["basePath"], &described["schemes"]), (&json!("/"), &json!(["http"])));
    assert_eq!(
        described["securityDefinitions"],
        json!({"EasyAuth": {"type": "apiKey", "in": "header", "name": "x-zumo-auth"}})
    );
    let mut error: Vec<_> = described["definitions"]["errorType"]["properties"].as_object().unwrap().keys().collect();
    error.sort();
    assert_eq!(error, ["error", "stack"]);
    for (table, name) in [("todoitem", "Todoitem"), ("mine", "Mine"), ("autoid", "Autoid"), ("secure", "Secure")] {
        let (of_table, of_item) = (format!("/tables/{table}"), format!("/tables/{table}/{{id}}"));
        for (path, method, word) in [
            (&of_table, "get", "Query"),
            (&of_table, "post", "Insert"),
            (&of_item, "get", "Find"),
            (&of_item, "post", "Undelete"),
            (&of_item, "patch", "Update"),
            (&of_item, "delete", "Delete"),
        ] {
            let operation = &described["paths"][path][method];
            assert_eq!(operation["operationId"], json!(format!("{word}{name}")));
            let parameters = operation["parameters"].as_array().unwrap();
            let version = parameters.iter().find(|parameter| parameter["name"] == "zumo-api-version").unwrap();
            assert_eq!((&version["in"], &version["required"]), (&json!("header"), &json!(true)));
            assert_eq!(parameters.iter().any(|parameter| parameter["in"] == "path"), path == &of_item);
            let needs = table == "mine" || (table == "secure" && matches!(word, "Query" | "Insert" | "Find"));
            assert_eq!(
                operation["security"],
                if needs { json!([{"EasyAuth": []}]) } else { json!([]) },
                "{word}{name}"
            );
        }
        assert_eq!(described["paths"][&of_table].as_object().unwrap().len(), 2);
        assert_eq!(described["paths"][&of_item].as_object().unwrap().len(), 4);
    }
    let todo = &described["definitions"]["todoitem"]["properties"];
    for (column, expected) in [
        ("id", json!({"type": "string"})),
        ("updatedAt", json!({"type": "string", "format": "date-time", "readOnly": true})),
        ("version", json!({"type": "string", "readOnly": true})),
        ("deleted", json!({"type": "boolean"})),
        ("text", json!({"type": "string"})),
        ("due", json!({"type": "string", "format": "date-time"})),
        ("prio", json!({"type": "number"})),
    ] {
        assert_eq!(todo[column], expected, "{column}");
    }
    assert_eq!(described["definitions"]["autoid"]["properties"]["id"], json!({"type": "integer"}));
    assert_eq!(described["definitions"]["mine"]["properties"]["deleted"], Value::Null);
    let ui = world.client.get("/swagger/ui").await.expect(200);
    assert_eq!(ui.header("content-type"), Some("text/html; charset=utf-8"));
    for words in ["/tables/todoitem/{id}", "Changes a row of secure", "date-time"] {
        assert!(ui.text().contains(words), "{words}");
    }
    world.client.post("/swagger", &json!({})).await.expect(405);
    // OBS 194.
    world.client.get("/tables").await.expect(404);
}

#[tokio::test]
async fn the_description_names_the_public_address() {
    let keys = "swagger = true\npublic_url = 'https://api.example.com/app/'";
    let world = World::with(&config(keys)).await;
    let described = world.client.get("/swagger").await.expect(200).json();
    assert_eq!((&described["host"], &described["basePath"]), (&json!("api.example.com"), &json!("/app")));
    assert_eq!(described["schemes"], json!(["https"]));
}

/// 6.3, 6.4 and 12.10 on each kind of path: pages of listed hosts may call, headers of 64 KB and addresses of 32 KB are
/// taken, a body over the limit is not.
#[tokio::test]
async fn point_10_every_path_takes_what_clients_send_and_answers_pages() {
    let upstream = Upstream::start().await;
    let toml = format!(
        "{}{}[hubs.demo]\n[limits]\nbody_bytes = 20000\n",
        config("hub = 'demo'\nhome_page = true\nswagger = true"),
        upstream.section()
    );
    let world = World::with(&toml).await;
    let push = format!("/push/installations/{ID}");
    let (long, features) = ("x".repeat(65_536), "TR,QS,".repeat(5_462));
    let origin = ("origin", "http://localhost:3000");
    let headers = [origin, ("x-own", long.as_str()), ("x-zumo-features", features.as_str())];
    for (method, path, status) in [
        ("DELETE", push.as_str(), 204),
        ("GET", "/api/echo", 200),
        ("GET", "/swagger", 200),
        ("GET", "/swagger/ui", 200),
        ("GET", "/", 200),
        ("GET", "/push/none", 404),
        ("GET", "/swagger/none", 404),
        ("GET", "/tables/none", 404),
    ] {
        let long_path = format!("{path}?q={}", "x".repeat(32_768));
        let answer = world.client.send(method, &long_path, &headers, b"").await.expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"), "{path}");
        assert!(answer.header("access-control-expose-headers").unwrap().contains("Link, ETag"), "{path}");
        let foreign = world.client.send(method, path, &[("origin", "https://evil.net")], b"").await.expect(status);
        assert_eq!(foreign.header("access-control-allow-origin"), None, "{path}");
        assert!(foreign.headers.iter().any(|(name, value)| name == "vary" && value == "Origin"), "{path}");
        let asked = ("access-control-request-headers", "x-zumo-installation-id,x-zumo-auth");
        let preflight = world.client.send("OPTIONS", path, &[origin, asked], b"").await.expect(200);
        assert_eq!(preflight.header("access-control-allow-headers"), Some(asked.1), "{path}");
    }
    let asked = upstream.asked().await;
    assert!(asked.iter().all(|asked| asked["method"] == "GET"), "preflights are answered here: {asked:?}");
    let body = vec![b' '; 20_001];
    for (method, path) in [("PUT", push.as_str()), ("POST", "/api/echo")] {
        let refused = world.client.send(method, path, &[origin], &body).await.expect(413);
        assert_eq!(refused.header("access-control-allow-origin"), Some("http://localhost:3000"), "{path}");
        assert!(refused.json()["error"].as_str().unwrap().contains("at most 20000 bytes"), "{path}");
    }
}
