//! The templates that this process sends: read from the store when first needed, compiled once, and kept as long as there
//! is room. A number's content never changes, so what is kept is never wrong.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::model::id::HubId;
use crate::model::template::{Compiled, Mode, TemplateContent, TemplateId};
use crate::model::verdict::Reason;
use crate::store::{Result, Store};

/// Bytes of content that one generation may have; two are kept.
const GENERATION: usize = 16 << 20;
/// What a small one takes at least.
const LEAST: usize = 512;

/// Templates of one page by their number.
pub(super) type Known = HashMap<TemplateId, Arc<Stencil>, RandomState>;

/// A template as a worker has it: ready, or why it can never be sent. Content that was registered before templates were
/// looked at may be none.
pub(super) type Stencil = std::result::Result<Compiled, Reason>;

/// All that are kept.
#[derive(Debug, Default)]
pub(super) struct Templates(Mutex<Generations>);

type Kept = HashMap<(HubId, TemplateId), Arc<Stencil>, RandomState>;

/// Those that were used lately, and those that were used before them: what is full of new ones becomes the older half,
/// whose unused rest goes with the next.
#[derive(Debug, Default)]
struct Generations {
    young: Kept,
    young_bytes: usize,
    old: Kept,
}

impl Generations {
    fn get(&mut self, key: (HubId, TemplateId)) -> Option<Arc<Stencil>> {
        if let Some(stencil) = self.young.get(&key) {
            return Some(stencil.clone());
        }
        let stencil = self.old.remove(&key)?;
        self.insert(key, stencil.clone());
        Some(stencil)
    }

    fn insert(&mut self, key: (HubId, TemplateId), stencil: Arc<Stencil>) {
        let size = stencil.as_ref().as_ref().map_or(0, Compiled::size).max(LEAST);
        if self.young_bytes + size > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(key, stencil).is_none() {
            self.young_bytes += size;
        }
    }
}

impl Templates {
    /// Those of a hub that are there, by their number.
    pub(super) async fn of(&self, store: &dyn Store, hub: HubId, ids: &[TemplateId]) -> Result<Known> {
        let mut known = Known::default();
        let mut missing = Vec::new();
        {
            let mut kept = self.0.lock();
            for id in ids {
                match kept.get((hub, *id)) {
                    Some(stencil) => drop(known.insert(*id, stencil)),
                    None => missing.push(*id),
                }
            }
        }
        if !missing.is_empty() {
            for (id, content) in store.templates(hub, &missing).await? {
                let stencil = Arc::new(compile(&content));
                self.0.lock().insert((hub, id), stencil.clone());
                known.insert(id, stencil);
            }
        }
        Ok(known)
    }
}

fn compile(content: &TemplateContent) -> Stencil {
    let broken = |error: crate::model::field::FieldError| Reason::foreign(&error.within("template").to_string());
    Compiled::new(content, Mode::Lenient).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_what_is_used_stays() {
        let mut kept = Generations::default();
        let stencil = || Arc::new(Err(Reason::known("none")));
        let key = |n: u64| (HubId(1), TemplateId(n));
        let in_one = GENERATION / LEAST;
        for n in 1..=3 * in_one as u64 {
            kept.insert(key(n), stencil());
            if n == 1 {
                kept.insert(key(0), stencil());
            }
            assert!(kept.get(key(0)).is_some(), "used all the time");
        }
        assert!(kept.young.len() + kept.old.len() <= 2 * in_one);
        assert!(kept.get(key(1)).is_none(), "used once, long ago");
    }
}
