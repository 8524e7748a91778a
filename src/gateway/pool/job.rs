//! A batch on its way through the transport, target by target, and the one reply that each target gets.
//!
//! The promise of exactly one reply is kept by types: an [`Item`] is consumed by its answer, and one that is dropped
//! unanswered (a thread that ends, a panic in a library) answers as it falls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::clock::BootInstant;
use crate::gateway::transport::{Resend, Service};
use crate::gateway::{Answer, Batch, Replies, Reply, SharedRequest, Unsent};
use crate::model::broadcast::Lane;
use crate::model::id::Seq;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

/// Replies that are kept before they are sent to a worker's run.
const PILE: usize = 256;
/// How often a target is sent again because a connection failed.
const RESENDS: u8 = 3;

/// A batch that was taken.
#[derive(Debug)]
pub(in crate::gateway) struct Job {
    pub(in crate::gateway) batch: Batch,
    /// Tells the batches of a pool apart.
    pub(in crate::gateway) number: u64,
    pub(in crate::gateway) fields: Arc<HeaderMap>,
    pub(in crate::gateway) arrived: BootInstant,
    /// An answer said that credentials or topic are refused, or the project has its fill: what is unsent would only hear the
    /// same.
    halted: AtomicBool,
}

impl Job {
    /// Gives the batch back when a header field of its request cannot be sent at all.
    pub(in crate::gateway) fn new(
        batch: Batch,
        recent: &RecentFields,
        service: &dyn Service,
        arrived: BootInstant,
        number: u64,
    ) -> Result<Self, Batch> {
        match recent.of(&batch.request, service) {
            Some(fields) => Ok(Self { batch, number, fields, arrived, halted: AtomicBool::new(false) }),
            None => Err(batch),
        }
    }

    pub(in crate::gateway) fn lane(&self) -> Lane {
        self.batch.request.lane
    }

    /// Why nothing of it may be written any more.
    pub(in crate::gateway) fn refusal(&self, now: BootInstant) -> Option<Unsent> {
        if self.batch.stop.is_raised() {
            Some(Unsent::Stopped)
        } else if self.batch.deadline <= now {
            Some(Unsent::Deadline)
        } else if self.halted.load(Ordering::Relaxed) {
            Some(Unsent::Closed)
        } else {
            None
        }
    }

    /// Writes nothing more of it after an answer that all of it would get.
    pub(in crate::gateway) fn halt_after(&self, verdict: &Verdict) {
        let for_all = matches!(verdict, Verdict::Credentials | Verdict::Throttle { scope: ThrottleScope::Project, .. });
        if for_all {
            self.halted.store(true, Ordering::Relaxed);
        }
    }

    pub(in crate::gateway) fn target(&self, at: usize) -> (Seq, &[u8]) {
        self.batch.targets.get(at).unwrap_or((Seq(0), &[]))
    }

    fn reply(&self, replies: Vec<Reply>) {
        // A worker that is gone has lost its lease; nobody else may be told.
        let _ = self.batch.replies.send(replies);
    }

    /// Hands back targets `from..`.
    pub(in crate::gateway) fn hand_back(&self, from: usize, why: Unsent) {
        let rest = (from..self.batch.targets.len())
            .map(|at| Reply { seq: self.target(at).0, what: Answer::Unsent(why) })
            .collect::<Vec<_>>();
        if !rest.is_empty() {
            self.reply(rest);
        }
    }
}

/// The fields that every target of a request shares; `None` when one is no header field.
pub(in crate::gateway) fn constant_fields(request: &SharedRequest, service: &dyn Service) -> Option<HeaderMap> {
    // Two more come with each target: the authorization and the id.
    let mut fields = HeaderMap::with_capacity(request.headers.len() + 2);
    for (field, value) in &request.headers {
        let mut value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        value.set_sensitive(service.never_indexed(field));
        fields.append(HeaderName::from_bytes(field.as_bytes()).ok()?, value);
    }
    Some(fields)
}

/// The fields that the batch before had. Most batches have the same: those of one broadcast, and of all its templates.
#[derive(Debug, Default)]
pub(in crate::gateway) struct RecentFields(Mutex<Option<(Arc<SharedRequest>, Arc<HeaderMap>)>>);

