//! Rows for workers: what a chunk's targets need to be sent to.
//!
//! The server lays a page of rows into three strings, and one row brings them: a message for each target would cost
//! either side as much as sending to it. A set that lies in long stretches is read by scans of them, another by its keys.

use std::iter::Peekable;
use std::vec::IntoIter;

use deadpool_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::StoreError;
use super::super::error::Done;
use super::super::pool::query_one;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, HubId, Seq};
use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::model::template::TemplateId;
use crate::model::time::Timestamp;
use crate::store::TargetRows;
use crate::store::stretches::stretches;

/// Beginning a scan costs more than stepping over this many rows.
const STEPPED_OVER: u16 = 32;
/// A scan has its price; with fewer members in each, finding each of them by its key costs less.
const WORTH_A_SCAN: usize = 16;

/// A page of the rows with these keys, live ones, in the order of their seqs: [`Head`]s and channels one after the other;
/// offset, expiry and installation of those that expire; offset, template and variables of those that have one; offsets of
/// those whose user changed after a commit, where that is asked for: few broadcasts ask, and each value that is laid out
/// for each row costs as much as stepping over it.
///
/// `rows` is what follows FROM: live targets in the order of their keys.
pub(super) fn page_of(rows: &str, changed_after: Option<&str>) -> String {
    let changed = changed_after.map_or_else(
        || "NULL::int4[]".to_owned(),
        |bound| format!("array_agg((key & 16383)::int4) FILTER (WHERE user_mark > {bound})"),
    );
    format!(
        "SELECT string_agg(int8send(((key & 16383) << 48) | ((platform << 8 | class)::int8 << 32) \
                                    | octet_length(channel)), ''::bytea), \
                string_agg(channel, ''::bytea), \
                array_agg((key & 16383)::int4) FILTER (WHERE expires IS NOT NULL), \
                array_agg(expires) FILTER (WHERE expires IS NOT NULL), \
                array_agg(installation) FILTER (WHERE expires IS NOT NULL), \
                array_agg((key & 16383)::int4) FILTER (WHERE template IS NOT NULL), \
                array_agg(template) FILTER (WHERE template IS NOT NULL), \
                array_agg(coalesce(variables, ''::bytea)) FILTER (WHERE template IS NOT NULL), {changed} \
         FROM {rows}"
    )
}

/// Live targets with these keys, in their order.
pub(super) fn live(keys: &str) -> String {
    format!(
        "(SELECT key, class, platform, channel, user_mark, expires, installation, template, variables FROM target \
          WHERE {keys} AND channel IS NOT NULL ORDER BY key OFFSET 0) AS live"
    )
}

/// The live rows of `set`, in seq order; with a bound, they say whose user changed in a later commit. `expiry` tells the
/// expiry of a target with this installation and this expiry in its row, which may lag behind.
pub(super) async fn read(
    client: &Client,
    hub: HubId,
    chunk: ChunkNo,
    set: &ChunkSet,
    user_bound: Option<u64>,
    expiry: impl Fn(i64, Timestamp) -> Option<Timestamp> + Send,
) -> Done<TargetRows> {
    let key = |offset: u16| i64::from(hub.0) << 40 | Seq::at(chunk, offset).0.cast_signed();
    let stretches = stretches(set, STEPPED_OVER);
    let (from, to): (Vec<i64>, Vec<i64>) =
        stretches.iter().map(|stretch| (key(*stretch.span.start()), key(*stretch.span.end()))).unzip();
    let keys: Vec<i64>;
    let (rows, mut params): (String, Vec<&(dyn ToSql + Sync)>) = match (&from[..], &to[..]) {
        ([], _) | (_, []) => return Ok(TargetRows::default()),
        ([from], [to]) => (live("key BETWEEN $1 AND $2"), vec![from, to]),
        _ if set.len() as usize >= stretches.len() * WORTH_A_SCAN => {
            let scans = live("key BETWEEN stretch.first AND stretch.last");
            let stretches = "unnest($1::int8[], $2::int8[]) AS stretch (first, last)";
            (format!("{stretches} CROSS JOIN LATERAL {scans}"), vec![&from, &to])
        }
        _ => {
            keys = set.iter().map(key).collect();
            (live("key = ANY ($1)"), vec![&keys])
        }
    };
    let bound = user_bound.map(u64::cast_signed);
    let changed_after = bound.as_ref().map(|bound| {
        params.push(bound);
        format!("${}", params.len())
    });
    let page = query_one(client, &page_of(&rows, changed_after.as_deref()), &params).await?;
    let mut wanted = set.iter().peekable();
    let mut rows = TargetRows::with_capacity(set.len() as usize);
    let mut page = Page::of(&page)?;
    while let Some((head, channel)) = page.next()? {
        while wanted.next_if(|&next| next < head.offset).is_some() {}
        if wanted.next_if_eq(&head.offset).is_none() {
            continue;
        }
        let seq = Seq::at(chunk, head.offset);
        let broken = || StoreError::Corrupt(format!("target {seq} of hub {hub}"));
        let class = TargetClass::from_code(head.class).ok_or_else(broken)?;
        let platform = Platform::from_code(head.platform).ok_or_else(broken)?;
        let expires = page.expiring(head.offset).and_then(|(installation, expires)| expiry(installation, expires));
        rows.push(seq, class, platform, channel, expires, page.user_changed(head.offset));
        if let Some((template, variables)) = page.template(head.offset) {
            rows.link(template, variables);
        }
    }
    Ok(rows)
}

