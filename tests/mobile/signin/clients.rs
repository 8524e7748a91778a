//! The JavaScript client of the field, as it is (`client/signin.mjs`).

use std::process::Command;

use super::*;
use crate::program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a02_a13_the_javascript_client_signs_in_by_token_and_by_popup() {
    let house = House::start().await;
    let mut node = Command::new("node");
    node.current_dir(program::folder("mobile/client", "azure-mobile-apps-client").await)
        .arg("signin.mjs")
        .env("NODE_EXTRA_CA_CERTS", house.world.trusted())
        .env("SERVICE", house.world.over_tls())
        .env("ID_TOKEN", house.id_token());
    let said = program::run(node, "node").await;
    assert!(said.lines().any(|line| line == "all sign-ins work"), "{said}");
}
