//! A broadcast of a run: what was asked for, what the service promised, and what became of it.
use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{
    client::Standing,
    devices::{Devices, Platform},
    gateways::Receipts,
    oracle::{Evidence, Judgement, Oracle, Predicate},
    stage::message::Message,
};

/// What to send. The title tells it from every other one of its run.
#[derive(Clone, Debug)]
pub struct Letter {
    pub title: String,
    pub audience: String,
    /// The request names this, so that it can be made until it is answered.
    pub key: String,
}

impl Letter {
    pub fn new(title: &str, audience: &str) -> Self {
        let key = format!("{:032x}", fastrand::u128(..));
        Self { title: title.to_owned(), audience: audience.to_owned(), key }
    }

    fn message(&self) -> Message<'_> {
        Message { title: &self.title, text: &self.audience }
    }

    pub fn request(&self, platforms: &[Platform]) -> Value {
        json!({ "audience": self.audience, "payloads": self.message().payloads(platforms) })
    }

    fn body(&self, platform: Platform, standing: &Standing) -> u64 {
        self.message().body(platform, &standing.id, standing.accepted_at.millis())
    }
}

/// One that was acknowledged, at its end.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub letter: Letter,
    pub standing: Standing,
}

/// What each gateway must have seen of these, so that they are told apart.
pub fn bodies(letters: &[Delivered], platforms: &[Platform]) -> HashSet<u64> {
    let of = |one: &Delivered| {
        platforms.iter().map(|platform| one.letter.body(*platform, &one.standing)).collect::<Vec<_>>()
    };
    letters.iter().flat_map(of).collect()
}

impl Delivered {
    /// Owed against received. `all`: the bodies of every broadcast in the gateways' books.
    ///
    /// # Errors
    /// When the audience cannot be read.
    pub fn judge(
        &self,
        oracle: &mut Oracle,
        devices: Devices,
        books: &[(Platform, &Receipts)],
        all: &HashSet<u64>,
    ) -> anyhow::Result<Judgement> {
        let audience = Predicate::parse(devices, &self.letter.audience)?;
        let evidence = books.iter().map(|(platform, receipts)| Evidence {
            platform: *platform,
            receipts,
            body: self.letter.body(*platform, &self.standing),
            others: Some(all),
        });
        Ok(oracle.judge(&audience, &evidence.collect::<Vec<_>>()))
    }

    /// What does not add up between the books of the service and those of the gateways.
    /// `excused`: so many devices may be targeted besides those that are owed.
    pub fn breaches(&self, judgement: &Judgement, excused: u64) -> Vec<String> {
        let Standing { counters, finished_at, state, .. } = &self.standing;
        let mut breaches = Vec::new();
        let mut expect = |holds: bool, breach: String| {
            if !holds {
                breaches.push(format!("`{}`: {breach}", self.letter.title));
            }
        };
        expect(finished_at.is_some(), format!("not over: {state:?}"));
        expect(counters.pending == 0, format!("over with {} pending", counters.pending));
        let sum = counters.pending + counters.finished();
        expect(sum == counters.targeted, format!("outcomes and pending are {sum}, targeted {}", counters.targeted));
        let (owed, received) = (judgement.total.owed, judgement.total.received);
        let (targeted, delivered) = (counters.targeted, counters.delivered);
        expect((owed..=owed + excused).contains(&targeted), format!("targeted {targeted}, owed {owed}"));
        // Each target that was not owed was served all the same.
        let received = received + targeted.saturating_sub(owed);
        expect(delivered == received, format!("delivered {delivered}, received {received}"));
        if !judgement.is_good() {
            expect(false, judgement.to_string());
            judgement.details().into_iter().for_each(|line| expect(false, line));
        }
        breaches
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::oracle::Tally;

    fn delivered(targeted: u64, pending: u64, finished: &str) -> Delivered {
        let counters = format!(
            r#"{{"targeted":{targeted},"pending":{pending},"delivered":{},"rejected":0,"dropped":0,"expired":0,
            "cancelled":0,"skipped":0,"retries":0}}"#,
            targeted - pending
        );
        let text = format!(
            r#"{{"id":"1","state":"completed","accepted_at":"2026-01-01T00:00:00Z","planned_at":null,"started_at":null,
            "finished_at":{finished},"counters":{counters},"platforms":{{}}}}"#
        );
        Delivered { letter: Letter::new("T", "all"), standing: serde_json::from_str(&text).unwrap() }
    }

    fn judged(owed: u64, received: u64) -> Judgement {
        let tally = Tally { owed, received, missing: owed - received, ..Tally::default() };
        Judgement::new(BTreeMap::from([(Platform::Apns, tally)]), BTreeMap::new())
    }

    #[test]
    fn books_that_agree_are_no_breach_and_every_other_is() {
        let over = r#""2026-01-01T00:00:01Z""#;
        let of = |one: &Delivered, judgement: &Judgement, excused| one.breaches(judgement, excused);
        assert!(of(&delivered(5, 0, over), &judged(5, 5), 0).is_empty());
        // Those whose standing is not known may be among the targets, and were served then.
        assert!(of(&delivered(7, 0, over), &judged(5, 5), 2).is_empty());
        assert_eq!(of(&delivered(8, 0, over), &judged(5, 5), 2), ["`T`: targeted 8, owed 5"]);
        assert_eq!(of(&delivered(4, 0, over), &judged(5, 4), 0).first().unwrap(), "`T`: targeted 4, owed 5");
        let lost = of(&delivered(5, 0, over), &judged(5, 4), 0);
        assert_eq!(lost, ["`T`: delivered 5, received 4", "`T`: owed 5 received 4 missing 1 repeated 0"]);
        let open = of(&delivered(5, 1, "null"), &judged(5, 5), 0);
        assert_eq!(open.first().unwrap(), "`T`: not over: Completed");
        assert_eq!(open.get(1).unwrap(), "`T`: over with 1 pending");
    }

    #[test]
    fn letters_have_bodies_of_their_own() {
        let mut other = delivered(1, 0, "null");
        other.letter.title = "U".to_owned();
        assert_eq!(bodies(&[delivered(1, 0, "null"), other], &[Platform::Apns]).len(), 2);
    }
}