/// What of a row has always the same size: 8 bytes.
struct Head {
    offset: u16,
    class: u8,
    platform: u8,
    /// Of the channel, bytes.
    length: usize,
}

/// What is left of a page to be taken row by row.
struct Page<'a> {
    heads: &'a [u8],
    channels: &'a [u8],
    expiring: Peekable<IntoIter<(u16, i64, Timestamp)>>,
    templates: Peekable<IntoIter<(u16, TemplateId, &'a [u8])>>,
    changed: Peekable<IntoIter<u16>>,
}

impl<'a> Page<'a> {
    fn of(row: &'a Row) -> Done<Self> {
        let string = |column| row.try_get::<_, Option<&[u8]>>(column).map(Option::unwrap_or_default);
        let numbers = |column| row.try_get::<_, Option<Vec<i64>>>(column).map(Option::unwrap_or_default);
        let offsets = |column| -> Done<Vec<u16>> {
            let offsets = row.try_get::<_, Option<Vec<i32>>>(column)?.unwrap_or_default();
            Ok(offsets.into_iter().map(u16::try_from).collect::<Result<_, _>>().map_err(|_| broken())?)
        };
        let times = numbers(3)?.into_iter().map(Timestamp::from_millis);
        let expiring: Vec<_> = offsets(2)?
            .into_iter()
            .zip(numbers(4)?)
            .zip(times)
            .map(|((offset, no), time)| (offset, no, time))
            .collect();
        let ids = numbers(6)?.into_iter().map(|id| TemplateId(id.cast_unsigned()));
        let variables = row.try_get::<_, Option<Vec<&[u8]>>>(7)?.unwrap_or_default();
        let templates: Vec<_> =
            offsets(5)?.into_iter().zip(ids).zip(variables).map(|((offset, id), own)| (offset, id, own)).collect();
        Ok(Self {
            heads: string(0)?,
            channels: string(1)?,
            expiring: expiring.into_iter().peekable(),
            templates: templates.into_iter().peekable(),
            changed: offsets(8)?.into_iter().peekable(),
        })
    }

    /// The next row: its head and its channel.
    fn next(&mut self) -> Done<Option<(Head, &'a [u8])>> {
        if self.heads.is_empty() {
            return Ok(None);
        }
        let [high, low, platform, class, length @ ..]: [u8; 8] = take(&mut self.heads)?;
        let length = u32::from_be_bytes(length) as usize;
        let head = Head { offset: u16::from_be_bytes([high, low]), class, platform, length };
        let (channel, rest) = self.channels.split_at_checked(head.length).ok_or_else(broken)?;
        self.channels = rest;
        Ok(Some((head, channel)))
    }

    /// Installation and expiry of the row with this offset, if it expires; asked for in the order of the rows.
    fn expiring(&mut self, offset: u16) -> Option<(i64, Timestamp)> {
        while self.expiring.next_if(|(next, ..)| *next < offset).is_some() {}
        self.expiring.next_if(|(next, ..)| *next == offset).map(|(_, installation, expires)| (installation, expires))
    }

    /// Whether the user of the row with this offset changed; asked for in the order of the rows.
    fn user_changed(&mut self, offset: u16) -> bool {
        while self.changed.next_if(|next| *next < offset).is_some() {}
        self.changed.next_if_eq(&offset).is_some()
    }

    /// Template and variables of the row with this offset, if it names one; asked for in the order of the rows.
    fn template(&mut self, offset: u16) -> Option<(TemplateId, &'a [u8])> {
        while self.templates.next_if(|(next, ..)| *next < offset).is_some() {}
        self.templates.next_if(|(next, ..)| *next == offset).map(|(_, id, variables)| (id, variables))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Done<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk().ok_or_else(broken)?;
    *rest = after;
    Ok(*bytes)
}

fn broken() -> StoreError {
    StoreError::Engine("the database's page of targets is not of the form that was asked for".to_owned())
}