impl RecentFields {
    fn of(&self, request: &Arc<SharedRequest>, service: &dyn Service) -> Option<Arc<HeaderMap>> {
        let mut recent = self.0.lock();
        if let Some((before, fields)) = &*recent
            && before.headers == request.headers
        {
            return Some(Arc::clone(fields));
        }
        let fields = Arc::new(constant_fields(request, service)?);
        *recent = Some((Arc::clone(request), Arc::clone(&fields)));
        Some(fields)
    }
}

/// One target that is not answered yet.
#[derive(Debug)]
pub(in crate::gateway) struct Item {
    job: Arc<Job>,
    at: usize,
    /// How many times the transport sent it again because a connection failed.
    resends: u8,
    /// Whether it was sent again with a renewed authorization.
    renewed: bool,
    /// When it was handed to a connection, by the wall clock.
    written: Option<Timestamp>,
    answered: bool,
}

impl Item {
    pub(in crate::gateway) fn new(job: Arc<Job>, at: usize) -> Self {
        Self { job, at, resends: 0, renewed: false, written: None, answered: false }
    }

    pub(in crate::gateway) fn job(&self) -> &Arc<Job> {
        &self.job
    }

    pub(in crate::gateway) fn target(&self) -> (Seq, &[u8]) {
        self.job.target(self.at)
    }

    /// From here on it may have left the process.
    pub(in crate::gateway) fn hand_over(&mut self, at: Timestamp) {
        self.written = Some(at);
    }

    /// Whether it may be sent again in this way; when so, it counts as not written.
    pub(in crate::gateway) fn retry(&mut self, how: Resend) -> bool {
        let may = match how {
            Resend::Never => false,
            Resend::Elsewhere => self.resends < RESENDS,
            Resend::Renewed => !self.renewed,
        };
        if may {
            self.resends += u8::from(how == Resend::Elsewhere);
            self.renewed |= how == Resend::Renewed;
            self.written = None;
        }
        may
    }

    fn reply(&mut self, what: Answer) -> Reply {
        self.answered = true;
        Reply { seq: self.target().0, what }
    }

    pub(in crate::gateway) fn verdict(mut self, verdict: Verdict, reason: Option<Reason>, outbox: &mut Outbox) {
        let written_at = self.written;
        let reply = self.reply(Answer::Verdict { verdict, reason, written_at });
        outbox.push(&self.job, reply);
    }

    pub(in crate::gateway) fn unsent(mut self, why: Unsent, outbox: &mut Outbox) {
        let reply = self.reply(Answer::Unsent(why));
        outbox.push(&self.job, reply);
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if !self.answered {
            let what = match self.written {
                Some(_) => Answer::Verdict {
                    verdict: Verdict::ConnAmbiguous,
                    reason: Some(Reason::known("connection abandoned")),
                    written_at: self.written,
                },
                None => Answer::Unsent(Unsent::Closed),
            };
            let reply = self.reply(what);
            self.job.reply(vec![reply]);
        }
    }
}

/// Replies on their way out, gathered by where they go: the batches of one run, which may be many small ones of as many
/// requests, make one pile.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Outbox {
    piles: Vec<(Replies, Vec<Reply>)>,
}

impl Outbox {
    fn push(&mut self, job: &Job, reply: Reply) {
        match self.piles.iter_mut().find(|(to, _)| to.same_channel(&job.batch.replies)) {
            Some((_, pile)) if pile.len() + 1 >= PILE => {
                pile.push(reply);
                job.reply(std::mem::replace(pile, Vec::with_capacity(PILE)));
            }
            Some((_, pile)) => pile.push(reply),
            None => self.piles.push((job.batch.replies.clone(), vec![reply])),
        }
    }

    /// Sends what was gathered.
    pub(in crate::gateway) fn flush(&mut self) {
        for (to, pile) in self.piles.drain(..) {
            if !pile.is_empty() {
                // As in `Job::reply`.
                let _ = to.send(pile);
            }
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.flush();
    }
}
