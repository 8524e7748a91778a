//! Which template a target has: its content is stored once by number, however many targets share it, and the target's row
//! names the number (design.md section 6).
//!
//! A row that was written before templates were stored names none, and neither does one that another node of the previous
//! version changed. Whoever needs it asks for [`relink`], which reads the document again.

use std::collections::BTreeMap;

use super::row::{describe, key};
use super::rows::Rows;
use crate::model::id::{HubId, Seq};
use crate::model::installation::Template;
use crate::model::platform::Platform;
use crate::model::template::{Compiled, Mode, TemplateId};
use crate::model::time::Timestamp;
use crate::store::{Result, StoreError};

/// How long the round over all templates rests once it is done.
const REST: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Push variables by name.
pub(super) type Variables = BTreeMap<String, String>;

/// What a template target's row says of its template, and the content behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct TemplateLink {
    pub(in crate::store) id: TemplateId,
    /// [`TemplateContent::encode`](crate::model::template::TemplateContent::encode).
    pub(in crate::store) content: Vec<u8>,
    /// Those push variables of the device that the template reads ([`Compiled::variables`]). They stand with the target:
    /// whoever sends to it need not look into its installation.
    pub(in crate::store) variables: Option<Vec<u8>>,
}

impl TemplateLink {
    /// `variables` are the device's push variables.
    pub(super) fn new(hub: HubId, platform: Platform, variables: &Variables, template: &Template) -> Self {
        let content = template.content(platform);
        let variables = if variables.is_empty() {
            None
        } else {
            // A template that was never looked at may be none; then nothing of it is sent.
            let compiled = Compiled::new(&content, Mode::Lenient).ok();
            compiled.and_then(|compiled| compiled.variables(variables))
        };
        let content = content.encode();
        Self { id: TemplateId::of(hub, &content), content, variables }
    }
}

/// Tells a target's row its template by the document as it stands. One that has left, or is no template, stays as it is.
pub(in crate::store) fn relink(rows: &mut impl Rows, hub: HubId, seq: Seq) -> Result<()> {
    let Some(target) = rows.live_target(key(hub, seq))? else { return Ok(()) };
    let Some(row) = rows.installation(target.installation)? else { return Ok(()) };
    let described = describe(hub, &row.record()?);
    let own = described.iter().zip(&row.seqs).find(|(_, place)| **place == Some(seq));
    if let Some(link) = own.and_then(|(described, _)| described.template.as_ref()) {
        rows.keep_template(hub, link)?;
        rows.set_template(key(hub, seq), link)?;
    }
    Ok(())
}

/// Two contents with one number: nobody meets that by chance, and neither may be sent for the other.
pub(in crate::store) fn same_number(hub: HubId, id: TemplateId) -> StoreError {
    StoreError::Full(format!("a template of hub {hub} has the number of another one ({id})"))
}

/// How far the round is that looks for templates which no target has any more.
#[derive(Debug, Default)]
pub(in crate::store) struct Round {
    /// The key of the last one that was looked at.
    after: Option<(HubId, TemplateId)>,
    rests_until: Option<Timestamp>,
}

impl Round {
    /// The (hub, number) after which to go on, as rows have it; `None` while the round rests.
    pub(in crate::store) fn next(&self, now: Timestamp) -> Option<(i64, i64)> {
        if self.rests_until.is_some_and(|until| until > now) {
            return None;
        }
        Some(self.after.map_or((0, i64::MIN), |(hub, id)| (i64::from(hub.0), id.0.cast_signed())))
    }

    /// It came to there; with `None` to the end.
    pub(in crate::store) fn went(&mut self, to: Option<(HubId, TemplateId)>, now: Timestamp) {
        self.after = to;
        self.rests_until = if to.is_none() { Some(now.plus(REST)) } else { None };
    }
}
