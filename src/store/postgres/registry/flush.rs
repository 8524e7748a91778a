//! Writes what a run of the rules changed: one statement for each kind of change, over arrays.

use deadpool_postgres::Transaction;

use super::super::error::Done;
use super::super::pool::execute;
use super::base::{Installation, Named, Target};
use super::working_set::{Changed, TargetEdit, Tombstone, WorkingSet};
use crate::model::time::Timestamp;
use crate::store::registration::encode_seqs;

/// All of it. The statements are sent one behind the other, without waiting for each.
pub(super) async fn flush(tx: &Transaction<'_>, set: &WorkingSet<'_>) -> Done<()> {
    let (mut new, mut whole, mut light, mut deleted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (no, changed) in &set.installations {
        match changed {
            Changed::New(it) => new.push(it),
            Changed::Whole(it) => whole.push(it),
            Changed::Light(it) => light.push(it),
            Changed::Deleted(true) => deleted.push(*no),
            Changed::Deleted(false) => {}
        }
    }
    let (mut came, mut left, mut differ) = (Vec::new(), Vec::new(), Vec::new());
    for (key, edit) in &set.targets {
        match (&edit.new, &edit.gone) {
            (Some(_), _) => came.push((*key, edit)),
            (None, Some(_)) => left.push((*key, edit)),
            (None, None) => differ.push((*key, edit)),
        }
    }
    let delete = async {
        if !deleted.is_empty() {
            execute(tx, "DELETE FROM installation WHERE no = ANY ($1)", &[&deleted]).await?;
        }
        Ok(())
    };
    futures_util::try_join!(
        insert_installations(tx, &new),
        rewrite_installations(tx, &whole),
        change_installations(tx, &light),
        delete,
        insert_targets(tx, &came),
        bury_targets(tx, &left),
        change_targets(tx, &differ),
    )?;
    Ok(())
}

/// The columns of installations, as arrays.
struct Installations<'a> {
    no: Vec<i64>,
    id_hash: Vec<i64>,
    user_hash: Vec<Option<i64>>,
    document: Vec<&'a [u8]>,
    expires: Vec<Option<i64>>,
    confirmed: Vec<i64>,
    updated: Vec<i64>,
    channel_dead: Vec<bool>,
    seqs: Vec<Vec<u8>>,
}

impl<'a> Installations<'a> {
    fn of(them: &[&'a Installation]) -> Self {
        let rows = || them.iter().map(|it| &it.row);
        Self {
            no: rows().map(|row| row.no).collect(),
            id_hash: them.iter().map(|it| it.id_hash).collect(),
            user_hash: them.iter().map(|it| it.user_hash).collect(),
            document: them.iter().map(|it| &*it.row.document).collect(),
            expires: rows().map(|row| row.times.expires.map(Timestamp::millis)).collect(),
            confirmed: rows().map(|row| row.times.confirmed.millis()).collect(),
            updated: rows().map(|row| row.updated.millis()).collect(),
            channel_dead: rows().map(|row| row.channel_dead).collect(),
            seqs: rows().map(|row| encode_seqs(&row.seqs)).collect(),
        }
    }
}

async fn insert_installations(tx: &Transaction<'_>, them: &[&Installation]) -> Done<()> {
    if them.is_empty() {
        return Ok(());
    }
    let it = Installations::of(them);
    let sql = "INSERT INTO installation \
               (no, id_hash, user_hash, document, expires, confirmed, updated, channel_dead, seqs) \
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[], \
               $7::bigint[], $8::boolean[], $9::bytea[])";
    let bind: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
        &it.no,
        &it.id_hash,
        &it.user_hash,
        &it.document,
        &it.expires,
        &it.confirmed,
        &it.updated,
        &it.channel_dead,
        &it.seqs,
    ];
    execute(tx, sql, &bind).await?;
    Ok(())
}

