//! How long what is over is kept.

use std::time::Duration;

/// How long finished broadcasts are kept (`[retention]`).
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Broadcasts with set rows, counted from their end.
    pub large: Duration,
    /// Broadcasts that were planned inline.
    pub small: Duration,
    /// What all of them may take together, in bytes; beyond it the oldest go before their time. `None` is no bound.
    pub most: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { large: Duration::from_secs(30 * 86_400), small: Duration::from_secs(86_400), most: None }
    }
}

/// How often all that are kept are added up: a look goes over an index entry of each.
pub(in crate::store) const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What a row takes besides its sets and texts, in bytes: its other columns and its index entries, about.
pub(in crate::store) const ROW_BYTES: u32 = 128;

/// The oldest of `kept`, each with what it takes, until they free so much.
pub(in crate::store) fn oldest<T>(kept: impl IntoIterator<Item = (T, u64)>, over: u64) -> (Vec<T>, u64) {
    let mut freed = 0;
    let mut ids = Vec::new();
    for (id, bytes) in kept {
        if freed >= over {
            break;
        }
        freed += bytes;
        ids.push(id);
    }
    (ids, freed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_go_than_must() {
        let kept = [("a", 5), ("b", 10), ("c", 1)];
        assert_eq!(oldest(kept, 0), (vec![], 0));
        assert_eq!(oldest(kept, 5), (vec!["a"], 5));
        assert_eq!(oldest(kept, 6), (vec!["a", "b"], 15));
        assert_eq!(oldest(kept, 100), (vec!["a", "b", "c"], 16));
    }
}
