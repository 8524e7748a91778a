//! Which targets of a page get the same request.
//!
//! Native: all of them. Of a template broadcast those that share a template, which is rendered and prepared once for all
//! shards of the broadcast here; no device costs a rendering or an allocation of its own.
//!
//! A device makes a difference only where its template reads something that the message does not give, and the device has a
//! push variable of that name. Such targets are grouped by the variables that their template reads: the price is one
//! rendering and one batch for each different set of values on a page, never more than a page has rows, and nothing of it
//! is kept after the page.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::feed::{Left, Order};
use super::ledger::Pick;
use crate::clock::BootInstant;
use crate::fanout::Worker;
use crate::fanout::templates::{Known, Stencil};
use crate::gateway::SharedRequest;
use crate::model::channel::Channel;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::model::outcome::{Outcome, reason};
use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::model::template::{Properties, TemplateId, Values};
use crate::model::verdict::Reason;
use crate::store::{Result, TargetRow, TargetRows};

/// What is sent.
#[derive(Clone)]
pub(super) enum Message {
    /// One request for all.
    Native(Arc<SharedRequest>),
    /// What each target's template makes of these.
    Template(Arc<Properties>),
}

/// Targets of one request.
pub(super) struct Parcel<'a> {
    pub request: Arc<SharedRequest>,
    pub template: Option<TemplateId>,
    pub targets: Vec<(Seq, &'a [u8])>,
}

/// How old rows may be that are sent by (design.md 3.9).
const ROWS_LAST: Duration = Duration::from_secs(1);

/// Rows of one chunk that may be sent to, and the templates that they name: those of a pick, and some that follow it,
/// because asking the store costs more than a row does.
pub(super) struct Page {
    pub rows: TargetRows,
    known: Known,
    chunk: ChunkNo,
    set: ChunkSet,
    /// When the rows are too old to be sent by.
    until: BootInstant,
}

impl Page {
    /// Reads a page. Rows that name no template, or one that is not there, are told it first.
    pub(super) async fn read(worker: &Worker, order: &Order, chunk: ChunkNo, set: ChunkSet) -> Result<Self> {
        let until = worker.clock.boot().plus(ROWS_LAST);
        let rows = match order.content.content.handles() {
            Some(handles) => bare(handles, order.platform, chunk, &set),
            None => worker.store.read_rows(order.hub, chunk, &set, order.user_bound).await?,
        };
        if matches!(order.message, Message::Native(_)) {
            return Ok(Self { rows, known: Known::default(), chunk, set, until });
        }
        let (named, all_name_one) = ids(&rows);
        let known = worker.templates.of(&*worker.store, order.hub, &named).await?;
        let all_are_known = all_name_one && known.len() == named.len();
        let page = Self { rows, known, chunk, set, until };
        if all_are_known {
            return Ok(page);
        }
        let strays = page.strays();
        worker.store.relink_templates(order.hub, chunk, &strays).await?;
        let rows = worker.store.read_rows(order.hub, chunk, &page.set, order.user_bound).await?;
        let known = worker.templates.of(&*worker.store, order.hub, &ids(&rows).0).await?;
        Ok(Self { rows, known, ..page })
    }

    /// Whether it has all rows of a pick, and they may still be sent by.
    pub(super) fn serves(&self, pick: &Pick, now: BootInstant) -> bool {
        self.chunk == pick.chunk && now < self.until && pick.set.and_not(&self.set).is_empty()
    }

    /// Whether rows of it are still to be picked after these.
    pub(super) fn outlasts(&self, pick: &ChunkSet) -> bool {
        self.set.last() > pick.last()
    }

    fn strays(&self) -> ChunkSet {
        let is_known = |row: &TargetRow| row.template.is_some_and(|id| self.known.contains_key(&id));
        let strays = self.rows.iter().filter(|(row, _)| !is_known(row)).map(|(row, _)| row.seq.offset());
        strays.collect()
    }

