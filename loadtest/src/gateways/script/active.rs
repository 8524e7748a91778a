//! What a script decides, request by request and connection by connection.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    super::{answer::Answer, token::Token},
    Act, Draw, Latency, Quota, Script, When,
};

/// A script at work: its counters, shared by all connections of one service.
#[derive(Debug)]
pub(crate) struct ActiveScript {
    pub(crate) script: Script,
    requests: AtomicU64,
    rule_uses: Vec<AtomicU64>,
    event_uses: Vec<AtomicU64>,
    total_weight: u64,
    /// When the quota's span began, and how many requests it has had.
    span: Mutex<Option<(Instant, u64)>>,
    pub(crate) accepted: Arc<Answer>,
}

impl ActiveScript {
    pub(crate) fn new(mut script: Script) -> Self {
        script.events.sort_by_key(|event| event.after);
        Self {
            requests: AtomicU64::new(0),
            rule_uses: script.rules.iter().map(|_| AtomicU64::new(0)).collect(),
            event_uses: script.events.iter().map(|_| AtomicU64::new(0)).collect(),
            total_weight: script.mix.iter().map(|share| u64::from(share.weight)).sum(),
            span: Mutex::new(None),
            accepted: Arc::new(Answer::accepted()),
            script,
        }
    }

    /// The act for the next request; `None` is the plain 200. Also the milliseconds of latency.
    pub(crate) fn decide(&self, token: &Token) -> (Option<&Act>, u64) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let latency = match self.script.latency_ms {
            Latency::Fixed(millis) => millis,
            Latency::Range { min, max } => {
                min + spread(self.script.seed ^ 0x1a7e ^ number) % (max.saturating_sub(min).saturating_add(1))
            }
        };
        if let Some(quota) = &self.script.quota
            && !self.within(quota, Instant::now())
        {
            return (Some(&quota.beyond), latency);
        }
        let ruled =
            self.script.rules.iter().zip(&self.rule_uses).find(|(rule, uses)| {
                rule.when.matches(number, token) && rule.times.is_none_or(|times| take(uses, times))
            });
        let act = ruled.map(|(rule, _)| &rule.act).or_else(|| self.drawn(number, token));
        (act, latency)
    }

    /// Takes one of the quota, if there is one left.
    fn within(&self, quota: &Quota, now: Instant) -> bool {
        let mut span = self.span.lock();
        let used = match &mut *span {
            Some((began, used)) if now < *began + Duration::from_millis(quota.per_ms) => used,
            ended => &mut ended.insert((now, 0)).1,
        };
        let within = *used < quota.requests;
        *used += u64::from(within);
        within
    }

    fn drawn(&self, number: u64, token: &Token) -> Option<&Act> {
        if self.total_weight == 0 {
            return None;
        }
        let by = match self.script.draw {
            Draw::Request => number,
            Draw::Token => xxhash_rust::xxh3::xxh3_64(token.as_bytes()),
        };
        let mut at = spread(self.script.seed ^ by) % self.total_weight;
        self.script.mix.iter().find_map(|share| {
            let weight = u64::from(share.weight);
            if at < weight {
                return Some(&share.act);
            }
            at -= weight;
            None
        })
    }

    /// Whether event `at` may happen once more.
    pub(crate) fn take_event(&self, at: usize) -> bool {
        let Some(event) = self.script.events.get(at) else { return false };
        event.times.is_none_or(|times| self.event_uses.get(at).is_some_and(|uses| take(uses, times)))
    }
}

fn take(uses: &AtomicU64, times: u64) -> bool {
    uses.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| (used < times).then_some(used + 1)).is_ok()
}

/// A number to bits that look drawn (the finaliser of splitmix64).
fn spread(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

impl When {
    fn matches(&self, number: u64, token: &Token) -> bool {
        self.nth.is_none_or(|nth| nth == number)
            && self.every.is_none_or(|every| every != 0 && number.is_multiple_of(every))
            && self.up_to.is_none_or(|up_to| number <= up_to)
            && self.token_prefix.as_ref().is_none_or(|prefix| begins_with(token.as_bytes(), prefix.as_bytes()))
    }
}

/// Whether `digits`, hex, are what `token` begins with; an odd number of them ends in half a byte.
fn begins_with(token: &[u8], digits: &[u8]) -> bool {
    let nibbles = token.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let wanted = digits.iter().map(|digit| char::from(*digit).to_digit(16));
    digits.len() <= token.len() * 2 && nibbles.zip(wanted).all(|(has, wants)| wants == Some(u32::from(has)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_rule_decides_until_it_is_spent() {
        let script = Script::new()
            .rule_times(1, When { every: Some(2), ..When::default() }, Act::refuse(500, "InternalServerError"))
            .token("ab1", Act::refuse(410, "Unregistered"));
        let active = ActiveScript::new(script);
        let (dead, alive) = (Token::new(&[0xab, 0x1f]), Token::new(&[0xab, 0x2f]));
        let status = |token| match active.decide(token).0 {
            None => 200,
            Some(Act::Answer(answer)) => answer.status,
            Some(_) => 0,
        };
        assert_eq!([&alive, &dead, &dead, &alive].map(status), [200, 500, 410, 200]);
    }

    #[test]
    fn a_quota_is_kept_in_each_span_and_goes_before_all_rules() {
        let beyond = Act::refuse(429, "QUOTA_EXCEEDED");
        let active = ActiveScript::new(Script::new().quota(3, beyond.clone()).always(Act::refuse(404, "X")));
        let (quota, start) = (active.script.quota.as_ref().unwrap(), Instant::now());
        for begin in [0_u64, 1_000, 2_500] {
            let within = |late| active.within(quota, start + Duration::from_millis(begin + late));
            assert_eq!((0..5).filter(|n: &u64| within(n * 150)).count(), 3);
        }
        // Now lies before the end of the last span, which is used up.
        assert_eq!(active.decide(&Token::new(&[1])).0, Some(&beyond));
    }

    #[test]
    fn a_mix_is_drawn_by_weight_and_by_token_for_good() {
        let mut script = Script::new().share(90, Act::Answer(Answer::accepted())).share(10, Act::refuse(410, "X"));
        script.draw = Draw::Token;
        let active = ActiveScript::new(script);
        let draw = |n: u32| active.decide(&Token::new(&n.to_be_bytes())).0.cloned();
        let first: Vec<_> = (0..10_000).map(draw).collect();
        let refused = first.iter().filter(|act| **act == Some(Act::refuse(410, "X"))).count();
        assert!((900..1100).contains(&refused), "{refused}");
        assert_eq!((0..10_000).map(draw).collect::<Vec<_>>(), first);
    }
}
