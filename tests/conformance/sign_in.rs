//! What sign-in keeps.

use std::time::Duration;

use fanfare::model::time::Timestamp;
use fanfare::store::{OnceKey, SignInStore};

use super::{Bench, START, benches, wait};

const SHORT: Duration = Duration::from_secs(300);
const DAY: Duration = Duration::from_secs(86_400);

fn key(byte: u8) -> OnceKey {
    [byte; 32]
}

fn put(store: &dyn SignInStore, key: OnceKey, content: &[u8]) -> bool {
    wait(store.put_once(key, content.to_vec(), SHORT)).unwrap()
}

fn take(store: &dyn SignInStore, key: OnceKey) -> Option<Vec<u8>> {
    wait(store.take_once(key)).unwrap()
}

fn sweep(bench: &dyn Bench) {
    while wait(bench.store().sweep()).unwrap() {}
}

#[test]
fn what_is_kept_for_once_is_taken_once() {
    for mut bench in benches() {
        assert_eq!(take(bench.store().sign_in(), key(1)), None);
        assert!(put(bench.store().sign_in(), key(1), b"one"));
        assert!(!put(bench.store().sign_in(), key(1), b"other"), "a key is used once");
        bench.crash();
        let store = bench.store().sign_in();
        assert_eq!(take(store, key(1)).as_deref(), Some(&b"one"[..]));
        assert_eq!(take(store, key(1)), None);
        assert!(!put(store, key(1), b"again"), "and stays used");
        // A mark, with nothing in it.
        assert!(put(store, key(2), b""));
        assert!(!put(store, key(2), b""));
    }
}

#[test]
fn of_many_who_take_at_once_one_gets_it() {
    for bench in benches() {
        let store = bench.store().sign_in();
        assert!(put(store, key(1), b"one"));
        let got = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(|| take(store, key(1)).is_some())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).filter(|got| *got).count()
        });
        assert_eq!(got, 1);
    }
}

#[test]
fn a_code_expires_and_goes() {
    for bench in benches() {
        let store = bench.store().sign_in();
        assert!(put(store, key(1), b"one"));
        bench.clock().advance(SHORT);
        assert_eq!(take(store, key(1)), None);
        sweep(&*bench);
        assert!(put(store, key(1), b"anew"), "the row is gone");
    }
}

#[test]
fn tokens_are_of_a_user_and_a_provider_and_the_last_count() {
    for mut bench in benches() {
        let store = bench.store().sign_in();
        let put = |user: &str, provider: &str, sealed: &[u8]| {
            wait(store.put_tokens(user, provider, sealed.to_vec(), DAY)).unwrap();
        };
        put("ann", "google", b"1");
        put("ann", "google", b"2");
        put("ann", "aad", b"3");
        put("Ann", "google", b"4");
        bench.crash();
        let store = bench.store().sign_in();
        let tokens = |user: &str, provider: &str| wait(store.tokens(user, provider)).unwrap();
        assert_eq!(tokens("ann", "google").as_deref(), Some(&b"2"[..]));
        assert_eq!(tokens("ann", "facebook"), None);
        let forget_these = |sealed: &[u8]| wait(store.forget_these_tokens("ann", "google", sealed)).unwrap();
        assert!(!forget_these(b"1"), "others stand in their place");
        assert_eq!(tokens("ann", "google").as_deref(), Some(&b"2"[..]));
        assert!(forget_these(b"2") && !forget_these(b"2"));
        assert_eq!((tokens("ann", "google"), tokens("Ann", "google").as_deref()), (None, Some(&b"4"[..])));
        wait(store.put_tokens("ann", "google", b"2".to_vec(), DAY)).unwrap();
        wait(store.forget_tokens("ann", "google")).unwrap();
        assert_eq!(tokens("ann", "google"), None);
        assert_eq!(tokens("ann", "aad").as_deref(), Some(&b"3"[..]));
        assert_eq!(tokens("Ann", "google").as_deref(), Some(&b"4"[..]));
        bench.clock().advance(DAY);
        assert_eq!(tokens("ann", "aad"), None, "before the sweep as after it");
        sweep(&*bench);
        assert_eq!(tokens("ann", "aad"), None);
    }
}

#[test]
fn sessions_are_revoked_one_by_one_or_all_until_now() {
    for mut bench in benches() {
        let store = bench.store().sign_in();
        let revoked = |store: &dyn SignInStore, user: &str, session| wait(store.revoked(user, session)).unwrap();
        assert_eq!(revoked(store, "ann", Some("s1")), None);
        assert_eq!(wait(store.revoke("ann", Some("s1"), DAY)).unwrap(), START);
        let ever = Some(Timestamp::from_millis(i64::MAX));
        assert_eq!(revoked(store, "ann", Some("s1")), ever);
        assert_eq!((revoked(store, "ann", Some("s2")), revoked(store, "ann", None)), (None, None));
        assert_eq!(revoked(store, "bea", Some("s1")), None);
        bench.clock().advance(SHORT);
        let now = wait(bench.store().sign_in().revoke("ann", None, DAY)).unwrap();
        assert_eq!(now, START.plus(SHORT));
        bench.crash();
        let store = bench.store().sign_in();
        assert_eq!(revoked(store, "ann", Some("s1")), ever, "one that was ended stays so");
        assert_eq!((revoked(store, "ann", Some("s2")), revoked(store, "ann", None)), (Some(now), Some(now)));
        assert_eq!(revoked(store, "bea", None), None);
        bench.clock().advance(DAY);
        sweep(&*bench);
        let store = bench.store().sign_in();
        assert_eq!((revoked(store, "ann", Some("s1")), revoked(store, "ann", None)), (None, None));
    }
}
