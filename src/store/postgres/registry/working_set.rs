//! The rows that one commit of one hub is about, in memory.
//!
//! The rules of registration ask for rows one by one; a statement for each would be a round trip for each. So they run
//! over this: what was read, and over it what the run has changed. What it has not been told of it notes as missing and
//! answers as absent: the run is then for nothing, the missing is read in one go, and the rules run again from the
//! start ([`super::transaction`]). Two or three runs do for any group, and nothing is written before the last.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::base::{Base, Installation, Named, Needs, OF_A_CHANNEL, Target};
use crate::model::id::{HubId, Seq};
use crate::model::platform::Platform;
use crate::model::template::TemplateId;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::index::{Touch, Touches};
use crate::store::registration::{
    Departure, Described, Gone, InstallationRow, LiveTarget, NewInstallation, NewTarget, Rewritten, Rows, TemplateLink,
    id_text, key, of_key, same_number,
};

/// What a run made of one installation.
#[derive(Debug)]
pub(super) enum Changed {
    New(Installation),
    /// All of the row.
    Whole(Installation),
    /// Times and seqs, but not the document.
    Light(Installation),
    /// `true`: it was there before the run.
    Deleted(bool),
}

impl Changed {
    fn present(&self) -> Option<&Installation> {
        match self {
            Self::New(it) | Self::Whole(it) | Self::Light(it) => Some(it),
            Self::Deleted(_) => None,
        }
    }
}

/// What a run made of one target.
#[derive(Debug, Default)]
pub(super) struct TargetEdit {
    /// It is new; later changes of the run are in here.
    pub(super) new: Option<Target>,
    pub(super) gone: Option<Tombstone>,
    pub(super) channel: Option<(Vec<u8>, i64)>,
    pub(super) times: Option<Touch>,
    /// Written only where the row says otherwise.
    pub(super) correction: bool,
    pub(super) user_mark: Option<u64>,
    pub(super) template: Option<Named>,
}

/// What a tombstone says.
#[derive(Clone, Debug)]
pub(super) struct Tombstone {
    pub(super) why: Departure,
    pub(super) at: Timestamp,
    pub(super) id: String,
}

/// One run of the rules.
#[derive(Debug)]
pub(super) struct WorkingSet<'a> {
    base: &'a Base,
    /// In the order of their keys, which is that of the tables.
    pub(super) installations: BTreeMap<i64, Changed>,
    pub(super) targets: BTreeMap<i64, TargetEdit>,
    /// Contents that must be there with the commit.
    pub(super) templates: BTreeMap<TemplateId, Vec<u8>>,
    new_by_id_hash: HashMap<i64, Vec<i64>>,
    /// Keys that came to a channel in this run.
    joined: HashMap<i64, Vec<i64>>,
    pub(super) missing: Needs,
}

impl<'a> WorkingSet<'a> {
    pub(super) fn new(base: &'a Base) -> Self {
        Self {
            base,
            installations: BTreeMap::new(),
            targets: BTreeMap::new(),
            templates: BTreeMap::new(),
            new_by_id_hash: HashMap::new(),
            joined: HashMap::new(),
            missing: Needs::default(),
        }
    }

    fn present(&self, no: i64) -> Option<&Installation> {
        match self.installations.get(&no) {
            Some(changed) => changed.present(),
            None => self.base.installations.get(&no),
        }
    }

    /// Changes an installation's row; `whole` when more than times and seqs change.
    fn change(&mut self, no: i64, whole: bool, change: impl FnOnce(&mut Installation)) {
        let changed = match self.installations.remove(&no) {
            Some(changed) => changed,
            None => match self.base.installations.get(&no) {
                Some(it) => Changed::Light(it.clone()),
                None => {
                    self.missing.installations.insert(no);
                    return;
                }
            },
        };
        let changed = match changed {
            Changed::New(mut it) => {
                change(&mut it);
                Changed::New(it)
            }
            Changed::Light(mut it) if !whole => {
                change(&mut it);
                Changed::Light(it)
            }
            Changed::Light(mut it) | Changed::Whole(mut it) => {
                change(&mut it);
                Changed::Whole(it)
            }
            deleted @ Changed::Deleted(_) => deleted,
        };
        self.installations.insert(no, changed);
    }

