//! The index of one hub as one transaction of PostgreSQL sees it.
//!
//! Evaluation asks for sets as it goes and stops where it has enough, so it cannot know its statements beforehand; and
//! its code is that of every engine, which waits for each answer. So it runs on a thread that may wait, and each of its
//! questions is a statement there.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use deadpool_postgres::Transaction;
use tokio::runtime::Handle;
use tokio_postgres::Row;

use super::super::error::{Done, Fault};
use super::super::pool::{query, query_opt, retrying, snapshot};
use super::super::{Parts, StoreError};
use super::{Shared, load, unfolded};
use crate::model::audience::ChunkList;
use crate::model::chunk_set::ChunkSet;
use crate::model::hash;
use crate::model::id::{ChunkNo, CommitNo, HubId, Seq};
use crate::model::platform::Platform;
use crate::model::target::index_tag;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::index::{Delta, IndexView, LiveTags, Overlay, Touch, Touches, newest};
use crate::store::registration::{DedupeKey, InstallationRow, id_text, is_document_of, key, keys_of, of_key};

/// The index of one hub as one read transaction sees it.
pub(in super::super) struct View<'a> {
    pub(super) tx: &'a Transaction<'a>,
    runtime: Handle,
    registry: &'a Shared,
    pub(super) hub: HubId,
    now: Timestamp,
    next_seq: Seq,
    commit_no: CommitNo,
    /// Oldest first.
    deltas: Vec<Arc<Delta>>,
    /// Newest first; read when first asked for.
    touches: OnceCell<Vec<Arc<Touches>>>,
    /// Why the last question was not answered: the answer itself has no room for it.
    fault: RefCell<Option<Fault>>,
}

/// Documents and their targets by the hash that found them.
type ByHash = HashMap<i64, Vec<(Vec<u8>, Vec<Seq>)>>;

