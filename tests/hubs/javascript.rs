//! The JavaScript client of the field, as it is, over TLS: every public function that this part of the face serves
//! (`client/functions.mjs`), with a connection string as the only thing it is told.

use std::path::{Path, PathBuf};
use std::process::Command;

use loadtest::gateways::{Authority, Script, Simulated};

use crate::world::World;

fn client() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hubs/client")
}

/// Runs a command to its end and answers what it said.
async fn run(mut command: Command, what: &str) -> String {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_c18_the_javascript_client_works_over_tls() {
    if !client().join("node_modules/@azure/notification-hubs").exists() {
        let mut install = Command::new("npm");
        install.current_dir(client()).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(install, "npm ci").await;
    }
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let (certificate, key) = authority.write_server_certificate(files.path()).unwrap();
    let trusted = authority.write_ca(files.path()).unwrap();
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let settings = [
        ("SERVER__TLS__LISTEN", "127.0.0.1:0"),
        ("SERVER__TLS__CERT_FILE", certificate.as_str()),
        ("SERVER__TLS__KEY_FILE", key.as_str()),
    ];
    let world = World::with(Script::default(), &settings).await;
    let port = world.running.tls_address().unwrap().port();
    let hub = world.admin.get("/v1/hubs/hub1").await.expect(200).json();
    let string = |rule: &str| {
        let key = hub["keys"][rule]["primary"].as_str().unwrap();
        format!("Endpoint=sb://localhost:{port}/;SharedAccessKeyName={rule};SharedAccessKey={key}")
    };
    let mut node = Command::new("node");
    node.current_dir(client())
        .arg("functions.mjs")
        .env("NODE_EXTRA_CA_CERTS", trusted)
        .env("FULL", string("DefaultFullSharedAccessSignature"))
        .env("LISTEN", string("DefaultListenSharedAccessSignature"));
    let said = run(node, "node").await;
    assert!(said.trim_end().ends_with("all functions work"), "{said}");
    assert!(world.apns.receipts().accepted() > 0, "{said}");
}