    /// A target as it was read or made, and the channel that it has now.
    fn live(&self, key: i64) -> Option<(&Target, &[u8])> {
        let edit = self.targets.get(&key);
        if edit.is_some_and(|edit| edit.gone.is_some()) {
            return None;
        }
        let target = edit.and_then(|edit| edit.new.as_ref()).or_else(|| self.base.targets.get(&key))?;
        let channel = edit.and_then(|edit| edit.channel.as_ref()).map_or(&*target.channel, |(channel, _)| channel);
        Some((target, channel))
    }
}

impl Rows for WorkingSet<'_> {
    fn find(&mut self, hub: HubId, id_hash: u64, id: &str) -> Result<Option<InstallationRow>> {
        let hash = id_hash.cast_signed();
        if !self.base.told.id_hashes.contains(&hash) {
            self.missing.id_hashes.insert(hash);
            return Ok(None);
        }
        let new = self.new_by_id_hash.get(&hash).into_iter().flatten();
        let places = new.chain(self.base.by_id_hash.get(&hash).into_iter().flatten());
        let mut found = places.filter_map(|no| self.present(*no));
        let found = found.find(|it| of_key(it.row.no).0 == hub && id_text(&it.row.document) == Some(id));
        Ok(found.map(|it| it.row.clone()))
    }

    fn installation(&mut self, no: i64) -> Result<Option<InstallationRow>> {
        let known = self.installations.contains_key(&no)
            || self.base.installations.contains_key(&no)
            || self.base.told.installations.contains(&no);
        if !known {
            self.missing.installations.insert(no);
        }
        Ok(self.present(no).map(|it| it.row.clone()))
    }

    fn live_target(&mut self, key: i64) -> Result<Option<LiveTarget>> {
        let known = self.targets.contains_key(&key) || self.base.targets.contains_key(&key);
        if !known && !self.base.told.targets.contains(&key) {
            self.missing.targets.insert(key);
        }
        let times = self.targets.get(&key).and_then(|edit| edit.times);
        Ok(self.live(key).map(|(target, channel)| LiveTarget {
            installation: target.installation,
            channel: channel.to_vec(),
            confirmed: times.unwrap_or(target.times).confirmed,
        }))
    }

    fn sharing(&mut self, hub: HubId, platform: Platform, target: &Described, seq: Seq) -> Result<Vec<Seq>> {
        let hash = target.channel_hash.cast_signed();
        let told = &self.base.told;
        let whole = told.whole_channels.contains(&hash);
        if !whole && !told.channels.contains(&hash) {
            self.missing.channels.insert(hash);
            return Ok(Vec::new());
        }
        let own = key(hub, seq);
        let read = self.base.by_channel.get(&hash);
        let keys = read.into_iter().flatten().chain(self.joined.get(&hash).into_iter().flatten());
        let mut others = Vec::new();
        for &other in keys.filter(|key| **key != own) {
            if let Some((it, channel)) = self.live(other)
                && it.class == target.kind.class()
                && it.platform == platform
                && it.name.as_deref() == target.name.as_deref()
                && *channel == *target.channel
                && !others.contains(&of_key(other).1)
            {
                others.push(of_key(other).1);
                if others.len() == 2 {
                    return Ok(others);
                }
            }
        }
        // There may be more than were read.
        if !whole && read.is_some_and(|keys| keys.len() as i64 >= OF_A_CHANNEL) {
            self.missing.whole_channels.insert(hash);
        }
        Ok(others)
    }

    fn earlier_touches(&mut self, _: HubId) -> Result<Vec<Arc<Touches>>> {
        self.missing.touches |= !self.base.told.touches;
        Ok(self.base.touches.clone())
    }

    fn insert_installation(&mut self, new: NewInstallation<'_>) -> Result<()> {
        let row = InstallationRow {
            no: new.no,
            document: new.document.to_vec(),
            times: Touch { confirmed: new.now, expires: new.expires },
            updated: new.now,
            channel_dead: false,
            seqs: new.seqs.to_vec(),
        };
        let id_hash = new.id_hash.cast_signed();
        let it = Installation { row, id_hash, user_hash: new.user_hash };
        self.new_by_id_hash.entry(id_hash).or_default().push(new.no);
        self.installations.insert(new.no, Changed::New(it));
        Ok(())
    }

    fn rewrite_installation(&mut self, no: i64, new: Rewritten<'_>) -> Result<()> {
        self.change(no, true, |it| {
            it.row = InstallationRow {
                no,
                document: new.document.to_vec(),
                times: new.times,
                updated: new.updated,
                channel_dead: new.channel_dead,
                seqs: new.seqs.to_vec(),
            };
        });
        Ok(())
    }

    fn set_user(&mut self, no: i64, user_hash: Option<i64>) -> Result<()> {
        self.change(no, true, |it| it.user_hash = user_hash);
        Ok(())
    }

    fn set_seqs(&mut self, no: i64, seqs: &[Option<Seq>], channel_dead: bool) -> Result<()> {
        self.change(no, false, |it| (it.row.seqs, it.row.channel_dead) = (seqs.to_vec(), channel_dead));
        Ok(())
    }

    fn set_installation_times(&mut self, no: i64, times: Touch) -> Result<()> {
        self.change(no, false, |it| it.row.times = times);
        Ok(())
    }

    fn delete_installation(&mut self, no: i64) -> Result<()> {
        let stood = self.base.installations.contains_key(&no);
        self.installations.insert(no, Changed::Deleted(stood));
        Ok(())
    }

    fn insert_target(&mut self, new: NewTarget<'_>) -> Result<()> {
        let channel_hash = new.channel_hash.cast_signed();
        let target = Target {
            installation: new.installation,
            class: new.class,
            platform: new.platform,
            name: new.name.map(str::to_owned),
            channel: new.channel.to_vec(),
            channel_hash,
            times: new.times,
            user_mark: new.user_mark,
            template: new.template.map(Named::of),
        };
        self.joined.entry(channel_hash).or_default().push(new.key);
        self.targets.insert(new.key, TargetEdit { new: Some(target), ..TargetEdit::default() });
        Ok(())
    }

    fn bury_target(&mut self, key: i64, gone: Gone<'_>) -> Result<()> {
        let tombstone = Tombstone { why: gone.why, at: gone.at, id: gone.id.to_owned() };
        self.targets.entry(key).or_default().gone = Some(tombstone);
        Ok(())
    }

    fn set_channel(&mut self, key: i64, channel: &[u8], channel_hash: u64) -> Result<()> {
        let hash = channel_hash.cast_signed();
        let edit = self.targets.entry(key).or_default();
        match &mut edit.new {
            Some(new) => (new.channel, new.channel_hash) = (channel.to_vec(), hash),
            None => edit.channel = Some((channel.to_vec(), hash)),
        }
        if edit.new.is_none() && !self.base.targets.contains_key(&key) && !self.base.told.targets.contains(&key) {
            self.missing.targets.insert(key);
        }
        self.joined.entry(hash).or_default().push(key);
        Ok(())
    }

    fn set_target_times(&mut self, key: i64, times: Touch) -> Result<()> {
        let edit = self.targets.entry(key).or_default();
        match &mut edit.new {
            Some(new) => new.times = times,
            None => (edit.times, edit.correction) = (Some(times), false),
        }
        Ok(())
    }

    fn correct_target_times(&mut self, key: i64, times: Touch) -> Result<()> {
        let edit = self.targets.entry(key).or_default();
        match &mut edit.new {
            Some(new) => new.times = times,
            None => {
                let alone = edit.channel.is_none() && edit.user_mark.is_none() && edit.template.is_none();
                edit.correction = alone && (edit.times.is_none() || edit.correction);
                edit.times = Some(times);
            }
        }
        Ok(())
    }

    fn set_user_mark(&mut self, key: i64, user_mark: u64) -> Result<()> {
        let edit = self.targets.entry(key).or_default();
        match &mut edit.new {
            Some(new) => new.user_mark = user_mark,
            None => (edit.user_mark, edit.correction) = (Some(user_mark), false),
        }
        Ok(())
    }

    fn set_template(&mut self, key: i64, link: &TemplateLink) -> Result<()> {
        let edit = self.targets.entry(key).or_default();
        match &mut edit.new {
            Some(new) => new.template = Some(Named::of(link)),
            None => (edit.template, edit.correction) = (Some(Named::of(link)), false),
        }
        Ok(())
    }

    fn keep_template(&mut self, hub: HubId, link: &TemplateLink) -> Result<()> {
        match self.templates.entry(link.id) {
            Entry::Occupied(kept) if *kept.get() != link.content => Err(same_number(hub, link.id)),
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(place) => {
                place.insert(link.content.clone());
                Ok(())
            }
        }
    }
}
