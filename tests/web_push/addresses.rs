//! Where subscriptions may lead.

use std::time::Duration;

use fanfare::model::verdict::{ThrottleScope, Verdict};
use loadtest::gateways::script::Act;
use loadtest::gateways::{Script, Simulated};
use tokio::net::TcpListener;

use crate::bench::{Bench, leading_to, token};

const BARRED: (Verdict, &str) = (Verdict::FixRequest { for_all: false }, "endpoint is of no allowed address");

#[tokio::test]
async fn private_addresses_are_never_connected_to_unless_they_are_allowed() {
    let mut bench = Bench::scripted(Script::new()).await;
    bench.reopen(&bench.settings().with_private_networks(false));
    // Something that would answer on the port that may be used, if the machine lets us have it.
    let trap = TcpListener::bind("127.0.0.1:443").await.ok();
    let leads = [
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://192.168.1.1:443/x",
        // Names: what they stand for is looked at when the connection is made.
        "https://localhost/x",
        "https://LOCALHOST:443/x",
    ];
    let lead = |(seq, endpoint): (u64, &&str)| (seq, leading_to(&bench.sim, seq, endpoint));
    let told = bench.send_to((0..).zip(&leads).map(lead).collect()).await.told().await;
    for (seq, endpoint) in (0..).zip(leads) {
        assert_eq!(told.verdict(seq), BARRED, "{endpoint}");
    }
    // The port of the simulated service is another than 443.
    assert_eq!(bench.send(20..21).await.told().await.verdict(20), BARRED);
    assert!(bench.sim.receipts().is_empty() && bench.sim.counts().connections_ever == 0);
    if let Some(trap) = trap {
        let came = tokio::time::timeout(Duration::from_millis(50), trap.accept()).await;
        assert!(came.is_err(), "a connection came");
    }
    bench.reopen(&bench.settings().with_private_networks(true));
    bench.send(20..21).await.told().await.assert_all(&Verdict::Delivered);
}

#[tokio::test]
async fn a_moved_endpoint_is_an_endpoint_like_any_other() {
    let bench = Bench::scripted(Script::new().always(Act::refuse(301, "https://localhost:1/x"))).await;
    let told = bench.send(0..1).await.told().await;
    // Private networks are allowed here, so it is tried; it has its own connections, tokens and rests.
    let waits = Verdict::Throttle { scope: ThrottleScope::Target, after: Some(Duration::from_secs(1)) };
    assert_eq!(told.verdict(0), (waits, "connect failed"));
    assert_eq!(bench.sim.receipts().of(&token(0)).len(), 1);
}

#[tokio::test]
async fn a_dead_origin_waits_alone_and_ever_longer() {
    let bench = Bench::scripted(Script::new()).await;
    bench.send(0..1).await.told().await.assert_all(&Verdict::Delivered);
    let dead = |seq| (seq, leading_to(&bench.sim, seq, "https://localhost:1/x"));
    let mix = (0..100).map(|seq| if seq < 50 { dead(seq) } else { (seq, bench.sim.subscription(&token(seq))) });
    let told = bench.send_to(mix.collect()).await.told().await;
    assert_eq!(told.count(&Verdict::Delivered), 50);
    for seq in 0..50 {
        let (verdict, reason) = told.verdict(seq);
        let waits = matches!(verdict, Verdict::Throttle { scope: ThrottleScope::Target, after: Some(_) });
        assert!(waits && reason == "connect failed", "{seq}: {verdict:?} {reason}");
    }
}