async fn rewrite_installations(tx: &Transaction<'_>, them: &[&Installation]) -> Done<()> {
    if them.is_empty() {
        return Ok(());
    }
    let it = Installations::of(them);
    // An index is written only where the value of its column changes.
    let sql = "UPDATE installation AS i SET user_hash = n.user_hash, document = n.document, expires = n.expires, \
               confirmed = n.confirmed, updated = n.updated, channel_dead = n.channel_dead, seqs = n.seqs \
               FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], \
               $7::boolean[], $8::bytea[]) \
               AS n (no, user_hash, document, expires, confirmed, updated, channel_dead, seqs) WHERE i.no = n.no";
    let bind: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
        [&it.no, &it.user_hash, &it.document, &it.expires, &it.confirmed, &it.updated, &it.channel_dead, &it.seqs];
    execute(tx, sql, &bind).await?;
    Ok(())
}

async fn change_installations(tx: &Transaction<'_>, them: &[&Installation]) -> Done<()> {
    if them.is_empty() {
        return Ok(());
    }
    let it = Installations::of(them);
    let sql = "UPDATE installation AS i SET expires = n.expires, confirmed = n.confirmed, \
               channel_dead = n.channel_dead, seqs = n.seqs \
               FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::boolean[], $5::bytea[]) \
               AS n (no, expires, confirmed, channel_dead, seqs) WHERE i.no = n.no";
    execute(tx, sql, &[&it.no, &it.expires, &it.confirmed, &it.channel_dead, &it.seqs]).await?;
    Ok(())
}

/// Those that came, with a tombstone at once where they have left again.
async fn insert_targets(tx: &Transaction<'_>, them: &[(i64, &TargetEdit)]) -> Done<()> {
    let new: Vec<_> = them.iter().filter_map(|(key, edit)| Some((key, edit.new.as_ref()?, &edit.gone))).collect();
    if new.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = new.iter().map(|(key, ..)| **key).collect();
    let installations: Vec<i64> = new.iter().map(|(_, it, _)| it.installation).collect();
    let classes: Vec<i16> = new.iter().map(|(_, it, _)| i16::from(it.class.code())).collect();
    let platforms: Vec<i16> = new.iter().map(|(_, it, _)| i16::from(it.platform.code())).collect();
    let names: Vec<Option<&str>> = new.iter().map(|(_, it, _)| it.name.as_deref()).collect();
    let channels: Vec<Option<&[u8]>> = new.iter().map(|(_, it, gone)| gone.is_none().then_some(&*it.channel)).collect();
    let hashes: Vec<i64> = new.iter().map(|(_, it, _)| it.channel_hash).collect();
    let expires: Vec<Option<i64>> = new.iter().map(|(_, it, _)| it.times.expires.map(Timestamp::millis)).collect();
    let confirmed: Vec<i64> = new.iter().map(|(_, it, _)| it.times.confirmed.millis()).collect();
    let marks: Vec<i64> = new.iter().map(|(_, it, _)| it.user_mark.cast_signed()).collect();
    let templates: Vec<Option<i64>> =
        new.iter().map(|(_, it, gone)| named(it, gone).map(|named| named.id.0.cast_signed())).collect();
    let variables: Vec<Option<&[u8]>> =
        new.iter().map(|(_, it, gone)| named(it, gone).and_then(|named| named.variables.as_deref())).collect();
    let whys: Vec<Option<i16>> = new.iter().map(|(.., gone)| gone.as_ref().map(|gone| gone.why as i16)).collect();
    let ats: Vec<Option<i64>> = new.iter().map(|(.., gone)| gone.as_ref().map(|gone| gone.at.millis())).collect();
    let ids: Vec<Option<&str>> = new.iter().map(|(.., gone)| gone.as_ref().map(|gone| &*gone.id)).collect();
    let sql = "INSERT INTO target (key, installation, class, platform, name, channel, channel_hash, expires, confirmed, \
               user_mark, gone_why, gone_at, gone_id, template, variables) \
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[], $5::text[], \
               $6::bytea[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::smallint[], $12::bigint[], \
               $13::text[], $14::bigint[], $15::bytea[])";
    let bind: [&(dyn tokio_postgres::types::ToSql + Sync); 15] = [
        &keys,
        &installations,
        &classes,
        &platforms,
        &names,
        &channels,
        &hashes,
        &expires,
        &confirmed,
        &marks,
        &whys,
        &ats,
        &ids,
        &templates,
        &variables,
    ];
    execute(tx, sql, &bind).await?;
    Ok(())
}

