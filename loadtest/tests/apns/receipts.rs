//! What the service writes down.
use loadtest::gateways::{
    Script, Simulated, Token,
    receipts::{Fate, body_hash, collapse_hash},
    script::Act,
};

use crate::client::{self, BODY, soon, token};

#[tokio::test]
async fn every_judged_request_leaves_a_receipt() {
    let kit = client::kit(client::config()).await;
    kit.sim.set_script(Script::new().token("00000002", Act::refuse(410, "Unregistered")));
    let client = kit.connect().await;
    for number in [1, 2, 3] {
        soon(client.push(kit.request(&token(number)).header("apns-collapse-id", "score"))).await.unwrap();
    }
    soon(kit.sim.receipts().wait_for(3)).await;
    let receipts = kit.sim.receipts().all();
    assert_eq!(receipts.iter().map(|receipt| receipt.status).collect::<Vec<_>>(), [200, 410, 200]);
    assert_eq!(receipts[1].reason.as_deref(), Some("Unregistered"));
    for receipt in &receipts {
        assert_eq!((receipt.body, receipt.collapse), (body_hash(BODY.as_bytes()), collapse_hash(b"score")));
        assert_eq!(receipt.fate, Fate::Answered);
    }
    let full = kit.sim.receipts().full(0).unwrap();
    assert_eq!((full.header("apns-topic"), full.body.as_slice()), (Some(client::TOPIC), BODY.as_bytes()));

    let owed: Vec<Token> = (1..=4).map(|number| token(number).parse().unwrap()).collect();
    assert_eq!(kit.sim.receipts().missing(&owed), [&owed[1], &owed[3]]);
    assert!(kit.sim.receipts().repeated().is_empty());
}

#[tokio::test]
async fn a_repeat_with_the_same_id_is_told_from_a_second_push() {
    let kit = client::kit(client::config()).await;
    let client = kit.connect().await;
    let id = "0189cf2a-7d3e-7c10-8f54-00000000002a";
    for _ in 0..2 {
        soon(client.push(kit.request(&token(1)).header("apns-id", id))).await.unwrap();
        soon(client.push(kit.request(&token(2)))).await.unwrap();
    }
    let repeated = kit.sim.receipts().repeated();
    let seen: Vec<_> = repeated.iter().map(|repeat| (repeat.token.to_string(), repeat.times, repeat.same_id)).collect();
    assert_eq!(seen, [(token(1), 2, true), (token(2), 2, false)]);
}

#[tokio::test]
async fn reset_forgets() {
    let kit = client::kit(client::config()).await;
    let client = kit.connect().await;
    soon(client.push(kit.request(&token(1)))).await.unwrap();
    kit.sim.reset();
    assert_eq!((kit.sim.receipts().len(), kit.sim.counts().requests), (0, 0));
    soon(client.push(kit.request(&token(2)))).await.unwrap();
    assert_eq!(kit.sim.receipts().all()[0].order, 0);
}

#[tokio::test]
async fn services_stand_beside_each_other_and_stop_cleanly() {
    let (one, two) = (client::kit(client::config()).await, client::kit(client::config()).await);
    let (to_one, to_two) = (one.connect().await, two.connect().await);
    soon(to_one.push(one.request(&token(1)))).await.unwrap();
    soon(to_two.push(two.request(&token(2)))).await.unwrap();
    assert_eq!((one.sim.receipts().len(), two.sim.receipts().len()), (1, 1));
    let address = one.sim.address();
    soon(one.sim.stop()).await;
    assert!(soon(to_one.connection).await.unwrap().is_err() || tokio::net::TcpStream::connect(address).await.is_err());
    tokio::net::TcpListener::bind(address).await.unwrap();
    assert_eq!(soon(to_two.push(two.request(&token(3)))).await.unwrap().status, 200);
}