/// Runs `body` over a hub's index as it is now, on a thread that may wait. `now` decides who has expired. `body` may be
/// run again when the connection is lost.
pub(in super::super) async fn on_view<T, F>(parts: &Parts, hub: HubId, now: Timestamp, body: F) -> Done<T>
where
    T: Send + 'static,
    F: Fn(&View<'_>) -> Result<T> + Send + Sync + 'static,
{
    read(parts, hub, Some(now), body).await
}

/// The same; without `now` the time is asked for.
pub(super) async fn read<T, F>(parts: &Parts, hub: HubId, now: Option<Timestamp>, body: F) -> Done<T>
where
    T: Send + 'static,
    F: Fn(&View<'_>) -> Result<T> + Send + Sync + 'static,
{
    let body = Arc::new(body);
    retrying(|| {
        let (pool, time, registry, body) =
            (parts.pool.clone(), parts.time.clone(), parts.registry.clone(), body.clone());
        async move {
            let runtime = Handle::current();
            let run = move || {
                let mut client = runtime.block_on(pool.get())?;
                let tx = runtime.block_on(snapshot(&mut client))?;
                let view = runtime.block_on(async {
                    let now = match now {
                        Some(now) => now,
                        None => time.now(&tx).await?,
                    };
                    View::open(&tx, runtime.clone(), &registry, hub, now).await
                })?;
                let made = body(&view);
                let fault = view.fault.take();
                made.map_err(|error| fault.unwrap_or_else(|| error.into()))
            };
            let ended = |_| Fault::from(StoreError::Engine("an evaluation ended before its time".to_owned()));
            tokio::task::spawn_blocking(run).await.map_err(ended)?
        }
    })
    .await
}

impl<'a> View<'a> {
    async fn open(
        tx: &'a Transaction<'a>,
        runtime: Handle,
        registry: &'a Shared,
        hub: HubId,
        now: Timestamp,
    ) -> Done<Self> {
        let sql = "SELECT next_seq, commit_no FROM hub_counter WHERE hub = $1";
        let counters = query_opt(tx, sql, &[&hub.0.cast_signed()]).await?;
        let number = |column| -> Done<u64> {
            counters.as_ref().map_or(Ok(0), |row| Ok(row.try_get::<_, i64>(column)?.cast_unsigned()))
        };
        let (next_seq, commit_no) = (Seq(number(0)?), CommitNo(number(1)?));
        let deltas = match counters {
            Some(_) => registry.deltas.rows(tx, hub).await?.into_iter().map(|(_, delta)| delta).collect(),
            None => Vec::new(),
        };
        let (touches, fault) = (OnceCell::new(), RefCell::new(None));
        Ok(Self { tx, runtime, registry, hub, now, next_seq, commit_no, deltas, touches, fault })
    }

    /// The time of the view.
    pub(super) fn time(&self) -> Timestamp {
        self.now
    }

    /// Waits for an answer.
    pub(super) fn wait<T>(&self, question: impl Future<Output = Done<T>>) -> Result<T> {
        self.runtime.block_on(question).map_err(|fault| {
            let error = fault.error.clone();
            *self.fault.borrow_mut() = Some(fault);
            error
        })
    }

    fn touches(&self) -> Result<&[Arc<Touches>]> {
        if let Some(touches) = self.touches.get() {
            return Ok(touches);
        }
        let touches = self.wait(unfolded::newest_touches(self.tx, self.registry, self.hub))?;
        Ok(self.touches.get_or_init(|| touches))
    }

    pub(super) fn newest_touch(&self, installation: i64) -> Result<Option<Touch>> {
        Ok(newest(self.touches()?, installation))
    }

    /// The installations of native targets, in the order of the seqs, with their newest touch. Those without a row are
    /// an error: the index names live targets only.
    pub(super) fn installations(&self, seqs: &[Seq]) -> Result<Vec<(InstallationRow, Option<Touch>)>> {
        let keys: Vec<i64> = seqs.iter().map(|seq| key(self.hub, *seq)).collect();
        let columns: Vec<String> = load::INSTALLATION.split(", ").map(|column| format!("i.{column}")).collect();
        let sql = format!(
            "SELECT {} FROM target t JOIN installation i ON i.no = t.installation \
             WHERE t.key = ANY ($1) ORDER BY t.key",
            columns.join(", ")
        );
        let rows = self.wait(query(self.tx, &sql, &[&keys]))?;
        if rows.len() != seqs.len() {
            return Err(StoreError::Corrupt(format!("a live target of hub {} has no installation", self.hub)));
        }
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let row = self.wait(async { load::installation(row) })?.row;
            let touch = self.newest_touch(row.no)?;
            found.push((row, touch));
        }
        Ok(found)
    }

    fn keyed_seqs(&self, sql: &str, hashes: Vec<i64>) -> Result<ByHash> {
        let (from, below) = keys_of(self.hub);
        self.wait(async {
            let mut found = ByHash::new();
            for row in query(self.tx, sql, &[&hashes, &from, &below]).await? {
                let seqs = crate::store::registration::decode_seqs(row.try_get(2)?).into_iter().flatten().collect();
                found.entry(row.try_get(0)?).or_default().push((row.try_get(1)?, seqs));
            }
            Ok(found)
        })
    }
}

fn set_of(tag: &str, chunk: i32, bytes: &[u8]) -> Result<ChunkSet> {
    ChunkSet::decode(bytes).map_err(|error| StoreError::Corrupt(format!("set of tag {tag:?}, chunk {chunk}: {error}")))
}

impl IndexView for View<'_> {
    fn live_tags(&self) -> &LiveTags {
        &self.registry.live_tags
    }

    fn next_seq(&self) -> Seq {
        self.next_seq
    }

    fn commit_no(&self) -> CommitNo {
        self.commit_no
    }

    fn overlay(&self, tag: &str) -> Overlay {
        Overlay::of(&self.deltas, tag)
    }

    fn chunk_lists(&self, tags: &[(&str, &Overlay)]) -> Result<Vec<ChunkList>> {
        let texts: Vec<&str> = tags.iter().map(|(tag, _)| *tag).collect();
        let mut counts: HashMap<i32, Vec<(u32, u32)>> = HashMap::new();
        self.wait(async {
            let sql = "SELECT wanted.place::integer, chunk, cardinality FROM unnest($2::text[]) WITH ORDINALITY \
                       AS wanted (tag, place) JOIN tag_chunk ON tag_chunk.hub = $1 AND tag_chunk.tag = wanted.tag";
            for row in query(self.tx, sql, &[&self.hub.0.cast_signed(), &texts]).await? {
                let (place, chunk, cardinality): (i32, i32, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                counts.entry(place).or_default().push((chunk.cast_unsigned(), cardinality.cast_unsigned()));
            }
            Ok(())
        })?;
        let list = |(place, (_, overlay)): (i32, &(&str, &Overlay))| {
            counts.remove(&place).unwrap_or_default().into_iter().chain(overlay.adds()).collect()
        };
        Ok((1..).zip(tags).map(list).collect())
    }

    fn sets(&self, tag: &str, overlay: &Overlay, first: u32, last: u32) -> Result<BTreeMap<u32, ChunkSet>> {
        let sql = "SELECT chunk, seqs FROM tag_chunk WHERE hub = $1 AND tag = $2 AND chunk BETWEEN $3 AND $4";
        let mut sets = BTreeMap::new();
        self.wait(async {
            let (hub, first, last) = (self.hub.0.cast_signed(), first.cast_signed(), last.cast_signed());
            for row in query(self.tx, sql, &[&hub, &tag, &first, &last]).await? {
                let chunk: i32 = row.try_get(0)?;
                sets.insert(chunk.cast_unsigned(), set_of(tag, chunk, row.try_get(1)?)?);
            }
            Ok(())
        })?;
        for (chunk, change) in overlay.within(first, last) {
            change.apply(sets.entry(chunk).or_default());
        }
        Ok(sets)
    }

    fn seqs_of_users(&self, users: &[&str]) -> Result<Vec<Vec<Seq>>> {
        let sql = "SELECT user_hash, document, seqs FROM installation \
                   WHERE user_hash = ANY ($1) AND no >= $2 AND no < $3";
        let hash = |user: &str| hash::user(self.hub, user).cast_signed();
        let found = self.keyed_seqs(sql, users.iter().map(|user| hash(user)).collect())?;
        let seqs = |user: &&str| {
            let known = found.get(&hash(user)).into_iter().flatten();
            known.filter(|(document, _)| is_document_of(document, user)).flat_map(|(_, seqs)| seqs.clone()).collect()
        };
        Ok(users.iter().map(seqs).collect())
    }

    fn seqs_of_installations(&self, ids: &[&str]) -> Result<Vec<Vec<Seq>>> {
        let sql = "SELECT id_hash, document, seqs FROM installation WHERE id_hash = ANY ($1) AND no >= $2 AND no < $3";
        let hash = |id: &str| hash::installation(self.hub, id).cast_signed();
        let found = self.keyed_seqs(sql, ids.iter().map(|id| hash(id)).collect())?;
        let seqs = |id: &&str| {
            let known = found.get(&hash(id)).into_iter().flatten();
            known.filter(|(document, _)| id_text(document) == Some(*id)).flat_map(|(_, seqs)| seqs.clone()).collect()
        };
        Ok(ids.iter().map(seqs).collect())
    }

    fn due(&self) -> Result<BTreeMap<u32, ChunkSet>> {
        let (from, below) = keys_of(self.hub);
        let sql = "SELECT key, installation FROM target WHERE expires <= $1 AND expires IS NOT NULL \
                   AND gone_why IS NULL AND key >= $2 AND key < $3";
        let looks_due: Vec<(i64, i64)> = self.wait(async {
            let pair = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
            query(self.tx, sql, &[&self.now.millis(), &from, &below]).await?.iter().map(pair).collect()
        })?;
        let mut due: BTreeMap<u32, ChunkSet> = BTreeMap::new();
        for (key, installation) in looks_due {
            let touch = self.newest_touch(installation)?;
            if touch.is_none_or(|touch| touch.expires.is_some_and(|expires| expires <= self.now)) {
                let seq = of_key(key).1;
                due.entry(seq.chunk().0).or_default().insert(seq.offset());
            }
        }
        Ok(due)
    }

    fn shared(&self, chunk: ChunkNo) -> Result<ChunkSet> {
        let overlay = self.overlay(index_tag::SHARED);
        let mut sets = self.sets(index_tag::SHARED, &overlay, chunk.0, chunk.0)?;
        Ok(sets.remove(&chunk.0).unwrap_or_default())
    }

    fn dedupe_keys(&self, seqs: &[Seq]) -> Result<Vec<(Seq, DedupeKey)>> {
        let keys: Vec<i64> = seqs.iter().map(|seq| key(self.hub, *seq)).collect();
        let sql = "SELECT key, platform, channel, name FROM target \
                   WHERE key = ANY ($1) AND gone_why IS NULL ORDER BY key";
        self.wait(async { query(self.tx, sql, &[&keys]).await?.iter().map(dedupe_key).collect() })
    }

    fn twins(&self, dedupe: &DedupeKey, below: Seq) -> Result<Vec<Seq>> {
        let sql = "SELECT key, platform, channel, name FROM target WHERE channel_hash = $1 AND gone_why IS NULL \
                   AND key >= $2 AND key < $3 ORDER BY key";
        let hash = dedupe.channel_hash(self.hub).cast_signed();
        let (from, below) = (key(self.hub, Seq(0)), key(self.hub, below));
        let found: Vec<(Seq, DedupeKey)> =
            self.wait(async { query(self.tx, sql, &[&hash, &from, &below]).await?.iter().map(dedupe_key).collect() })?;
        Ok(found.into_iter().filter(|(_, other)| other == dedupe).map(|(seq, _)| seq).collect())
    }
}

fn dedupe_key(row: &Row) -> Done<(Seq, DedupeKey)> {
    let key: i64 = row.try_get(0)?;
    let platform: i16 = row.try_get(1)?;
    let platform = u8::try_from(platform).ok().and_then(Platform::from_code);
    let platform = platform.ok_or_else(|| StoreError::Corrupt(format!("target {key}")))?;
    Ok((of_key(key).1, DedupeKey::new(platform, row.try_get(2)?, row.try_get(3)?)))
}
