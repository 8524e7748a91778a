use bytes::Bytes;

use super::*;
use crate::clock::TokioClock;
use crate::gateway::apns::token::{Mints, ProviderKey};
use crate::model::broadcast::Lane;
use crate::model::id::BroadcastId;
use crate::model::time::Timestamp;

fn service() -> ApnsService {
    let clock: SharedClock = Arc::new(TokioClock::starting_at(Timestamp::from_millis(1_800_000_000_000)));
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let mint = Mints::new(Arc::clone(&clock)).of(&ProviderKey::new("TEAM", "KEY", &pem).unwrap());
    ApnsService::new(Some(mint), clock)
}

async fn minutes(count: u64) {
    tokio::time::advance(Duration::from_mins(count)).await;
}

fn answered(service: &ApnsService, held: &mut Held, status: u16, reason: &str) -> Judgement {
    let body = format!(r#"{{"reason":"{reason}"}}"#);
    let answer = RawAnswer { status, retry_after: None, body: body.as_bytes(), authorization: held.number() };
    service.judge(&answer, held)
}

#[tokio::test(start_paused = true)]
async fn a_target_is_its_token_in_hex_and_its_own_id() {
    let service = service();
    let broadcast = BroadcastId::new(1);
    let shared = SharedRequest { headers: vec![], body: Bytes::new(), broadcast, lane: Lane::Bulk };
    let mut out = Addressed::default();
    service.address(&shared, Seq(7), &[0x0a, 0xff], &mut out);
    assert_eq!(out.path, b"/3/device/0aff");
    assert_eq!(out.id, broadcast.message_id(Seq(7)).to_string().as_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_connection_changes_its_token_once_in_20_minutes_and_never_sends_a_dead_one() {
    let service = service();
    let mut early = Held::default();
    service.authorize(&mut early);
    minutes(34).await;
    let mut late = Held::default();
    service.authorize(&mut late);
    assert_eq!((early.number(), late.number()), (1, 1));
    minutes(16).await;
    service.authorize(&mut early);
    service.authorize(&mut late);
    assert_eq!((early.number(), late.number()), (2, 1), "the late one took its token 16 minutes ago");
    minutes(4).await;
    service.authorize(&mut late);
    assert_eq!(late.number(), 2);
}

/// A target that was refused with it comes back from one connection, and must not be sent with it again on another.
#[tokio::test(start_paused = true)]
async fn what_one_connection_was_told_is_expired_no_other_sends() {
    let service = service();
    let mut one = Held::default();
    service.authorize(&mut one);
    minutes(30).await;
    let mut fresh = Held::default();
    service.authorize(&mut fresh);
    assert_eq!((one.number(), fresh.number()), (1, 1));
    assert_eq!(answered(&service, &mut one, 403, "ExpiredProviderToken").resend, Resend::Renewed);
    service.authorize(&mut fresh);
    assert_eq!((one.number(), fresh.number()), (2, 2));
}

/// T9.
#[tokio::test(start_paused = true)]
async fn an_expired_token_is_renewed_once_when_old_and_the_hub_s_trouble_when_young() {
    let service = service();
    let mut held = Held::default();
    service.authorize(&mut held);
    minutes(1).await;
    let young = answered(&service, &mut held, 403, "ExpiredProviderToken");
    assert_eq!((young.verdict, young.resend), (Verdict::Credentials, Resend::Never));
    minutes(48).await;
    let old = answered(&service, &mut held, 403, "ExpiredProviderToken");
    assert_eq!((old.resend, held.number()), (Resend::Renewed, 2));
    let second = answered(&service, &mut held, 403, "ExpiredProviderToken");
    assert_eq!((second.verdict, second.resend), (Verdict::Credentials, Resend::Never));
}

/// T10.
#[tokio::test(start_paused = true)]
async fn too_many_updates_sends_the_connection_back_to_its_previous_token() {
    let service = service();
    let mut held = Held::default();
    service.authorize(&mut held);
    minutes(50).await;
    service.authorize(&mut held);
    assert_eq!(held.number(), 2);
    let told = answered(&service, &mut held, 429, "TooManyProviderTokenUpdates");
    assert_eq!((told.connection, held.number()), (ConnectionFate::Rest(REST), 1));
    assert_eq!(told.resend, Resend::Elsewhere, "sends go on");
    service.authorize(&mut held);
    assert_eq!(held.number(), 1);
}

#[tokio::test(start_paused = true)]
async fn connection_faults_replace_the_connection_and_others_leave_it() {
    let service = service();
    let mut held = Held::default();
    for (status, reason) in [(400, "IdleTimeout"), (403, "UnrelatedKeyIdInToken"), (503, "Shutdown")] {
        let told = answered(&service, &mut held, status, reason);
        assert_eq!((told.connection, told.resend), (ConnectionFate::Replace, Resend::Elsewhere), "{reason}");
    }
    let told = answered(&service, &mut held, 400, "BadDeviceToken");
    assert_eq!((told.connection, told.resend), (ConnectionFate::Keep, Resend::Never));
}
