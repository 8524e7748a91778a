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
