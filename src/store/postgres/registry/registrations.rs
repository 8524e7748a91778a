//! Targets as registrations: the rows that a list needs.

use super::super::pool::query;
use super::index::View;
use super::load;
use crate::model::hash;
use crate::model::id::Seq;
use crate::model::registration::filter::Handle;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::index::Touch;
use crate::store::registration::{InstallationRow, RegistrationView, key, keys_of, of_key};

impl RegistrationView for View<'_> {
    fn now(&self) -> Timestamp {
        self.time()
    }

    fn live_seqs(&self, from: Seq, limit: usize) -> Result<Vec<Seq>> {
        let (_, below) = keys_of(self.hub);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT key FROM target WHERE key >= $1 AND key < $2 AND gone_why IS NULL ORDER BY key LIMIT $3";
        self.wait(async {
            let rows = query(self.tx, sql, &[&key(self.hub, from), &below, &limit]).await?;
            rows.iter().map(|row| Ok(of_key(row.try_get(0)?).1)).collect()
        })
    }

    fn seqs_on(&self, handle: &Handle) -> Result<Vec<Seq>> {
        let (from, below) = keys_of(self.hub);
        let hash = hash::channel(self.hub, handle.platform, &handle.channel).cast_signed();
        let platform = i16::from(handle.platform.code());
        let sql = "SELECT key FROM target WHERE channel_hash = $1 AND gone_why IS NULL AND key >= $2 AND key < $3 \
                   AND platform = $4 AND channel = $5";
        self.wait(async {
            let rows = query(self.tx, sql, &[&hash, &from, &below, &platform, &&*handle.channel]).await?;
            rows.iter().map(|row| Ok(of_key(row.try_get(0)?).1)).collect()
        })
    }

    fn owners(&self, seqs: &[Seq]) -> Result<Vec<(Seq, InstallationRow, Option<Touch>)>> {
        let keys: Vec<i64> = seqs.iter().map(|seq| key(self.hub, *seq)).collect();
        let columns: Vec<String> = load::INSTALLATION.split(", ").map(|column| format!("i.{column}")).collect();
        let sql = format!(
            "SELECT {}, t.key FROM target t JOIN installation i ON i.no = t.installation \
             WHERE t.key = ANY ($1) AND t.gone_why IS NULL ORDER BY t.key",
            columns.join(", ")
        );
        let rows = self.wait(query(self.tx, &sql, &[&keys]))?;
        let mut owners = Vec::with_capacity(rows.len());
        for row in &rows {
            let (owner, seq) =
                self.wait(async { Ok((load::installation(row)?.row, of_key(row.try_get(columns.len())?).1)) })?;
            let touch = self.newest_touch(owner.no)?;
            owners.push((seq, owner, touch));
        }
        Ok(owners)
    }
}
