//! Free streams are filled from the intake.

use std::sync::Arc;

use bytes::Bytes;

use super::Connection;
use super::settling::{Open, Settling};
use crate::clock::BootInstant;
use crate::gateway::SharedRequest;
use crate::gateway::http2::hpack::Indexing;
use crate::gateway::http2::session::{OwnedField, Target, Template};
use crate::gateway::pool::Shared;
use crate::gateway::pool::intake::{Room, reserved};
use crate::gateway::pool::job::{Item, Job};
use crate::gateway::transport::{Addressed, Held};
use crate::model::broadcast::Lane;
use crate::model::time::Timestamp;

/// Requests that are put out before they are written: enough to fill many TLS records, few enough that a raised stop
/// flag is seen soon. While the network is full nothing more is put out, so this is also the most that can leave after a
/// flag was raised.
const AT_ONCE: usize = 512;
/// A batch of fewer targets leaves what only it has in common out of the peer's table: it would push out what many have.
const WORTH_INDEXING: usize = 8;

/// What is needed to write requests.
pub(super) struct Filling {
    shared: Arc<Shared>,
    taken: Vec<Item>,
    addressed: Addressed,
    template: Template,
    /// Whose template it is: batch and authorization.
    of: (u64, u64),
    /// The request whose fields it has, and whether few get it. Not the batch: whoever keeps that keeps its replies open.
    written: Option<(Arc<SharedRequest>, bool)>,
    /// The body that the batch's requests share.
    body: Bytes,
}

impl Filling {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let template = Template { number: 0, fields: Vec::new(), id_field: shared.service.id_field() };
        Self {
            shared,
            taken: Vec::with_capacity(AT_ONCE),
            addressed: Addressed::default(),
            template,
            of: (0, 0),
            written: None,
            body: Bytes::new(),
        }
    }

    /// Brings the template up to date for a batch. Batches that differ in the body alone, as those of a broadcast's
    /// templates do, have it in common: it is not written for each of them.
    fn prepare(&mut self, job: &Job, held: &Held) {
        let of = (job.number, held.number());
        if self.of == of {
            return;
        }
        let same_authorization = self.of.1 == of.1;
        self.of = of;
        self.body = job.batch.request.body.clone();
        let few = job.batch.targets.len() < WORTH_INDEXING;
        let is_alike = |(request, was_few): &(Arc<SharedRequest>, bool)| {
            *was_few == few && request.headers == job.batch.request.headers
        };
        if same_authorization && self.written.as_ref().is_some_and(is_alike) {
            return;
        }
        self.written = Some((Arc::clone(&job.batch.request), few));
        self.template.number += 1;
        self.template.fields.clear();
        if let Some(authorization) = &held.authorization {
            let name = Bytes::from_static(b"authorization");
            let value = authorization.value.clone();
            self.template.fields.push(OwnedField { name, value, indexing: Indexing::Kept });
        }
        for (name, value) in &*job.fields {
            self.template.fields.push(OwnedField {
                name: Bytes::copy_from_slice(name.as_str().as_bytes()),
                value: Bytes::copy_from_slice(value.as_bytes()),
                indexing: if few && value.is_sensitive() { Indexing::Never } else { Indexing::Kept },
            });
        }
    }
}

impl Connection {
    /// Takes targets for the free streams and puts their requests out. Answers whether there were any.
    pub(super) fn fill(&mut self, now: BootInstant) -> bool {
        self.settling.allowed = self.session.limit();
        self.count_streams();
        let waits = self.retired || self.settling.rest_until > now || self.is_slow(now) || self.socket.blocked;
        if waits || !self.session.output().is_empty() {
            return false;
        }
        let Settling { answered, last_answer, allowed, .. } = self.settling;
        let limit = self.settling.window.of(allowed);
        let limit = self.shared.tuning.warm(limit, answered, self.session.open(), now.after(last_answer));
        let free = self.session.room().min(limit.saturating_sub(self.session.open())).min(AT_ONCE);
        if free == 0 {
            return false;
        }
        let bulk = limit.saturating_sub(reserved(limit)).saturating_sub(self.settling.bulk_open);
        let mut taken = std::mem::take(&mut self.filling.taken);
        self.shared.intake.take(Room { any: free, bulk }, now, &mut taken, &mut self.settling.outbox);
        let moved = !taken.is_empty();
        if moved {
            self.begin_all(&mut taken, now);
        }
        self.filling.taken = taken;
        moved
    }

    fn begin_all(&mut self, taken: &mut Vec<Item>, now: BootInstant) {
        self.shared.service.authorize(&mut self.settling.held);
        let wall = self.shared.clock.now();
        if self.session.open() == 0 {
            self.settling.last_answer = now;
        }
        let mut items = taken.drain(..);
        while self.session.room() > 0 {
            let Some(item) = items.next() else { break };
            begin(&mut self.session, &mut self.filling, &mut self.settling, item, now, wall);
        }
        // A body that waits for the peer's window lets no other begin.
        if items.len() > 0 {
            self.shared.intake.give_back(items, &mut self.settling.outbox);
        }
        self.count_streams();
    }

    /// Brings the gauge of open streams up to date.
    fn count_streams(&mut self) {
        if self.settling.ended != 0 {
            self.shared.meter.add_streams(-std::mem::take(&mut self.settling.ended));
        }
    }
}

fn begin(
    session: &mut super::Session<Open>,
    filling: &mut Filling,
    settling: &mut Settling,
    mut item: Item,
    now: BootInstant,
    wall: Timestamp,
) {
    filling.prepare(item.job(), &settling.held);
    let job = item.job();
    let (seq, channel) = item.target();
    filling.addressed.clear();
    filling.shared.service.address(&job.batch.request, seq, channel, &mut filling.addressed);
    let bulk = job.lane() == Lane::Bulk;
    item.hand_over(wall);
    let open = Open { item, authorization: settling.held.number(), begun: now, bulk };
    settling.bulk_open += usize::from(bulk);
    settling.ended -= 1;
    let Addressed { path, id, body } = &filling.addressed;
    let body: &[u8] = if body.is_empty() { &filling.body } else { body };
    session.begin(&filling.template, Target { path, id, body }, open);
}
