//! The reasons of one broadcast, numbered: a set of an outcome carries the number, the text is written once.

use rusqlite::{Connection, params};

use crate::model::id::BroadcastId;
use crate::model::outcome::{REASONS_PER_BROADCAST, reason};
use crate::model::verdict::Reason;
use crate::store::Result;

/// Texts by number: the first has number 1, and 0 is no reason. At most [`REASONS_PER_BROADCAST`] of their own, then
/// one more, `other`, for the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reasons {
    texts: Vec<String>,
    /// How many of them the table holds.
    stored: usize,
}

impl Reasons {
    /// Those of an inline plan, in the order of their numbers.
    pub(super) fn of(texts: Vec<String>) -> Self {
        Self { texts, stored: 0 }
    }

    /// Those that the table holds.
    pub(super) fn load(connection: &Connection, broadcast: BroadcastId) -> Result<Self> {
        let mut query = connection.prepare_cached("SELECT text FROM reason WHERE broadcast = ? ORDER BY number")?;
        let texts = query.query_map([broadcast.as_bytes()], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        Ok(Self { stored: texts.len(), texts })
    }

    /// Writes those that the table does not hold yet.
    pub(super) fn save(&self, tx: &Connection, broadcast: BroadcastId) -> Result<()> {
        let mut insert = tx.prepare_cached("INSERT INTO reason (broadcast, number, text) VALUES (?, ?, ?)")?;
        for (number, text) in (1i64..).zip(&self.texts).skip(self.stored) {
            insert.execute(params![broadcast.as_bytes(), number, text])?;
        }
        Ok(())
    }

    /// The number of a reason, a new one if need be.
    pub(super) fn number(&mut self, reason: Option<&Reason>) -> u8 {
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
    pub(super) fn text(&self, number: u8) -> Option<&str> {
        usize::from(number).checked_sub(1).and_then(|at| self.texts.get(at)).map(String::as_str)
    }

    /// In the order of their numbers.
    pub(super) fn texts(&self) -> &[String] {
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
