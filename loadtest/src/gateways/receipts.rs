//! What a simulated service received: one receipt for each request that it judged.
//!
//! Ten million receipts stay in memory, 68 bytes each: fixed-size entries in segments (a growing vector would double and
//! copy), answers and uncommon tokens in tables of their own. Full requests are kept only when asked for.
//!
//! A receipt is written when the request is judged, before its answer leaves: a client that has seen an answer finds the
//! receipt, and a push whose answer was lost on the way still counts as accepted, as it would at the real service.
use std::{collections::HashMap, fmt};

use parking_lot::RwLock;
use serde::Serialize;
use tokio::sync::watch;

use super::{answer::Answer, token::Token};

/// What became of the request besides its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Judged; the answer was sent, or is on its way.
    Answered,
    /// The stream was reset by script.
    Reset,
    /// It never got an answer, by script.
    Stalled,
}

/// One received request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// 0 for the first; the order in which requests were judged.
    pub order: u64,
    pub token: Token,
    /// The message id: `apns-id`, given or generated.
    pub id: uuid::Uuid,
    /// 0 when the request was not accepted and got no answer either (reset or stalled).
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub fate: Fate,
    /// [`body_hash`] of the body.
    pub body: u64,
    /// [`collapse_hash`] of the collapse id, 0 without one.
    pub collapse: u32,
    /// Milliseconds since the service started.
    pub at_ms: u32,
}

impl Receipt {
    /// The device got it: status 200, whether or not the answer came through.
    pub fn accepted(&self) -> bool {
        self.status == 200
    }
}

/// A whole request; kept when the service was told to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FullRequest {
    /// Pseudo-headers first, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl FullRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(found, value)| (found == name).then_some(value.as_str()))
    }
}

/// A token that was accepted more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repeat {
    pub token: Token,
    pub times: u64,
    /// Every receipt carried the same message id: a retry of one push, not two pushes.
    pub same_id: bool,
}

/// How often one answer was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerCount {
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub fate: Fate,
    pub count: u64,
}

/// 64-bit xxh3 of a body, as receipts hold it.
pub fn body_hash(body: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(body)
}

/// 32 bits of the xxh3 of a collapse id, as receipts hold it.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
pub fn collapse_hash(collapse: &[u8]) -> u32 {
    xxhash_rust::xxh3::xxh3_64(collapse) as u32
}

/// What a session hands over for one request.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) token: Token,
    pub(crate) id: [u8; 16],
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    pub(crate) fate: Fate,
    pub(crate) body: u64,
    pub(crate) collapse: u32,
    pub(crate) full: Option<Box<FullRequest>>,
}

impl Draft {
    /// With the status that the books keep: an unanswered request has none unless the device got the push.
    pub(crate) fn outcome(mut self, fate: Fate, answer: &Answer) -> Self {
        self.fate = fate;
        self.status = answer.status;
        self.reason.clone_from(&answer.reason);
        self
    }
}

const SEGMENT: usize = 1 << 16;

/// 68 bytes: 32 + 16 + 2 × 4 + 4 + 4 + 2 + 1, at an alignment of 4.
struct Entry {
    /// The token, or the number of a row in `others`.
    token: [u8; 32],
    id: [u8; 16],
    /// Two halves: a u64 would round the entry up to 72 bytes.
    body: [u32; 2],
    collapse: u32,
    at_ms: u32,
    answer: u16,
    in_place: bool,
}

#[derive(Default)]
struct Books {
    segments: Vec<Vec<Entry>>,
    others: Vec<Box<[u8]>>,
    answers: Vec<AnswerCount>,
    full: HashMap<u64, Box<FullRequest>>,
    count: u64,
    accepted: u64,
}

impl Books {
    fn entry(&self, order: u64) -> Option<&Entry> {
        let order = usize::try_from(order).ok()?;
        self.segments.get(order / SEGMENT)?.get(order % SEGMENT)
    }

