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
use std::time::Duration;
use web_push_native::p256::SecretKey;

use crate::bench::{Bench, token};

/// Each length once and then some: 3,994 lengths are fewer than 10,000 messages.
const MESSAGES: usize = 10_000;

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

#[tokio::test]
async fn hundreds_of_messages_over_the_wire_are_read_as_they_were_written() {
    let bench = Bench::new(WebPushConfig { keep_requests: true, ..WebPushConfig::default() }).await;
    let mut random = fastrand::Rng::with_seed(7);
    let far = SystemClock.boot().plus(Duration::from_hours(1));
    let lengths: Vec<usize> = [0, 1, LONGEST - 1, LONGEST].into_iter().chain((4..300).map(|n| n * 13)).collect();
    let messages: Vec<String> =
        lengths.iter().map(|length| std::iter::repeat_with(|| random.alphanumeric()).take(*length).collect()).collect();
    for (seq, message) in (0..).zip(&messages) {
        let subscription = vec![(seq, bench.sim.subscription(&token(seq)))];
        bench.send_by(message, subscription, far).await.told().await.assert_all(&Verdict::Delivered);
    }
    assert_eq!(bench.sim.receipts().accepted(), messages.len() as u64);
    for (order, message) in (0..).zip(&messages) {
        assert_eq!(bench.sim.receipts().full(order).unwrap().body, message.as_bytes(), "{order}");
    }
}
