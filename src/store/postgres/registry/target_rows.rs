//! Rows for workers: what a chunk's targets need to be sent to.
//!
//! A dense set is read by one scan of its span with COPY, whose binary form is taken apart in place: a million and more
//! rows a second, where a row object for each target would cost the worker as much again as sending. A sparse one is
//! asked for by its keys.

use deadpool_postgres::Client;
use futures_util::{StreamExt, pin_mut};

use super::super::StoreError;
use super::super::error::Done;
use super::super::pool::query;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, HubId, Seq};
use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::model::template::TemplateId;
use crate::model::time::Timestamp;
use crate::store::TargetRows;

/// A set this dense within its span is read by one scan of the span. Finding a row by its key costs about what stepping
/// over this many does.
const SCAN_DENSITY: u32 = 8;

/// The columns, in the order in which they are read here.
const COLUMNS: &str = "key, class, platform, channel, expires, user_mark, installation, template, variables";

/// The live rows of `set`, in seq order. `expiry` tells the expiry of a target with this installation and this expiry in
/// its row, which may lag behind.
pub(super) async fn read(
    client: &Client,
    hub: HubId,
    chunk: ChunkNo,
    set: &ChunkSet,
    expiry: impl Fn(i64, Timestamp) -> Option<Timestamp> + Send,
) -> Done<TargetRows> {
    let (Some(first), Some(last)) = (set.first(), set.last()) else { return Ok(TargetRows::default()) };
    let key = |offset: u16| i64::from(hub.0) << 40 | Seq::at(chunk, offset).0.cast_signed();
    let mut page = Page { hub, expiry, rows: TargetRows::with_capacity(set.len() as usize) };
    let span = u32::from(last - first) + 1;
    if set.len() * SCAN_DENSITY >= span {
        // Numbers of our own: COPY takes no parameters.
        let sql = format!(
            "COPY (SELECT {COLUMNS} FROM target WHERE key BETWEEN {} AND {} ORDER BY key) TO STDOUT (FORMAT binary)",
            key(first),
            key(last)
        );
        let stream = client.copy_out(sql.as_str()).await?;
        pin_mut!(stream);
        let mut wanted = set.iter().peekable();
        let mut header = true;
        while let Some(part) = stream.next().await {
            let part = part?;
            let mut rest: &[u8] = &part;
            if std::mem::take(&mut header) {
                skip_header(&mut rest)?;
            }
            while let Some(tuple) = Tuple::take(&mut rest)? {
                let offset = tuple.seq().offset();
                while wanted.next_if(|&next| next < offset).is_some() {}
                if wanted.next_if_eq(&offset).is_some() {
                    page.push(&tuple)?;
                }
            }
        }
        return Ok(page.rows);
    }
    let keys: Vec<i64> = set.iter().map(key).collect();
    let sql = format!("SELECT {COLUMNS} FROM target WHERE key = ANY ($1) ORDER BY key");
    for row in query(client, &sql, &[&keys]).await? {
        page.push(&Tuple {
            key: row.try_get(0)?,
            class: row.try_get(1)?,
            platform: row.try_get(2)?,
            channel: row.try_get(3)?,
            expires: row.try_get(4)?,
            user_mark: row.try_get(5)?,
            installation: row.try_get(6)?,
            template: row.try_get(7)?,
            variables: row.try_get(8)?,
        })?;
    }
    Ok(page.rows)
}

struct Page<F> {
    hub: HubId,
    expiry: F,
    rows: TargetRows,
}

impl<F: Fn(i64, Timestamp) -> Option<Timestamp>> Page<F> {
    fn push(&mut self, tuple: &Tuple<'_>) -> Done<()> {
        // A tombstone has none.
        let Some(channel) = tuple.channel else { return Ok(()) };
        let broken = || StoreError::Corrupt(format!("target {} of hub {}", tuple.seq(), self.hub));
        let code = |number: i16| u8::try_from(number).map_err(|_| broken());
        let class = TargetClass::from_code(code(tuple.class)?).ok_or_else(broken)?;
        let platform = Platform::from_code(code(tuple.platform)?).ok_or_else(broken)?;
        let expires = tuple.expires.map(Timestamp::from_millis);
        let expires = expires.and_then(|expires| (self.expiry)(tuple.installation, expires));
        self.rows.push(tuple.seq(), class, platform, channel, expires, tuple.user_mark.cast_unsigned());
        if let Some(template) = tuple.template {
            self.rows.link(TemplateId(template.cast_unsigned()), tuple.variables.unwrap_or_default());
        }
        Ok(())
    }
}

/// One row.
struct Tuple<'a> {
    key: i64,
    class: i16,
    platform: i16,
    channel: Option<&'a [u8]>,
    expires: Option<i64>,
    user_mark: i64,
    installation: i64,
    template: Option<i64>,
    variables: Option<&'a [u8]>,
}

impl Tuple<'_> {
    fn seq(&self) -> Seq {
        Seq(self.key.cast_unsigned() & (Seq::END - 1))
    }
}

impl<'a> Tuple<'a> {
    /// The next row of a part of COPY's binary form; `None` at its end. The server puts whole rows into a part.
    fn take(rest: &mut &'a [u8]) -> Done<Option<Self>> {
        if rest.is_empty() {
            return Ok(None);
        }
        match i16::from_be_bytes(array(rest)?) {
            -1 => {
                *rest = &[];
                return Ok(None);
            }
            9 => {}
            _ => return Err(broken().into()),
        }
        Ok(Some(Self {
            key: i64::from_be_bytes(exactly(field(rest)?)?),
            class: i16::from_be_bytes(exactly(field(rest)?)?),
            platform: i16::from_be_bytes(exactly(field(rest)?)?),
            channel: field(rest)?,
            expires: field(rest)?.map(|bytes| exactly(Some(bytes)).map(i64::from_be_bytes)).transpose()?,
            user_mark: i64::from_be_bytes(exactly(field(rest)?)?),
            installation: i64::from_be_bytes(exactly(field(rest)?)?),
            template: field(rest)?.map(|bytes| exactly(Some(bytes)).map(i64::from_be_bytes)).transpose()?,
            variables: field(rest)?,
        }))
    }
}

/// Skips signature, flags and what they announce (PostgreSQL's manual, COPY, "Binary Format").
fn skip_header(rest: &mut &[u8]) -> Done<()> {
    *rest = rest.strip_prefix(b"PGCOPY\n\xff\r\n\0").ok_or_else(broken)?;
    let _flags: [u8; 4] = array(rest)?;
    let extension = u32::from_be_bytes(array(rest)?) as usize;
    *rest = rest.get(extension..).ok_or_else(broken)?;
    Ok(())
}

/// A column: its length and its bytes, or a length below zero for NULL.
fn field<'a>(rest: &mut &'a [u8]) -> Done<Option<&'a [u8]>> {
    let Ok(length) = usize::try_from(i32::from_be_bytes(array(rest)?)) else { return Ok(None) };
    let (bytes, after) = rest.split_at_checked(length).ok_or_else(broken)?;
    *rest = after;
    Ok(Some(bytes))
}

fn array<const N: usize>(rest: &mut &[u8]) -> Done<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk().ok_or_else(broken)?;
    *rest = after;
    Ok(*bytes)
}

fn exactly<const N: usize>(bytes: Option<&[u8]>) -> Done<[u8; N]> {
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(broken)?)
}

fn broken() -> StoreError {
    StoreError::Engine("the database's COPY is not of the form that was asked for".to_owned())
}
