//! What is written for a browser, the browser reads: against the simulated service's own reading, and against another
//! implementation of RFC 8291.

use fanfare::clock::{Clock, SystemClock};
use fanfare::gateway::web_push::encryption::{LONGEST, OVERHEAD, seal};
use fanfare::model::subscription::Subscription;
use fanfare::model::verdict::Verdict;
use loadtest::gateways::web_push::Browser;
use loadtest::gateways::{Simulated, WebPushConfig};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use web_push_native::p256::SecretKey;

use crate::bench::{Bench, token};

/// Each length once and then some: 3,994 lengths are fewer than 10,000 messages.
const MESSAGES: usize = 10_000;
/// Messages that are under way together.
const AT_ONCE: usize = 64;

fn channel(browser: &Browser) -> Vec<u8> {
    let written = json!({"endpoint": "https://push.example/x", "p256dh": browser.p256dh(), "auth": browser.auth()});
    Subscription::of_document(&written).unwrap().to_channel()
}

#[test]
fn ten_thousand_messages_of_every_length_are_read_by_their_browser() {
    let mut random = fastrand::Rng::with_seed(0x8291);
    for n in 0..MESSAGES {
        let browser = Browser::of(&n.to_be_bytes()).unwrap();
        let length = if n <= LONGEST { n } else { random.usize(0..=LONGEST) };
        let message: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        let channel = channel(&browser);
        let body = seal(&message, &Subscription::of_channel(&channel).unwrap()).unwrap();
        assert_eq!(body.len(), length + OVERHEAD);
        assert_eq!(browser.read(&body).as_ref(), Some(&message), "{n}");
        if n % 100 == 0 {
            let stranger = Browser::of(&(n + 1).to_be_bytes()).unwrap();
            assert_eq!(stranger.read(&body), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn another_implementation_reads_the_same(private in any::<[u8; 32]>(), secret in any::<[u8; 16]>(), message in prop::collection::vec(any::<u8>(), 0..=LONGEST)) {
        let mut private = private;
        private[0] &= 0x7f;
        private[31] |= 1;
        let browser = Browser::with_keys(&private, secret).unwrap();
        let channel = channel(&browser);
        let body = seal(&message, &Subscription::of_channel(&channel).unwrap()).unwrap();
        let key = SecretKey::from_slice(&private).unwrap();
        prop_assert_eq!(web_push_native::decrypt(body, &key, &secret.into()).unwrap(), message);
    }

    #[test]
    fn what_another_implementation_writes_the_simulated_browser_refuses_for_its_record_size(message in prop::collection::vec(any::<u8>(), 0..=100)) {
        // RFC 8291 section 4 wants a size larger than the record; this is why that crate is the oracle and not the sender.
        let browser = Browser::of(b"x").unwrap();
        let channel = channel(&browser);
        let subscription = Subscription::of_channel(&channel).unwrap();
        let public = web_push_native::p256::PublicKey::from_sec1_bytes(&subscription.public).unwrap();
        let body = web_push_native::encrypt(message, &public, &subscription.secret.into()).unwrap();
        prop_assert_eq!(browser.read(&body), None);
    }
}

/// Any text of so many bytes.
fn text(random: &mut fastrand::Rng, length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let drawn = if random.u8(0..8) == 0 { random.char('\u{a0}'..) } else { random.char(' '..='~') };
        text.push(if text.len() + drawn.len_utf8() <= length { drawn } else { '.' });
    }
    text
}

#[tokio::test]
async fn ten_thousand_messages_over_the_wire_are_read_with_the_private_keys_of_their_subscriptions() {
    let bench = Bench::new(WebPushConfig { keep_requests: true, keep_sealed: true, ..WebPushConfig::default() }).await;
    let mut random = fastrand::Rng::with_seed(7);
    let far = SystemClock.boot().plus(Duration::from_hours(1));
    let messages: Vec<String> = (0..MESSAGES)
        .map(|n| {
            let length = if n <= LONGEST { n } else { random.usize(0..=LONGEST) };
            text(&mut random, length)
        })
        .collect();
    let mut seqs = 0..;
    for some in messages.chunks(AT_ONCE) {
        let mut under_way = Vec::new();
        for (message, seq) in some.iter().zip(&mut seqs) {
            let subscription = vec![(seq, bench.sim.subscription(&token(seq)))];
            under_way.push(bench.send_by(message, subscription, far).await);
        }
        for sent in under_way {
            sent.told().await.assert_all(&Verdict::Delivered);
        }
    }
    let receipts = bench.sim.receipts();
    assert_eq!(receipts.accepted(), MESSAGES as u64);
    let mut read = BTreeSet::new();
    for (order, receipt) in (0..).zip(receipts.page(0, MESSAGES)) {
        let seq = usize::try_from(u64::from_be_bytes(receipt.token.as_bytes()[..8].try_into().unwrap())).unwrap();
        let body = receipts.full(order).unwrap().body;
        assert_eq!(body.len(), messages[seq].len() + OVERHEAD);
        let (private, secret) = Browser::keys_of(receipt.token.as_bytes());
        let key = SecretKey::from_slice(&private).unwrap();
        let clear = web_push_native::decrypt(body, &key, &secret.into()).unwrap();
        assert_eq!(clear, messages[seq].as_bytes(), "{seq}");
        assert!(read.insert(seq), "{seq} came twice");
    }
}
