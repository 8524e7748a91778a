//! Acceptance 14 of `mobile-apps.md`: which tokens stand for somebody.
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_500);
const SECOND: i64 = 1_800_000_000;

fn sessions(key: &str) -> Sessions {
    Sessions::new(&Secret::new(key), "https://a/", "https://i/", Duration::from_hours(1))
}

/// A token as an app's own server signs it.
fn signed(key: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "sub": "ann", "iss": "https://i/", "aud": "https://a/", "exp": SECOND + 60, "iat": SECOND, "nbf": SECOND,
    });
    change(&mut claims);
    jwt::sign(&claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

#[test]
fn a_session_says_who_it_is_and_how_long() {
    let sessions = sessions("key");
    let profile = Profile { subject: Some("42".into()), name: None, email: Some("ann@example.com".into()) };
    let (user, token) = sessions.begin("sid:00", "google", profile.clone(), NOW).unwrap();
    assert_eq!(sessions.verify(&token, NOW), Ok(user.clone()));
    assert_eq!((&user.profile, user.issued), (&profile, NOW));
    let claims: Value = jwt::open(&token, &sessions.verifying, Algorithm::HS256).unwrap();
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() == 32), "{claims}");
    let expected = json!({
        "jti": claims["jti"], "sub": "sid:00", "stable_sid": "sid:00", "idp": "google", "ver": "4", "iss": "https://i/", "aud": "https://a/",
        "iat": SECOND, "nbf": SECOND, "exp": SECOND + 3_600, "ims": NOW.millis(), "sid": user.session, "subject": "42",
        "email": "ann@example.com",
    });
    assert_eq!(claims, expected);
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::HS256, Some("JWT")));
}

#[test]
fn a_session_ends_and_may_be_renewed_for_a_while() {
    let sessions = sessions("key");
    let (_, token) = sessions.begin("sid:00", "google", Profile::default(), NOW).unwrap();
    let at = |seconds: i64| Timestamp::from_millis((SECOND + 3_600 + seconds) * 1_000);
    let (grace, expired) = (i64::try_from(GRACE.as_secs()).unwrap(), Err(SessionError::Expired));
    assert!(sessions.verify(&token, at(-1)).is_ok());
    assert_eq!(sessions.verify(&token, at(0)), expired);
    assert!(sessions.renewable(&token, at(grace - 1)).is_ok());
    assert_eq!(sessions.renewable(&token, at(grace)), expired);
}

#[test]
fn a_renewed_token_is_of_the_same_session() {
    let sessions = sessions("key");
    let (first, _) = sessions.begin("sid:00", "google", Profile::default(), NOW).unwrap();
    let later = NOW.plus(Duration::from_mins(1));
    let (second, token) = sessions.renew(&first, later).unwrap();
    assert_eq!(sessions.verify(&token, later), Ok(second.clone()));
    assert_eq!((&second.session, second.issued), (&first.session, NOW), "and began when it began");
    assert!(second.expires > first.expires);
    assert_eq!(second.check_not_before(Some(NOW)), Err(SessionError::Revoked), "a revocation meets it");
    let (other, _) = sessions.begin("sid:00", "google", Profile::default(), NOW).unwrap();
    assert_ne!(other.session, first.session);
}

#[test]
fn a_session_ends_for_good_however_often_it_is_renewed() {
    let most = Duration::from_hours(3);
    let sessions = sessions("key").at_most(most);
    let (mut user, mut token) = sessions.begin("sid:00", "google", Profile::default(), NOW).unwrap();
    let mut now = NOW;
    for _ in 0..5 {
        now = now.plus(Duration::from_mins(30));
        (user, token) = sessions.renew(&user, now).unwrap();
        assert!(user.expires <= NOW.plus(most), "{user:?}");
    }
    let end = NOW.plus(most);
    assert_eq!(end.since(user.expires), Duration::from_millis(500), "in the second of its end");
    assert!(sessions.renewable(&token, Timestamp::from_millis(end.millis() - 1)).is_ok());
    assert_eq!(sessions.renewable(&token, end), Err(SessionError::Expired), "no grace after that");
    assert!(sessions.renew(&user, end).is_none());
    // One that was made when sessions lasted longer.
    let (_, long) = self::sessions("key").begin("sid:00", "google", Profile::default(), NOW).unwrap();
    let shorter = self::sessions("key").at_most(Duration::from_mins(10));
    assert_eq!(shorter.verify(&long, NOW.plus(Duration::from_mins(10))), Err(SessionError::Expired));
    // Those of the app's own server end when that says.
    let own = signed("key", |claims| claims["exp"] = json!(SECOND + 1_000_000));
    assert!(shorter.verify(&own, NOW.plus(Duration::from_hours(100))).is_ok());
}

/// Whatever they say of their provider: their life is their server's to give (4.11).
#[test]
fn a_token_of_the_apps_own_server_is_not_renewed() {
    let sessions = sessions("key");
    for claims in [
        json!({"idp": "google"}),
        json!({"idp": "google", "ver": "4", "sid": "one", "stable_sid": "ann", "jti": "x"}),
        json!({"idp": "google", "ims": NOW.millis()}),
        json!({"idp": "google", "ims": NOW.millis(), "sid": ""}),
    ] {
        let own = signed("key", |own| own.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone()));
        let user = sessions.verify(&own, NOW).unwrap();
        assert!(!user.is_ours && sessions.renew(&user, NOW).is_none(), "{claims}");
    }
    let (begun, token) = sessions.begin("sid:00", "google", Profile::default(), NOW).unwrap();
    assert!(begun.is_ours && sessions.verify(&token, NOW).unwrap().is_ours);
}

