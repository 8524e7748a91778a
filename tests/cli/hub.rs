//! `fanfare hub`, and what every command that talks to a service says when it cannot.

use crate::world::{ADMIN, World, fanfare};

#[tokio::test]
async fn create_prints_connection_strings_and_show_does_not() {
    let world = World::bare().await;
    let made = world.create().await.expect(0);
    let host = world.running.address();
    let lines: Vec<_> = made.out.lines().collect();
    assert_eq!(lines.len(), 2, "{made:?}");
    for (line, rule) in lines.iter().zip(["DefaultFullSharedAccessSignature", "DefaultListenSharedAccessSignature"]) {
        let start = format!("{rule}: Endpoint=sb://{host}/;SharedAccessKeyName={rule};SharedAccessKey=");
        assert!(line.len() > start.len() + 20 && line.starts_with(&start), "{line}");
    }
    let again = world.create().await.expect(1);
    assert_eq!(again.err, "fanfare: there is a hub demo already; --replace changes its settings\n");
    let key = lines[0].rsplit("SharedAccessKey=").next().unwrap();
    let shown = world.run(&["hub", "show", "demo"]).await.expect(0);
    assert_eq!(shown.json()["keys"]["DefaultFullSharedAccessSignature"]["primary"], "***");
    assert!(!shown.out.contains(key));
    let keys = world.run(&["hub", "keys", "demo", "--endpoint", "push.example.com"]).await.expect(0);
    assert!(keys.out.starts_with("DefaultFullSharedAccessSignature: Endpoint=sb://push.example.com/;"), "{keys:?}");
    let rotated = world.run(&["hub", "rotate", "demo", "DefaultFullSharedAccessSignature"]).await.expect(0);
    assert!(rotated.out.contains(";SharedAccessKey=") && !rotated.out.contains(key), "{rotated:?}");
}

#[tokio::test]
async fn a_certificate_is_given_as_the_file_that_it_is() {
    let world = World::bare().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/gateway/pkcs12/files/legacy.p12");
    world.write("password", "hush\n");
    let arguments = ["hub", "create", "demo", "--apns-p12-file", file, "--apns-p12-password-file", "password"];
    let wrong = world.run(&arguments[..5]).await.expect(1);
    assert!(wrong.err.contains("apns.cert_password must be the file's password"), "{wrong:?}");
    world.run(&arguments).await.expect(0);
    let shown = world.run(&["hub", "show", "demo"]).await.expect(0).json();
    assert_eq!((&shown["apns"]["auth"], &shown["apns"]["topic"]), (&"certificate".into(), &"com.example.app".into()));
    let alone = ["hub", "create", "other", "--apns-p12-password-file", "password"];
    world.run(&alone).await.expect(2);
}

#[tokio::test]
async fn hubs_are_listed_resumed_and_deleted() {
    let world = World::start().await;
    assert_eq!(world.run(&["hub", "list"]).await.expect(0).out, "demo  apns ok\n");
    assert_eq!(world.run(&["hub", "list", "--json"]).await.expect(0).json()[0]["name"], "demo");
    let resumed = world.run(&["hub", "resume", "demo", "apns"]).await.expect(0);
    assert_eq!(resumed.out, "apns of demo was not paused\n");
    let unsure = world.run(&["hub", "delete", "demo"]).await.expect(2);
    assert!(unsure.err.contains("--yes"), "{unsure:?}");
    world.run(&["hub", "delete", "demo", "--yes"]).await.expect(0);
    let gone = world.run(&["hub", "show", "demo"]).await.expect(1);
    assert!(gone.err.starts_with("fanfare: ") && gone.err.contains("(no_hub, status 404)"), "{gone:?}");
    world.write("hub.json", r#"{"weight": 7}"#);
    world.run(&["hub", "create", "other", "--json", "hub.json"]).await.expect(0);
    assert_eq!(world.run(&["hub", "show", "other"]).await.expect(0).json()["weight"], 7);
}

#[tokio::test]
async fn what_cannot_be_reached_or_is_refused_says_what_to_look_at() {
    let world = World::bare().await;
    let (folder, url) = (world.folder.path(), world.url());
    let nobody = fanfare(folder, &["hub", "list", "--url", &url], &[], "").await.expect(2);
    assert!(nobody.err.starts_with("fanfare: no key: set FANFARE_KEY"), "{nobody:?}");
    let wrong = fanfare(folder, &["hub", "list", "--url", &url, "--key", "wrong-secret"], &[], "").await.expect(1);
    assert!(wrong.err.contains("status 401") && wrong.err.contains("FANFARE_KEY"), "{wrong:?}");
    assert!(!wrong.err.contains("wrong-secret"), "{wrong:?}");
    world.write("admin.key", &format!("{ADMIN}\n"));
    fanfare(folder, &["hub", "list", "--key-file", "admin.key"], &[("FANFARE_URL", &url)], "").await.expect(0);
    // A port that nobody has: that of a listener that is gone.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = world.run_at(&format!("http://{free}"), &["hub", "list"]).await.expect(1);
    let line = format!("fanfare: cannot reach http://{free}: connection refused; is `fanfare serve` running there");
    assert!(away.err.starts_with(&line) && away.err.lines().count() == 1, "{away:?}");
    let tls = world.run_at(&url.replace("http:", "https:"), &["hub", "list"]).await.expect(1);
    assert!(tls.err.contains("no TLS with") && tls.err.contains("--ca"), "{tls:?}");
    let bad = world.run_at("ftp://x", &["hub", "list"]).await.expect(2);
    assert_eq!(bad.err, "fanfare: --url (FANFARE_URL) must be http://HOST[:PORT] or https://HOST[:PORT]\n");
    let check = fanfare(folder, &["check"], &[("FANFARE_URL", "ftp://x")], "").await;
    check.expect(0);
    // The file goes before the variable.
    let variables = [("FANFARE_URL", url.as_str()), ("FANFARE_KEY", "wrong")];
    fanfare(folder, &["--key-file", "admin.key", "hub", "list"], &variables, "").await.expect(0);
}

#[tokio::test]
async fn help_shows_no_key_and_every_shell_gets_its_completions() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("FANFARE_KEY", ADMIN), ("FANFARE_URL", "http://hidden.example")];
    for arguments in [&["--help"][..], &["send", "--help"], &["hub", "create", "--help"], &["watch", "-h"]] {
        let help = fanfare(folder.path(), arguments, &variables, "").await.expect(0);
        assert!(!help.out.contains(ADMIN) && !help.out.contains("hidden.example"), "{help:?}");
        assert!(help.out.contains("FANFARE_KEY"), "{help:?}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = fanfare(folder.path(), &["completions", shell], &[], "").await.expect(0);
        assert!(script.out.contains("installations") && script.out.contains("fanfare"), "{shell}");
    }
}
