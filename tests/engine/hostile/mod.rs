//! A server that behaves by chance. It keeps the rules of HTTP/2 (gentle) or breaks them, too (rude); whatever it does,
//! each target has one word, and that word fits what was done with it.
//!
//! `ENGINE_SEED=17 cargo nextest run --test engine hostile` plays one seed again: the choices are the same, the moments
//! at which the network delivers are not.

use std::sync::Arc;
use std::time::Duration;

use fanfare::gateway::pool::Tuning;
use fanfare::gateway::senders::Senders;
use fastrand::Rng;
use futures_util::{StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use self::acts::Mood;
use self::host::Host;
use crate::bench::{Bench, How, Identity, To, quick};
use crate::ledger::Ledger;

mod acts;
mod answers;
mod host;

/// Seeds that play at the same time.
const AT_ONCE: usize = 40;

fn length(seq: u64) -> usize {
    match seq % 9 {
        0 => 0,
        1 => 30_000,
        2 => 3_000,
        _ => usize::try_from(seq * 37 % 400).unwrap(),
    }
}

async fn play(seed: u64, gentle: bool, identity: Arc<Identity>, senders: Arc<Senders>) -> Vec<String> {
    let mut rng = Rng::with_seed(seed);
    let mood = Mood::new(&mut rng, gentle);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ledger = Ledger::default();
    let host = Host::new(format!("127.0.0.1:{port}"), ledger.clone(), mood);
    let accept = host.listen(listener, TlsAcceptor::from(identity.server()), rng.fork());
    let _server = AbortOnDropHandle::new(tokio::spawn(accept));

    let targets: Vec<To> = (0..rng.u64(10..60)).map(|seq| (seq, format!("/push/{seq}"))).collect();
    // Half of the seeds put all requests out at once, half begin with one.
    let usual = Tuning { warm_up: Duration::from_millis(50 * (seed % 2)), ..quick() };
    let tuning = if gentle {
        usual
    } else {
        Tuning {
            open_timeout: Duration::from_millis(2_000),
            soft_timeout: Duration::from_millis(300),
            hard_timeout: Duration::from_millis(600),
            busy_ping: Duration::from_millis(200),
            ping_timeout: Duration::from_millis(400),
            ..usual
        }
    };
    let how = How { connections: rng.usize(1..4), length, tuning };
    let told = Bench::new(port, &identity, &senders, how).send(&targets, rng.usize(1..40)).await;
    ledger.faults(&told, gentle)
}

async fn play_all(seeds: std::ops::Range<u64>, gentle: bool) {
    let (identity, senders) = (Arc::new(Identity::new()), Senders::start(2).unwrap());
    let replayed = std::env::var("ENGINE_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let seeds = replayed.map_or(seeds, |seed| seed..seed + 1);
    let games = stream::iter(seeds).map(|seed| {
        let game = tokio::spawn(play(seed, gentle, Arc::clone(&identity), Arc::clone(&senders)));
        async move { (seed, game.await.unwrap_or_else(|panic| vec![panic.to_string()])) }
    });
    let games = games.buffer_unordered(AT_ONCE);
    let faulty: Vec<_> = games.filter(|(_, faults)| std::future::ready(!faults.is_empty())).collect().await;
    assert!(faulty.is_empty(), "by ENGINE_SEED: {faulty:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_server_may_do_every_target_is_delivered_once() {
    play_all(0..200, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_server_does_no_target_is_lost_or_sent_twice() {
    play_all(0..250, false).await;
}
