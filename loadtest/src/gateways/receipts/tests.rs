use std::sync::Arc;

use super::*;

fn draft(token: &[u8], id: u8, answer: &Answer) -> Draft {
    Draft {
        token: Token::new(token),
        id: [id; 16],
        status: 0,
        reason: None,
        fate: Fate::Answered,
        body: body_hash(b"{}"),
        collapse: 0,
        full: None,
    }
    .outcome(Fate::Answered, answer)
}

#[test]
fn an_entry_stays_small() {
    assert_eq!(size_of::<Entry>(), 68);
}

#[tokio::test]
async fn missing_and_repeated_count_only_what_was_accepted() {
    let receipts = Receipts::default();
    let (ok, gone) = (Answer::accepted(), Answer::refused(410, "Unregistered"));
    receipts.add(&mut vec![
        draft(&[1; 32], 1, &ok),
        draft(&[2; 32], 2, &gone),
        draft(&[1; 32], 1, &ok),
        draft(&[3; 80], 3, &ok),
        draft(&[3; 80], 4, &ok),
        draft(&[4; 32], 5, &ok),
    ]);
    assert_eq!((receipts.len(), receipts.accepted(), receipts.count_reason("Unregistered")), (6, 5, 1));
    let tokens = [Token::new(&[1; 32]), Token::new(&[2; 32]), Token::new(&[3; 80]), Token::new(&[9; 32])];
    assert_eq!(receipts.missing(&tokens), [&tokens[1], &tokens[3]]);
    assert_eq!(
        receipts.repeated(),
        [
            Repeat { token: tokens[0].clone(), times: 2, same_id: true },
            Repeat { token: tokens[2].clone(), times: 2, same_id: false },
        ]
    );
    assert_eq!(receipts.of(&tokens[2]).iter().map(|receipt| receipt.order).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(receipts.page(1, 1)[0].reason.as_deref(), Some("Unregistered"));
    assert_eq!(receipts.page(1, 1)[0].body, body_hash(b"{}"));
    receipts.clear();
    assert!(receipts.is_empty());
}

#[tokio::test]
async fn waiting_ends_when_enough_have_come() {
    let receipts = Arc::new(Receipts::default());
    let waiting = tokio::spawn({
        let receipts = Arc::clone(&receipts);
        async move { receipts.wait_for(2).await }
    });
    receipts.add(&mut vec![draft(&[1; 32], 1, &Answer::accepted())]);
    receipts.add(&mut vec![draft(&[2; 32], 2, &Answer::accepted())]);
    waiting.await.unwrap();
}
