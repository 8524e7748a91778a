//! A step of an export: one page of registrations as lines that an import reads. Memory holds one page, however many
//! there are.

use super::run::{Running, Stopped, append};
use crate::model::audience::Audience;
use crate::model::id::Seq;
use crate::model::registration;
use crate::model::target::AudienceKind;
use crate::store::{JobStep, RegistrationQuery};

/// Registrations of a step.
const PAGE: usize = 250;

pub(super) async fn step(running: &mut Running) -> Result<JobStep, Stopped> {
    let store = running.app.store.clone();
    if running.state.rest.total == 0 {
        let mut total = 0;
        for kind in [AudienceKind::Native, AudienceKind::Template] {
            total += store.count(running.hub, &Audience::Everyone, kind).await?.values().sum::<u64>();
        }
        running.state.rest.total = total;
    }
    let from = Seq(running.state.rest.cursor);
    let page = store.registrations(running.hub, RegistrationQuery::All, from, PAGE).await?;
    let mut text = String::with_capacity(page.items.len() * 512);
    for item in &page.items {
        text.push_str(&registration::line(&item.registration, item.etag));
        text.push('\n');
    }
    let mut step = JobStep::default();
    append(&mut step, &mut running.state.rest.output, text.as_bytes());
    running.state.rest.done += page.items.len() as u64;
    match page.next {
        Some(next) => running.state.rest.cursor = next.0,
        None => running.finish_work(&mut step),
    }
    Ok(step)
}
