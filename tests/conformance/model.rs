//! The registry as a plain map, and audiences tried on every target one by one.

use std::collections::{BTreeMap, BTreeSet};

use fanfare::model::audience::{Audience, Expr, Term};
use fanfare::model::id::InstallationId;
use fanfare::model::installation::{Installation, TargetSpec};
use fanfare::model::platform::Platform;
use fanfare::model::tag::Tag;
use fanfare::model::target::{AudienceKind, TargetClass};
use fanfare::model::time::Timestamp;
use fanfare::store::{Applied, Change};

#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) installation: Installation,
    pub(crate) confirmed: Timestamp,
    pub(crate) updated: Timestamp,
}

/// A live target as its row shows it; of a template target the body, and the push variables that it reads.
pub(crate) type Row = (TargetClass, Platform, Vec<u8>, (Option<String>, String));

/// What is registered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    by_id: BTreeMap<InstallationId, Known>,
}

impl Registry {
    pub(crate) fn apply(&mut self, change: &Change, now: Timestamp) -> Applied {
        self.by_id.retain(|_, known| known.installation.expires.is_none_or(|expires| expires > now));
        match change {
            Change::Delete(id) => {
                if self.by_id.remove(id).is_some() {
                    Applied::Deleted
                } else {
                    Applied::Absent
                }
            }
            Change::Put(installation) => {
                let new = Known { installation: (**installation).clone(), confirmed: now, updated: now };
                match self.by_id.insert(installation.id.clone(), new) {
                    None => Applied::Created,
                    Some(old) if old.installation.stored_form() == installation.stored_form() => {
                        self.by_id.get_mut(&installation.id).unwrap().updated = old.updated;
                        Applied::Touched
                    }
                    Some(_) => Applied::Updated,
                }
            }
        }
    }

    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = &Known> {
        self.by_id.values().filter(move |known| known.installation.expires.is_none_or(|expires| expires > now))
    }

    pub(crate) fn get(&self, id: &InstallationId, now: Timestamp) -> Option<&Known> {
        self.live(now).find(|known| known.installation.id == *id)
    }

    pub(crate) fn count(&self, audience: &Audience, kind: AudienceKind, now: Timestamp) -> BTreeMap<Platform, u64> {
        let mut counts = BTreeMap::new();
        for known in self.live(now) {
            for target in known.installation.targets() {
                if is_meant(audience, kind, &known.installation, &target) {
                    *counts.entry(known.installation.platform.platform()).or_default() += 1;
                }
            }
        }
        counts
    }

    /// Ids of those whose native target is meant.
    pub(crate) fn ids(&self, audience: &Audience, now: Timestamp) -> BTreeSet<InstallationId> {
        let meant = self.live(now).filter(|known| {
            let targets = known.installation.targets();
            is_meant(audience, AudienceKind::Native, &known.installation, &targets[0])
        });
        meant.map(|known| known.installation.id.clone()).collect()
    }

    /// What `read_rows` shows of every live target, in some order.
    pub(crate) fn rows(&self, now: Timestamp) -> Vec<Row> {
        let mut rows = Vec::new();
        for known in self.live(now) {
            let platform = known.installation.platform.platform();
            let targets = known.installation.targets();
            let name = known.installation.push_variables.get("name");
            let sends = |it: &TargetSpec<'_>| {
                let body = it.template.map(|template| template.body.clone());
                let reads = body.as_ref().is_some_and(|body| body.contains("$(Name)"));
                let variables = name.filter(|_| reads).map(|name| format!("{{\"name\":\"{name}\"}}"));
                (body, variables.unwrap_or_default())
            };
            rows.extend(targets.iter().map(|it| (it.kind.class(), platform, it.channel.bytes().to_vec(), sends(it))));
        }
        rows.sort();
        rows
    }
}

fn is_meant(audience: &Audience, kind: AudienceKind, of: &Installation, target: &TargetSpec<'_>) -> bool {
    let expr = match audience {
        Audience::Everyone => None,
        Audience::Expr(expr) => Some(expr),
    };
    let class = target.kind.class();
    let tile = match kind {
        AudienceKind::Native => TargetClass::Tile,
        AudienceKind::Template => TargetClass::TileTemplate,
    };
    let reached = class == kind.class() || (class == tile && expr.is_some_and(|expr| names(expr, false, &target.tags)));
    reached && expr.is_none_or(|expr| holds(expr, of, &target.tags))
}

fn holds(expr: &Expr, of: &Installation, tags: &[Tag]) -> bool {
    match expr {
        Expr::Term(Term::Tag(tag)) => tags.contains(tag),
        Expr::Term(Term::User(user)) => of.user.as_ref().is_some_and(|own| own.as_str() == &**user),
        Expr::Term(Term::Installation(id)) => of.id.as_str() == &**id,
        Expr::Not(inner) => !holds(inner, of, tags),
        Expr::And(members) => members.iter().all(|member| holds(member, of, tags)),
        Expr::Or(members) => members.iter().any(|member| holds(member, of, tags)),
    }
}

/// Whether a tag that stands un-negated is among `tags`.
fn names(expr: &Expr, negated: bool, tags: &[Tag]) -> bool {
    match expr {
        Expr::Term(Term::Tag(tag)) => !negated && tags.contains(tag),
        Expr::Term(_) => false,
        Expr::Not(inner) => names(inner, !negated, tags),
        Expr::And(members) | Expr::Or(members) => members.iter().any(|member| names(member, negated, tags)),
    }
}
