//! An audience over generated devices: what the service answers from its index, computed from the number alone.
//!
//! The text is read by the service's own parser (its grammar has tests of its own); the meaning is evaluated here, by
//! plain recursion over the tree, and shares nothing with the service's evaluation by sets.
use fanfare::model::audience::{Audience, AudienceError, AudienceLimits, Expr, Term};

use crate::devices::{CITIES, Devices, LANGUAGES, Traits};

/// A compiled audience.
#[derive(Debug)]
pub struct Predicate {
    devices: Devices,
    root: Node,
}

#[derive(Debug)]
enum Node {
    Test(Test),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// What one term asks of a device.
#[derive(Debug, PartialEq, Eq)]
enum Test {
    Everyone,
    City(u8),
    Team(u8),
    Language(u8),
    News(bool),
    Muted(bool),
    Gold(bool),
    /// The device of this number.
    Device(u64),
    /// One of the devices of this user's number.
    User(u64),
    Installation(uuid::Uuid),
    /// No generated device has it.
    Nobody,
}

impl Predicate {
    /// # Errors
    /// The text is no tag expression.
    pub fn parse(devices: Devices, audience: &str) -> Result<Self, AudienceError> {
        let root = match Audience::parse(audience, &AudienceLimits::default())? {
            Audience::Everyone => Node::Test(Test::Everyone),
            Audience::Expr(expr) => Node::of(&expr),
        };
        Ok(Self { devices, root })
    }

    /// Whether device `n` is in the audience.
    pub fn holds(&self, n: u64) -> bool {
        self.root.holds(&self.devices, n, &self.devices.traits(n))
    }
}

impl Node {
    fn of(expr: &Expr) -> Self {
        match expr {
            Expr::Term(term) => Self::Test(Test::of(term)),
            Expr::Not(inner) => Self::Not(Box::new(Self::of(inner))),
            Expr::And(members) => Self::All(members.iter().map(Self::of).collect()),
            Expr::Or(members) => Self::Any(members.iter().map(Self::of).collect()),
        }
    }

    fn holds(&self, devices: &Devices, n: u64, traits: &Traits) -> bool {
        match self {
            Self::Test(test) => test.holds(devices, n, traits),
            Self::Not(inner) => !inner.holds(devices, n, traits),
            Self::All(members) => members.iter().all(|member| member.holds(devices, n, traits)),
            Self::Any(members) => members.iter().any(|member| member.holds(devices, n, traits)),
        }
    }
}

impl Test {
    fn of(term: &Term) -> Self {
        match term {
            Term::Tag(tag) => Self::of_tag(tag.as_str()),
            Term::User(user) => number(user, "user-").map_or(Self::Nobody, Self::User),
            Term::Installation(id) => {
                // Ids are compared as texts by the service, and generated ones are written in this form alone.
                let read = uuid::Uuid::try_parse(id).ok().filter(|read| read.to_string() == **id);
                read.map_or(Self::Nobody, Self::Installation)
            }
        }
    }

    fn of_tag(tag: &str) -> Self {
        let named = |prefix: &str, list: &[&str]| {
            let name = tag.strip_prefix(prefix)?;
            u8::try_from(list.iter().position(|known| *known == name)?).ok()
        };
        let word = match tag {
            "all" => Some(Self::Everyone),
            "news" | "digest" => Some(Self::News(tag == "news")),
            "muted" | "sound" => Some(Self::Muted(tag == "muted")),
            "plan:gold" | "plan:free" => Some(Self::Gold(tag == "plan:gold")),
            _ => None,
        };
        word.or_else(|| named("city:", &CITIES).map(Self::City))
            .or_else(|| named("lang:", &LANGUAGES).map(Self::Language))
            .or_else(|| number(tag, "team:").and_then(|team| u8::try_from(team).ok()).map(Self::Team))
            .or_else(|| number(tag, "u:").map(Self::Device))
            .unwrap_or(Self::Nobody)
    }

    fn holds(&self, devices: &Devices, n: u64, traits: &Traits) -> bool {
        match self {
            Self::Everyone => true,
            Self::City(city) => traits.city == *city,
            Self::Team(team) => traits.team == *team,
            Self::Language(language) => traits.language == *language,
            Self::News(news) => traits.news == *news,
            Self::Muted(muted) => traits.muted == *muted,
            Self::Gold(gold) => traits.gold == *gold,
            Self::Device(only) => n == *only,
            Self::User(user) => n / 2 == *user,
            Self::Installation(id) => devices.id(n) == *id,
            Self::Nobody => false,
        }
    }
}

/// The number behind the prefix, when it is written as the generator writes it.
fn number(text: &str, prefix: &str) -> Option<u64> {
    let digits = text.strip_prefix(prefix)?;
    digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// By the tags as they are written, not by traits.
    fn by_text(devices: Devices, has: impl Fn(&BTreeSet<String>) -> bool) -> Vec<u64> {
        let tags = |n: u64| -> BTreeSet<String> {
            let shared = devices.traits(n).shared_tags().map(|tag| tag.to_string());
            shared.into_iter().chain([format!("u:{n}")]).collect()
        };
        (0..3_000).filter(|n| has(&tags(*n))).collect()
    }

    #[test]
    fn an_expression_means_what_the_tags_say() {
        let devices = Devices::new(9);
        let holding = |text: &str| -> Vec<u64> {
            let predicate = Predicate::parse(devices, text).unwrap();
            (0..3_000).filter(|n| predicate.holds(*n)).collect()
        };
        assert_eq!(holding("").len(), 3_000);
        assert_eq!(holding("all && unheard"), [0_u64; 0]);
        assert_eq!(holding("news && !muted"), by_text(devices, |t| t.contains("news") && !t.contains("muted")));
        assert_eq!(
            holding("(city:lisbon || team:7) && !(lang:en || plan:gold) || u:17"),
            by_text(devices, |t| {
                let place = t.contains("city:lisbon") || t.contains("team:7");
                place && !t.contains("lang:en") && !t.contains("plan:gold") || t.contains("u:17")
            })
        );
        assert_eq!(holding("digest && sound"), by_text(devices, |t| t.contains("digest") && t.contains("sound")));
        assert_eq!(holding("$UserId:{user-4}"), [8, 9]);
        assert_eq!(holding(&format!("$InstallationId:{{{}}}", devices.id(6))), [6]);
        assert_eq!(holding("u:07 || u:7x || team:300"), [0_u64; 0]);
        assert!(Predicate::parse(devices, "news &&").is_err());
    }
}
