//! Which templates are with the gateway, as long as it matters: the rule of five equal answers holds for each template
//! alone (contract.md), and an answer names only its target.
//!
//! Kept in sets, one for each template of a page, and only until the template is known to have been delivered once: from
//! then on nothing condemns it. So while a broadcast goes well, nothing is kept.

use parking_lot::Mutex;

use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::model::template::TemplateId;

/// Targets with the gateway, by template.
#[derive(Debug, Default)]
pub(super) struct HandedTemplates(Mutex<Vec<(ChunkNo, TemplateId, ChunkSet)>>);

impl HandedTemplates {
    /// These are about to be handed over.
    pub(super) fn note(&self, chunk: ChunkNo, template: TemplateId, set: ChunkSet) {
        self.0.lock().push((chunk, template, set));
    }

    /// A target was answered and not delivered; answers its template.
    pub(super) fn answered(&self, seq: Seq) -> Option<TemplateId> {
        let mut handed = self.0.lock();
        let holds =
            |(chunk, _, set): &(ChunkNo, TemplateId, ChunkSet)| *chunk == seq.chunk() && set.contains(seq.offset());
        let at = handed.iter().position(holds)?;
        let (_, template, set) = &mut handed[at];
        let template = *template;
        set.remove(seq.offset());
        if set.is_empty() {
            handed.swap_remove(at);
        }
        Some(template)
    }

    /// These were delivered; answers the templates of which that was not known, and forgets them.
    pub(super) fn delivered(&self, chunk: ChunkNo, delivered: &ChunkSet) -> Vec<TemplateId> {
        let mut handed = self.0.lock();
        let news = handed.iter().filter(|(no, _, set)| *no == chunk && !set.and(delivered).is_empty());
        let news: Vec<TemplateId> = news.map(|(_, template, _)| *template).collect();
        handed.retain(|(_, template, _)| !news.contains(template));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_known_until_it_was_delivered() {
        let handed = HandedTemplates::default();
        let (chunk, a, b) = (ChunkNo(2), TemplateId(1), TemplateId(2));
        handed.note(chunk, a, (0..10).collect());
        handed.note(chunk, b, (10..12).collect());
        handed.note(ChunkNo(3), a, (0..4).collect());
        assert_eq!(handed.answered(Seq::at(chunk, 10)), Some(b));
        assert_eq!(handed.answered(Seq::at(chunk, 10)), None, "answered already");
        assert_eq!(handed.delivered(chunk, &(8..10).collect()), [a]);
        assert_eq!(handed.answered(Seq::at(chunk, 0)), None);
        assert_eq!(handed.answered(Seq::at(chunk, 11)), Some(b));
        assert!(handed.0.lock().is_empty());
    }
}
