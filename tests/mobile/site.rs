//! `[site]`: an app's files at `/`.

use std::os::unix::fs::symlink;
use std::path::Path;

use loadtest::gateways::Authority;
use serde_json::json;

use crate::world::{USERS, World};

/// A service with a site of some files, beside other sections.
async fn site(toml: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for (path, text) in [
        ("public/index.html", "<h1>home</h1>"),
        ("public/app/index.html", "<h1>app</h1>"),
        ("public/app/main.js", "let a = 1; // 0123456789"),
        ("public/a name.txt", "spaces"),
        ("public/.env", "SECRET"),
        ("public/.git/config", "SECRET"),
        ("public/app/.hidden/x.txt", "SECRET"),
        ("public/.well-known/assetlinks.json", "[]"),
        // Names of the service's own paths.
        ("public/healthz", "SHADOW"),
        ("public/docs", "SHADOW"),
        ("public/v1/hubs", "SHADOW"),
        ("public/v1/x.js", "SHADOW"),
        ("public/tables/todoitem", "SHADOW"),
        ("public/api/echo", "SHADOW"),
        ("public/push/installations/x", "SHADOW"),
        ("public/demo/messages", "SHADOW"),
        ("public/empty/note.txt", ""),
        ("outside/secret.txt", "SECRET"),
    ] {
        write(path, text);
    }
    let public = folder.path().join("public");
    symlink(folder.path().join("outside/secret.txt"), public.join("link.txt")).unwrap();
    symlink(folder.path().join("outside"), public.join("folder")).unwrap();
    symlink(Path::new("../outside"), public.join("app/up")).unwrap();
    symlink(Path::new("/etc"), public.join("etc")).unwrap();
    symlink(Path::new("app/main.js"), public.join("inside.js")).unwrap();
    std::fs::create_dir(public.join("indexed")).unwrap();
    symlink(folder.path().join("outside/secret.txt"), public.join("indexed/index.html")).unwrap();
    symlink(Path::new("loop"), public.join("loop")).unwrap();
    World::within(folder, Authority::new().unwrap(), &format!("[site]\ndir = 'public'\n{toml}")).await
}

#[tokio::test]
async fn files_are_served_with_their_types_and_come_once() {
    for mobile in ["", USERS] {
        let world = site(mobile).await;
        let home = world.client.get("/").await.expect(200);
        assert_eq!((home.text(), home.header("content-type")), ("<h1>home</h1>", Some("text/html")));
        for (name, value) in
            [("cache-control", "no-cache"), ("x-content-type-options", "nosniff"), ("accept-ranges", "bytes")]
        {
            assert_eq!(home.header(name), Some(value));
        }
        let (tag, modified) = (home.header("etag").unwrap(), home.header("last-modified").unwrap());
        for asked in [("if-none-match", tag), ("if-modified-since", modified)] {
            let same = world.client.send("GET", "/", &[asked], b"").await.expect(304);
            assert_eq!(
                (same.body.len(), same.header("etag"), same.header("cache-control")),
                (0, Some(tag), Some("no-cache"))
            );
        }
        let script = world.client.get("/app/main.js?v=1").await.expect(200);
        assert_eq!((script.text().len(), script.header("content-type")), (24, Some("text/javascript")));
        let head = world.client.send("HEAD", "/app/main.js", &[], b"").await.expect(200);
        assert_eq!((head.body.len(), head.header("content-length")), (0, Some("24")));
        let part = world.client.send("GET", "/app/main.js", &[("range", "bytes=14-19")], b"").await.expect(206);
        assert_eq!((part.text(), part.header("content-range")), ("012345", Some("bytes 14-19/24")));
        world.client.send("GET", "/app/main.js", &[("range", "bytes=99-")], b"").await.expect(416);
        let whole = world.client.send("GET", "/app/main.js", &[("range", "bytes=0-1,4-5")], b"").await.expect(200);
        assert_eq!(whole.body.len(), 24);
        assert_eq!(world.client.get("/a%20name.txt").await.expect(200).text(), "spaces");
        assert_eq!(world.client.get("/inside.js").await.expect(200).body.len(), 24);
        assert_eq!(world.client.get("/.well-known/assetlinks.json").await.expect(200).text(), "[]");
        // Folders have their page, at an address whose relative links lead where they should.
        assert_eq!(world.client.get("/app/").await.expect(200).text(), "<h1>app</h1>");
        assert_eq!(world.client.get("/app").await.expect(307).header("location"), Some("/app/"));
        for path in
            ["/empty/", "/none.html", "/app/main.js/", "/app/main.js/x", "/loop", &format!("/{}", "x".repeat(300))]
        {
            let nothing = world.client.get(path).await.expect(404);
            assert_eq!(nothing.json()["error"]["code"], json!("no_route"), "{path}");
        }
        // What changes is seen at once.
        std::fs::write(world.folder.path().join("public/index.html"), "<h1>new home</h1>").unwrap();
        let new = world.client.send("GET", "/", &[("if-none-match", tag)], b"").await.expect(200);
        assert_eq!(new.text(), "<h1>new home</h1>");
    }
}

#[tokio::test]
async fn nothing_else_of_the_machine_is_served() {
    let world = site(USERS).await;
    for path in [
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/app/.hidden/x.txt",
        "/../outside/secret.txt",
        "/app/../../outside/secret.txt",
        "/%2e%2e/outside/secret.txt",
        "/..%2foutside%2fsecret.txt",
        "/app/..%5c..%5coutside/secret.txt",
        "/link.txt",
        "/folder/secret.txt",
        "/app/up/secret.txt",
        "/etc/passwd",
        "/indexed/",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/a%00.txt",
        "/fanfare.db",
        "/../fanfare.db",
    ] {
        let answer = world.client.get(path).await.expect(404);
        assert!(!answer.text().contains("SECRET") && !answer.text().contains("root:"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn only_get_and_head_are_taken() {
    let world = site("").await;
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let refused = world.client.send(method, "/app/main.js", &[], b"").await.expect(405);
        assert_eq!(refused.header("allow"), Some("GET, HEAD"));
        world.client.send(method, "/none.js", &[], b"").await.expect(404);
    }
}

#[tokio::test]
async fn no_file_stands_before_a_path_of_the_service() {
    let world = site(USERS).await;
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/docs", 200),
        ("/v1/hubs", 401),
        ("/v1/x.js", 404),
        ("/tables/todoitem", 404),
        ("/tables", 404),
        ("/api/echo", 404),
        ("/push/installations/x", 404),
        ("/swagger", 404),
        ("/demo/messages", 405),
    ] {
        let answer = world.client.get(path).await.expect(status);
        assert!(!answer.text().contains("SHADOW"), "{path}");
    }
    // The list of hubs, which client libraries ask for at /.
    world.client.get("/?api-version=2020-06").await.expect(401);
    assert_eq!(world.admin.get("/v1/hubs").await.expect(200).json()["items"], json!([]));
}
