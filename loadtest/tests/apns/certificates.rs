//! Client certificates instead of provider tokens.
use loadtest::gateways::{ApnsConfig, Authority};

use crate::client::{self, Client, request, soon, token};

#[tokio::test]
async fn a_certificate_pushes_to_its_topics_without_a_token() {
    let kit = client::kit(client::config()).await;
    let certificate = kit.sim.authority().client_certificate(&["com.example.app", "com.example.app.voip"]).unwrap();
    let client = Client::connect(&kit.sim, Some(&certificate)).await.unwrap();
    assert_eq!(soon(client.push(request(&token(1)))).await.unwrap().status, 200);
    let other = request(&token(1)).header("authorization", "bearer nonsense, and ignored");
    assert_eq!(soon(client.push(other)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_certificate_of_another_app_is_disallowed() {
    let kit = client::kit(ApnsConfig { topics: Vec::new(), ..client::config() }).await;
    let certificate = kit.sim.authority().client_certificate(&["com.example.other"]).unwrap();
    let client = Client::connect(&kit.sim, Some(&certificate)).await.unwrap();
    assert_eq!(soon(client.push(request(&token(1)))).await.unwrap().reason(), "TopicDisallowed");
}

#[tokio::test]
async fn the_full_stream_limit_holds_from_the_start() {
    let kit = client::kit(ApnsConfig { streams: 7, ..client::config() }).await;
    let certificate = kit.sim.authority().client_certificate(&["com.example.app"]).unwrap();
    let client = Client::connect(&kit.sim, Some(&certificate)).await.unwrap();
    soon(client.push(request(&token(1)))).await.unwrap();
    assert_eq!(client.send.current_max_send_streams(), 7);
}

#[tokio::test]
async fn a_certificate_of_another_authority_does_not_connect() {
    let kit = client::kit(client::config()).await;
    let foreign = Authority::new().unwrap().client_certificate(&["com.example.app"]).unwrap();
    // In TLS 1.3 the client learns of it with its first read.
    let refused = match Client::connect(&kit.sim, Some(&foreign)).await {
        Ok(client) => soon(client.push(request(&token(1)))).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    soon(kit.sim.wait_until(|counts| counts.handshakes_failed == 1)).await;
}