    /// Puts rows of this page together that get the same request; those that cannot get any have left.
    pub(super) fn parcels<'a>(
        &'a self,
        order: &Order,
        sendable: &[(&'a TargetRow, &'a [u8])],
    ) -> (Vec<Parcel<'a>>, Vec<Left>) {
        match &order.message {
            Message::Native(request) => {
                let targets = sendable.iter().map(|(row, channel)| (row.seq, *channel)).collect();
                (vec![Parcel { request: request.clone(), template: None, targets }], Vec::new())
            }
            Message::Template(properties) => self.by_template(order, properties, sendable),
        }
    }

    fn by_template<'a>(
        &'a self,
        order: &Order,
        properties: &Properties,
        sendable: &[(&'a TargetRow, &'a [u8])],
    ) -> (Vec<Parcel<'a>>, Vec<Left>) {
        let mut groups: Vec<Group<'a>> = Vec::new();
        // What a group gets when they are all of a size, and somewhat more.
        let expected = sendable.len() / self.known.len().max(1) * 5 / 4 + 1;
        let mut known: HashMap<TemplateId, Place<'a>, RandomState> = HashMap::default();
        known.extend(self.known.iter().map(|(id, stencil)| (*id, Place::of(stencil, properties))));
        let mut by_device: HashMap<(TemplateId, &[u8]), usize, RandomState> = HashMap::default();
        let mut strays: Vec<u16> = Vec::new();
        for (row, channel) in sendable {
            let place = row.template.and_then(|id| known.get_mut(&id).map(|place| (id, place)));
            let Some((id, place)) = place else {
                strays.push(row.seq.offset());
                continue;
            };
            let variables = if place.reads_device { self.rows.variables(row) } else { &[] };
            let group = if variables.is_empty() {
                place.group.get_or_insert(groups.len())
            } else {
                by_device.entry((id, variables)).or_insert(groups.len())
            };
            if *group == groups.len() {
                groups.push(Group {
                    template: id,
                    stencil: place.stencil,
                    variables,
                    targets: Vec::with_capacity(expected),
                });
            }
            groups[*group].targets.push((row.seq, channel));
        }
        let mut left = Vec::new();
        if !strays.is_empty() {
            left.push((Outcome::Rejected, reason::NO_TEMPLATE, strays.into_iter().collect()));
        }
        let mut parcels = Vec::with_capacity(groups.len());
        for group in groups {
            match group.request(order, properties) {
                Ok(request) => {
                    parcels.push(Parcel { request, template: Some(group.template), targets: group.targets });
                }
                Err(why) => left.push((Outcome::Rejected, why, group.offsets())),
            }
        }
        (parcels, left)
    }
}

/// Rows of bare handles, which the request itself holds: their seqs are their places in it.
fn bare(handles: &[Channel], platform: Platform, chunk: ChunkNo, set: &ChunkSet) -> TargetRows {
    let mut rows = TargetRows::with_capacity(set.len() as usize);
    for seq in set.iter().map(|offset| Seq::at(chunk, offset)) {
        if let Some(handle) = usize::try_from(seq.0).ok().and_then(|at| handles.get(at)) {
            rows.push(seq, TargetClass::Native, platform, handle.bytes(), None, false);
        }
    }
    rows
}

/// The templates that rows name, each once, and whether every row names one.
fn ids(rows: &TargetRows) -> (Vec<TemplateId>, bool) {
    let mut ids: HashSet<TemplateId, RandomState> = HashSet::default();
    let mut all_name_one = true;
    for (row, _) in rows.iter() {
        match row.template {
            Some(id) => drop(ids.insert(id)),
            None => all_name_one = false,
        }
    }
    (ids.into_iter().collect(), all_name_one)
}

/// One template of a page.
struct Place<'a> {
    stencil: &'a Stencil,
    /// It reads something that the message does not give.
    reads_device: bool,
    /// The group of those without variables of their own.
    group: Option<usize>,
}

impl<'a> Place<'a> {
    fn of(stencil: &'a Stencil, properties: &Properties) -> Self {
        let reads_device = stencil.as_ref().is_ok_and(|compiled| compiled.reads_beyond(properties));
        Self { stencil, reads_device, group: None }
    }
}

struct Group<'a> {
    template: TemplateId,
    stencil: &'a Stencil,
    variables: &'a [u8],
    targets: Vec<(Seq, &'a [u8])>,
}

impl Group<'_> {
    fn offsets(&self) -> ChunkSet {
        self.targets.iter().map(|(seq, _)| seq.offset()).collect()
    }

    /// The group's request, or why there is none.
    fn request(&self, order: &Order, properties: &Properties) -> Result<Arc<SharedRequest>, Reason> {
        if let Some(why) = order.active.condemned(order.platform, Some(self.template)) {
            return Err(why);
        }
        let compiled = self.stencil.as_ref().map_err(Clone::clone)?;
        let variables = (!self.variables.is_empty()).then(|| Properties::decode(self.variables));
        let values = Values { properties, variables: variables.as_ref() };
        let prepare = || {
            let rendered = compiled.render(&values)?;
            order.gateway.prepare_rendered(order.active.id, &order.content, &rendered, order.expires)
        };
        match variables {
            None => order.active.prepared(&order.gateway, Some(self.template), prepare),
            Some(_) => prepare().map(Arc::new).map_err(|error| Reason::foreign(&error.to_string())),
        }
    }
}
