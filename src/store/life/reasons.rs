//! The reasons of one broadcast, numbered: a set of an outcome carries the number, the text is written once.

use crate::model::outcome::{REASONS_PER_BROADCAST, reason};
use crate::model::verdict::Reason;

/// Texts by number: the first has number 1, and 0 is no reason. At most [`REASONS_PER_BROADCAST`] of their own, then
/// one more, `other`, for the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Reasons {
    texts: Vec<String>,
    /// How many of them the table holds.
    stored: usize,
}

impl Reasons {
    /// Those of an inline plan, in the order of their numbers.
    pub(in crate::store) fn of(texts: Vec<String>) -> Self {
        Self { texts, stored: 0 }
    }

    /// Those that the table holds, in the order of their numbers.
    pub(in crate::store) fn stored(texts: Vec<String>) -> Self {
        Self { stored: texts.len(), texts }
    }

    /// Those that the table does not hold yet, with their numbers.
    pub(in crate::store) fn unsaved(&self) -> impl Iterator<Item = (u8, &str)> {
        (1u8..=u8::MAX).zip(&self.texts).skip(self.stored).map(|(number, text)| (number, text.as_str()))
    }

    /// The number of a reason, a new one if need be.
    pub(in crate::store) fn number(&mut self, reason: Option<&Reason>) -> u8 {
        let Some(reason) = reason else { return 0 };
        let at = self.position(reason.as_str()).unwrap_or_else(|| {
            if self.texts.len() < REASONS_PER_BROADCAST {
                self.texts.push(reason.as_str().to_owned());
                self.texts.len() - 1
            } else {
                self.position(reason::OTHER.as_str()).unwrap_or_else(|| {
                    self.texts.push(reason::OTHER.as_str().to_owned());
                    self.texts.len() - 1
                })
            }
        });
        u8::try_from(at + 1).unwrap_or(u8::MAX)
    }

    /// The text of a number; `None` for 0.
    pub(in crate::store) fn text(&self, number: u8) -> Option<&str> {
        usize::from(number).checked_sub(1).and_then(|at| self.texts.get(at)).map(String::as_str)
    }

    /// In the order of their numbers.
    pub(in crate::store) fn texts(&self) -> &[String] {
        &self.texts
    }

    fn position(&self, text: &str) -> Option<usize> {
        self.texts.iter().position(|known| known == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_65th_reason_and_all_after_it_are_other() {
        let mut reasons = Reasons::default();
        assert_eq!(reasons.number(None), 0);
        let numbers: Vec<u8> = (0..70).map(|n| reasons.number(Some(&Reason::foreign(&format!("r{n}"))))).collect();
        assert_eq!(numbers[..64], (1..=64).collect::<Vec<u8>>());
        assert!(numbers[64..].iter().all(|number| reasons.text(*number) == Some("other")));
        assert_eq!(reasons.number(Some(&Reason::known("r3"))), 4);
        assert_eq!((reasons.text(0), reasons.texts().len()), (None, 65));
    }
}