#[test]
fn what_is_no_name_of_a_provider_is_none() {
    for idp in ["", "a\u{0}b", "a\nb", &"a".repeat(256)] {
        let own = signed("key", |claims| claims["idp"] = json!(idp));
        assert_eq!(sessions("key").verify(&own, NOW).unwrap().provider, "custom", "{idp:?}");
    }
}

#[test]
fn a_token_of_the_apps_own_server_needs_little() {
    let own = signed("key", |claims| {
        let claims = claims.as_object_mut().unwrap();
        claims.remove("iat");
        claims.remove("nbf");
        claims.insert("ver".into(), json!(3));
        claims.insert("aud".into(), json!(["https://b/", "https://a/"]));
        claims.insert("exp".into(), json!(1_800_000_060.5));
    });
    let user = sessions("key").verify(&own, NOW).unwrap();
    assert_eq!((user.sub.as_str(), user.provider.as_str()), ("ann", "custom"));
    assert_eq!(user.check_not_before(Some(Timestamp::from_millis(0))), Err(SessionError::Revoked));
}

#[test]
fn a_session_without_a_name_is_not_that_of_all() {
    for sid in [json!(""), json!("a\nb"), json!("a".repeat(256))] {
        let own = signed("key", |claims| claims["sid"] = sid.clone());
        assert_eq!(sessions("key").verify(&own, NOW).unwrap().session, None, "{sid}");
    }
    let own = signed("key", |claims| claims["sid"] = json!("one"));
    assert_eq!(sessions("key").verify(&own, NOW).unwrap().session.as_deref(), Some("one"));
}

#[test]
fn a_session_that_waited_began_when_its_user_signed_in() {
    let later = NOW.plus(Duration::from_mins(5));
    let (user, token) = sessions("key").begin_late("sid:00", "google", Profile::default(), NOW, later).unwrap();
    assert_eq!(sessions("key").verify(&token, later), Ok(user.clone()));
    assert_eq!(user.check_not_before(Some(NOW)), Err(SessionError::Revoked));
    assert_eq!(user.expires.since(later), Duration::from_secs(3_600) - Duration::from_millis(500));
}

#[test]
fn a14_what_is_forged_stale_or_for_others_is_nobody() {
    let is = |token: &str| sessions("key").verify(token, NOW).map(|user| user.sub);
    let with = |name: &'static str, value: Value| signed("key", move |claims| claims[name] = value);
    let without = |name: &'static str| {
        signed("key", move |claims| {
            claims.as_object_mut().unwrap().remove(name);
        })
    };
    assert_eq!(is(&with("sub", json!("bea"))), Ok("bea".to_owned()));
    let malformed = SessionError::Broken(Broken::Malformed);
    for (token, error) in [
        (signed("other", |_| {}), SessionError::Broken(Broken::Signature)),
        (with("aud", json!("https://b/")), SessionError::Audience),
        (with("aud", json!([])), SessionError::Audience),
        (with("iss", json!("https://a/")), SessionError::Issuer),
        (with("exp", json!(SECOND)), SessionError::Expired),
        (with("exp", json!(-1e300)), SessionError::Expired),
        (with("nbf", json!(SECOND + 120)), SessionError::NotYet),
        (with("iat", json!(SECOND + 120)), SessionError::NotYet),
        (with("sub", json!("")), SessionError::Subject),
        (with("sub", json!("a\nb")), SessionError::Subject),
        (with("sub", json!("a".repeat(256))), SessionError::Subject),
        (with("sub", json!(7)), malformed),
        (with("exp", json!("soon")), malformed),
        (without("exp"), malformed),
        (without("aud"), malformed),
        (without("iss"), malformed),
        (without("sub"), malformed),
        ("a.b.c".to_owned(), malformed),
        ("a".repeat(20_000), malformed),
        (String::new(), malformed),
    ] {
        assert_eq!(is(&token), Err(error), "{token}");
    }
}

#[test]
fn a14_the_algorithm_is_pinned() {
    let good = signed("key", |_| {});
    let [_, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let head = |json: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, json);
    for (header, signature) in [
        (r#"{"alg":"none"}"#, ""),
        (r#"{"alg":"none"}"#, signature),
        (r#"{"alg":"HS512","typ":"JWT"}"#, signature),
        (r#"{"alg":"RS256","typ":"JWT"}"#, signature),
    ] {
        let token = format!("{}.{claims}.{signature}", head(header));
        let refused = sessions("key").verify(&token, NOW).unwrap_err();
        assert!(matches!(refused, SessionError::Broken(Broken::Algorithm | Broken::Malformed)), "{header}: {refused}");
    }
}

#[test]
fn revoking_meets_what_began_before() {
    let sessions = sessions("key");
    let (user, _) = sessions.begin("sid:00", "google", Profile::default(), NOW).unwrap();
    assert_eq!(user.check_not_before(None), Ok(()));
    assert_eq!(user.check_not_before(Some(NOW)), Err(SessionError::Revoked));
    assert_eq!(user.check_not_before(Some(Timestamp::from_millis(NOW.millis() - 1))), Ok(()));
}
