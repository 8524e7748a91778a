use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::*;
use crate::clock::TokioClock;
use crate::model::time::Timestamp;

const NOW_SECONDS: i64 = 1_800_000_000;

fn key() -> ProviderKey {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    ProviderKey::new("TEAM123456", "KEY1234567", &pem).unwrap()
}

fn mints() -> Arc<Mints> {
    Mints::new(Arc::new(TokioClock::starting_at(Timestamp::from_millis(NOW_SECONDS * 1_000))))
}

async fn minutes(count: u64) {
    tokio::time::advance(Duration::from_mins(count)).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_is_signed_by_the_key_and_backdated() {
    let key = key();
    let held = mints().of(&key).current().unwrap();
    let text = std::str::from_utf8(&held.value).unwrap().strip_prefix("bearer ").unwrap().to_owned();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let decode = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(decode(header), r#"{"alg":"ES256","kid":"KEY1234567"}"#);
    assert_eq!(decode(claims), format!(r#"{{"iss":"TEAM123456","iat":{}}}"#, NOW_SECONDS - 5));
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key().as_ref())
        .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn hubs_with_one_key_share_the_bytes_and_others_do_not() {
    let (mints, mine, other) = (mints(), key(), key());
    assert_eq!(mints.of(&mine).current(), mints.of(&mine.clone()).for_opening());
    assert_ne!(mints.of(&mine).current().unwrap().value, mints.of(&other).current().unwrap().value);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_at_50_minutes_and_at_35_for_an_opening() {
    let mint = mints().of(&key());
    let first = mint.current().unwrap();
    minutes(34).await;
    assert_eq!(mint.for_opening().unwrap(), first);
    minutes(15).await;
    assert_eq!(mint.current().unwrap(), first);
    minutes(1).await;
    let second = mint.current().unwrap();
    assert_eq!(second.number, 2);
    minutes(35).await;
    assert_eq!(mint.current().unwrap(), second);
    assert_eq!(mint.for_opening().unwrap().number, 3);
    assert_eq!(mint.current().unwrap().number, 3);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_renewed_when_old_and_a_clock_fault_when_young() {
    let mint = mints().of(&key());
    let first = mint.current().unwrap();
    minutes(1).await;
    assert_eq!(mint.expired(first.number), Renewal::ClockFault);
    minutes(40).await;
    let Renewal::Renewed(second) = mint.expired(first.number) else { panic!("an old token is renewed") };
    assert_eq!(second.number, 2);
    assert_eq!(mint.expired(first.number), Renewal::Renewed(second.clone()), "the answers of a window mint once");
    assert_eq!(mint.expired(second.number), Renewal::ClockFault);
}

#[tokio::test(start_paused = true)]
async fn too_many_updates_brings_the_previous_token_back_and_stops_the_mint() {
    let mint = mints().of(&key());
    let first = mint.current().unwrap();
    minutes(50).await;
    let second = mint.current().unwrap();
    assert_eq!(mint.too_many_updates().unwrap(), first);
    assert_eq!(mint.current().unwrap(), first);
    minutes(9).await;
    assert!(mint.is_dead(first.number));
    assert_eq!(mint.current().unwrap(), second, "a token near its end is not sent, however frozen the mint");
    assert_eq!(mint.for_opening().unwrap(), second);
}

#[tokio::test(start_paused = true)]
async fn no_token_is_minted_for_20_minutes_after_too_many_updates() {
    let mint = mints().of(&key());
    mint.current().unwrap();
    minutes(45).await;
    let only = mint.too_many_updates().unwrap();
    minutes(15).await;
    assert_eq!(mint.current().unwrap(), only);
    minutes(5).await;
    assert_eq!(mint.current().unwrap().number, 2);
}

#[test]
fn bad_keys_are_named_and_good_ones_stay_secret() {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(ProviderKey::new("", "K", &pem).unwrap_err().field, "team_id");
    assert_eq!(ProviderKey::new("T", "K\"", &pem).unwrap_err().field, "key_id");
    assert_eq!(ProviderKey::new("T", "K", "-----BEGIN NOTHING-----").unwrap_err().field, "key");
    let shown = format!("{:?}", ProviderKey::new("T", "K", &pem).unwrap());
    assert_eq!(shown, "ProviderKey(T/K ***)");
}