    fn token<'a>(&'a self, entry: &'a Entry) -> &'a [u8] {
        if entry.in_place {
            return &entry.token;
        }
        let [a, b, c, d, ..] = entry.token;
        self.others.get(u32::from_be_bytes([a, b, c, d]) as usize).map_or(&[], |token| token)
    }

    fn accepted_entry(&self, entry: &Entry) -> bool {
        self.answers.get(usize::from(entry.answer)).is_some_and(|answer| answer.status == 200)
    }

    fn entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        (0..).zip(self.segments.iter().flatten())
    }

    fn receipt(&self, order: u64, entry: &Entry) -> Receipt {
        let answer = self.answers.get(usize::from(entry.answer));
        Receipt {
            order,
            token: Token::new(self.token(entry)),
            id: uuid::Uuid::from_bytes(entry.id),
            status: answer.map_or(0, |answer| answer.status),
            reason: answer.and_then(|answer| answer.reason.clone()),
            fate: answer.map_or(Fate::Answered, |answer| answer.fate),
            body: u64::from(entry.body[0]) << 32 | u64::from(entry.body[1]),
            collapse: entry.collapse,
            at_ms: entry.at_ms,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves of the hash")]
    fn add(&mut self, draft: Draft, at_ms: u32) {
        let answer = self.answer(draft.status, draft.reason, draft.fate);
        let (token, in_place) = match draft.token {
            Token::Short(bytes) => (bytes, true),
            Token::Other(bytes) => {
                let mut row = [0; 32];
                row[..4].copy_from_slice(&u32::try_from(self.others.len()).unwrap_or(u32::MAX).to_be_bytes());
                self.others.push(bytes);
                (row, false)
            }
        };
        if let Some(full) = draft.full {
            self.full.insert(self.count, full);
        }
        if self.segments.last().is_none_or(|segment| segment.len() == SEGMENT) {
            self.segments.push(Vec::with_capacity(SEGMENT));
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.push(Entry {
                token,
                id: draft.id,
                body: [(draft.body >> 32) as u32, draft.body as u32],
                collapse: draft.collapse,
                at_ms,
                answer,
                in_place,
            });
        }
        self.count += 1;
        self.accepted += u64::from(draft.status == 200);
    }

    fn answer(&mut self, status: u16, reason: Option<String>, fate: Fate) -> u16 {
        let same = |known: &AnswerCount| known.status == status && known.fate == fate && known.reason == reason;
        let at = self.answers.iter().position(same).unwrap_or_else(|| {
            // Reasons come from scripts and the table of the service: far fewer than a u16 counts. Should a script
            // make more, the last one stands for all of them.
            if self.answers.len() <= usize::from(u16::MAX) {
                self.answers.push(AnswerCount { status, reason, fate, count: 0 });
            }
            self.answers.len() - 1
        });
        self.answers[at].count += 1;
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// The accepted receipts by token: hashes, sorted, with the orders that have them.
    fn accepted_by_token(&self) -> Vec<(u64, u32)> {
        let accepted = self.entries().filter(|(_, entry)| self.accepted_entry(entry));
        let mut index: Vec<_> = accepted
            .map(|(order, entry)| (body_hash(self.token(entry)), u32::try_from(order).unwrap_or(u32::MAX)))
            .collect();
        index.sort_unstable();
        index
    }
}

/// The receipts of one service, shared by its connections and whoever asks.
pub struct Receipts {
    books: RwLock<Books>,
    count: watch::Sender<u64>,
    started: tokio::time::Instant,
}

impl fmt::Debug for Receipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipts").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Default for Receipts {
    fn default() -> Self {
        Self { books: RwLock::default(), count: watch::Sender::new(0), started: tokio::time::Instant::now() }
    }
}

impl Receipts {
    /// Writes down what one turn of a connection judged, and empties `drafts`.
    pub(crate) fn add(&self, drafts: &mut Vec<Draft>) {
        if drafts.is_empty() {
            return;
        }
        let at_ms = self.now_ms();
        let mut books = self.books.write();
        for draft in drafts.drain(..) {
            books.add(draft, at_ms);
        }
        // Under the lock, so that the count never goes back.
        self.count.send_replace(books.count);
    }

    /// The time that a receipt written now would have.
    pub fn now_ms(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    /// Forgets everything. Orders start at 0 again.
    pub fn clear(&self) {
        let mut books = self.books.write();
        *books = Books::default();
        self.count.send_replace(0);
    }

    /// All receipts, accepted or not.
    pub fn len(&self) -> u64 {
        self.books.read().count
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those with status 200.
    pub fn accepted(&self) -> u64 {
        self.books.read().accepted
    }

    /// Each answer that was given, with its number, in the order of first use.
    pub fn answers(&self) -> Vec<AnswerCount> {
        self.books.read().answers.clone()
    }

    /// How many receipts have this reason.
    pub fn count_reason(&self, reason: &str) -> u64 {
        let books = self.books.read();
        books.answers.iter().filter(|known| known.reason.as_deref() == Some(reason)).map(|known| known.count).sum()
    }

    /// Up to `limit` receipts from order `cursor` on.
    pub fn page(&self, cursor: u64, limit: usize) -> Vec<Receipt> {
        let books = self.books.read();
        (cursor..books.count).take(limit).filter_map(|order| Some(books.receipt(order, books.entry(order)?))).collect()
    }

    /// Every receipt; for tests, at millions use [`Self::page`].
    pub fn all(&self) -> Vec<Receipt> {
        self.page(0, usize::MAX)
    }

    /// The receipts of one token, in order. Looks at all receipts.
    pub fn of(&self, token: &Token) -> Vec<Receipt> {
        let books = self.books.read();
        let found = books.entries().filter(|(_, entry)| books.token(entry) == token.as_bytes());
        found.map(|(order, entry)| books.receipt(order, entry)).collect()
    }

    /// The whole request of a receipt, when requests are kept.
    pub fn full(&self, order: u64) -> Option<FullRequest> {
        self.books.read().full.get(&order).map(|full| FullRequest::clone(full))
    }

    /// Tokens accepted more than once, sorted by token.
    pub fn repeated(&self) -> Vec<Repeat> {
        let books = self.books.read();
        let index = books.accepted_by_token();
        let mut repeats = Vec::new();
        for same_hash in index.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
            // Two tokens may share a hash: they are told apart here.
            let mut entries: Vec<_> =
                same_hash.iter().filter_map(|(_, order)| books.entry(u64::from(*order))).collect();
            entries.sort_by(|a, b| books.token(a).cmp(books.token(b)));
            for group in entries.chunk_by(|a, b| books.token(a) == books.token(b)).filter(|group| group.len() > 1) {
                repeats.push(Repeat {
                    token: Token::new(books.token(group[0])),
                    times: group.len() as u64,
                    same_id: group.iter().all(|entry| entry.id == group[0].id),
                });
            }
        }
        repeats.sort_by(|a, b| a.token.cmp(&b.token));
        repeats
    }

    /// Those of `owed` that were never accepted, in the order given.
    pub fn missing<'a>(&self, owed: impl IntoIterator<Item = &'a Token>) -> Vec<&'a Token> {
        let books = self.books.read();
        let index = books.accepted_by_token();
        let received = |token: &Token| {
            let hash = body_hash(token.as_bytes());
            let from = index.partition_point(|(known, _)| *known < hash);
            index[from..]
                .iter()
                .take_while(|(known, _)| *known == hash)
                .filter_map(|(_, order)| books.entry(u64::from(*order)))
                .any(|entry| books.token(entry) == token.as_bytes())
        };
        owed.into_iter().filter(|token| !received(token)).collect()
    }

    /// The number of receipts, followed as it grows.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// Returns once at least `count` receipts are there; put a timeout around it where a failure must end.
    pub async fn wait_for(&self, count: u64) {
        let mut watched = self.count.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        drop(watched.wait_for(|now| *now >= count).await);
    }
}

#[cfg(test)]
mod tests;