/// A tombstone names no template.
fn named<'a>(target: &'a Target, gone: &Option<Tombstone>) -> Option<&'a Named> {
    target.template.as_ref().filter(|_| gone.is_none())
}

async fn bury_targets(tx: &Transaction<'_>, them: &[(i64, &TargetEdit)]) -> Done<()> {
    let gone: Vec<_> = them.iter().filter_map(|(key, edit)| Some((*key, edit.gone.as_ref()?))).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = gone.iter().map(|(key, _)| *key).collect();
    let whys: Vec<i16> = gone.iter().map(|(_, gone)| gone.why as i16).collect();
    let ats: Vec<i64> = gone.iter().map(|(_, gone)| gone.at.millis()).collect();
    let ids: Vec<&str> = gone.iter().map(|(_, gone)| &*gone.id).collect();
    let sql = "UPDATE target AS t SET channel = NULL, template = NULL, variables = NULL, gone_why = n.why, gone_at = n.at, gone_id = n.id \
               FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::text[]) AS n (key, why, at, id) \
               WHERE t.key = n.key";
    execute(tx, sql, &[&keys, &whys, &ats, &ids]).await?;
    Ok(())
}

async fn change_targets(tx: &Transaction<'_>, them: &[(i64, &TargetEdit)]) -> Done<()> {
    if them.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = them.iter().map(|(key, _)| *key).collect();
    let channel = |edit: &'_ TargetEdit| edit.channel.as_ref().map(|(_, hash)| *hash);
    let channels: Vec<Option<&[u8]>> =
        them.iter().map(|(_, edit)| edit.channel.as_ref().map(|(channel, _)| &**channel)).collect();
    let hashes: Vec<Option<i64>> = them.iter().map(|(_, edit)| channel(edit)).collect();
    let timed: Vec<bool> = them.iter().map(|(_, edit)| edit.times.is_some()).collect();
    let expires: Vec<Option<i64>> =
        them.iter().map(|(_, edit)| edit.times.and_then(|times| times.expires).map(Timestamp::millis)).collect();
    let confirmed: Vec<Option<i64>> =
        them.iter().map(|(_, edit)| edit.times.map(|times| times.confirmed.millis())).collect();
    let marks: Vec<Option<i64>> = them.iter().map(|(_, edit)| edit.user_mark.map(u64::cast_signed)).collect();
    let templates: Vec<Option<i64>> =
        them.iter().map(|(_, edit)| edit.template.as_ref().map(|named| named.id.0.cast_signed())).collect();
    let variables: Vec<Option<&[u8]>> =
        them.iter().map(|(_, edit)| edit.template.as_ref().and_then(|named| named.variables.as_deref())).collect();
    let corrections: Vec<bool> = them.iter().map(|(_, edit)| edit.correction).collect();
    let sql = "UPDATE target AS t SET channel = coalesce(n.channel, t.channel), \
               channel_hash = coalesce(n.channel_hash, t.channel_hash), \
               expires = CASE WHEN n.timed THEN n.expires ELSE t.expires END, \
               confirmed = coalesce(n.confirmed, t.confirmed), user_mark = coalesce(n.user_mark, t.user_mark), \
               template = coalesce(n.template, t.template), \
               variables = CASE WHEN n.template IS NOT NULL THEN n.variables ELSE t.variables END \
               FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::boolean[], $5::bigint[], $6::bigint[], \
               $7::bigint[], $8::boolean[], $9::bigint[], $10::bytea[]) AS n \
               (key, channel, channel_hash, timed, expires, confirmed, user_mark, correction, template, variables) \
               WHERE t.key = n.key AND (NOT n.correction OR t.expires IS DISTINCT FROM n.expires \
               OR t.confirmed <> n.confirmed)";
    let bind: [&(dyn tokio_postgres::types::ToSql + Sync); 10] =
        [&keys, &channels, &hashes, &timed, &expires, &confirmed, &marks, &corrections, &templates, &variables];
    execute(tx, sql, &bind).await?;
    Ok(())
}
