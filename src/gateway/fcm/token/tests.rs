//! The life of access tokens against an endpoint that answers by script.

use std::collections::VecDeque;

use super::*;
use crate::clock::ManualClock;
use crate::gateway::Batch;
use crate::gateway::fcm::tests::account;
use crate::model::time::Timestamp;

#[derive(Debug)]
struct Scripted(Arc<Mutex<VecDeque<(u16, String)>>>);

#[async_trait::async_trait]
impl Transport for Scripted {
    async fn submit_all(&self, _: Vec<Batch>) {}

    async fn exchange(&self, request: Arc<SharedRequest>, _: Vec<u8>) -> Result<OwnedAnswer, String> {
        assert!(request.body.starts_with(b"grant_type=urn%3Aietf"));
        let (status, body) = self.0.lock().pop_front().ok_or("unreachable")?;
        Ok(OwnedAnswer { status, retry_after: None, date: None, body: body.into(), authorization: 0 })
    }

    async fn close(&self, _: Duration) {}
}

fn granted(token: &str) -> (u16, String) {
    (200, format!(r#"{{"access_token":"{token}","expires_in":3599,"token_type":"Bearer"}}"#))
}

fn tokens(answers: impl IntoIterator<Item = (u16, String)>) -> (Tokens, Arc<ManualClock>) {
    let clock = ManualClock::starting_at(Timestamp::from_millis(1_792_567_680_000));
    let script = Arc::new(Mutex::new(answers.into_iter().collect()));
    (Tokens::new(account(), Box::new(Scripted(script)), clock.clone()), clock)
}

fn sent(tokens: &Tokens) -> Option<String> {
    tokens.current().map(|held| String::from_utf8(held.value.to_vec()).unwrap())
}

#[tokio::test]
async fn a_token_is_replaced_early_and_the_old_one_serves_while_that_fails() {
    let (tokens, clock) = tokens([granted("one"), (503, String::new()), granted("two")]);
    tokens.ready().await.unwrap();
    clock.advance(Duration::from_mins(50));
    tokens.ready().await.unwrap();
    assert_eq!(sent(&tokens).as_deref(), Some("Bearer one"));
    clock.advance(Duration::from_mins(6));
    assert_eq!(tokens.ready().await, Ok(()));
    assert_eq!(sent(&tokens).as_deref(), Some("Bearer one"));
    clock.advance(LEAST_PAUSE * 2);
    tokens.ready().await.unwrap();
    assert_eq!(sent(&tokens).as_deref(), Some("Bearer two"));
}

#[tokio::test]
async fn a_refusal_says_why_and_nobody_asks_again_at_once() {
    let (tokens, clock) = tokens([(400, r#"{"error":"invalid_grant"}"#.to_owned()), granted("one")]);
    let refused = Err(Trouble::Refused(Reason::foreign("invalid_grant")));
    assert_eq!(tokens.ready().await, refused);
    assert_eq!(tokens.ready().await, refused);
    clock.advance(LEAST_PAUSE * 2);
    assert_eq!(tokens.ready().await, Ok(()));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let (tokens, _) = tokens([granted("one"), granted("two")]);
    tokens.ready().await.unwrap();
    assert_eq!(tokens.refused(1), Renewal::Awaited);
    assert_eq!(tokens.current(), None);
    tokens.ready().await.unwrap();
    assert!(matches!(tokens.refused(1), Renewal::Renewed(newer) if newer.number == 2));
    assert_eq!(tokens.refused(2), Renewal::Hopeless);
}
