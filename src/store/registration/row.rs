//! Rows of installations as every engine has them: their keys, and what a stored document tells.

use super::link::{TemplateLink, Variables};
use crate::model::hash;
use crate::model::id::{HubId, Seq, UserId};
use crate::model::installation::{Installation, TargetSpec};
use crate::model::platform::Platform;
use crate::model::registration::{self, Registrant, Registration, RegistrationId};
use crate::model::tag::Tag;
use crate::model::target::{TargetKind, index_tag};
use crate::model::time::Timestamp;
use crate::store::index::Touch;
use crate::store::{Result, StoreError, StoredInstallation, StoredRegistration};

/// Why a target left; the number is `target.gone_why`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Departure {
    /// Its installation was deleted.
    Deleted = 1,
    /// Its installation was written without it, on another platform, or revived after a drop.
    Replaced = 2,
    /// Its push service said that the channel is dead.
    Dropped = 3,
    /// Its time was over.
    Expired = 4,
}

/// The key of a row that a hub counts: targets by seq, installations by arrival number.
pub(in crate::store) fn key(hub: HubId, number: Seq) -> i64 {
    i64::from(hub.0) << 40 | number.0.cast_signed()
}

/// The hub and number of a row's key.
pub(in crate::store) fn of_key(key: i64) -> (HubId, Seq) {
    let number = key.cast_unsigned() & (Seq::END - 1);
    (HubId(u32::try_from(key >> 40).unwrap_or(u32::MAX)), Seq(number))
}

/// The keys of all of a hub's rows: from, and below.
pub(in crate::store) fn keys_of(hub: HubId) -> (i64, i64) {
    (key(hub, Seq(0)), (i64::from(hub.0) + 1) << 40)
}

/// One target as its document describes it.
#[derive(Debug)]
pub(in crate::store) struct Described {
    pub(in crate::store) kind: TargetKind,
    /// The kind's text, `None` for native.
    pub(in crate::store) name: Option<String>,
    pub(in crate::store) channel: Box<[u8]>,
    pub(in crate::store) channel_hash: u64,
    pub(in crate::store) tags: Vec<Tag>,
    /// Of a template target.
    pub(in crate::store) template: Option<TemplateLink>,
}

/// Every target of a record, in the order of its seqs.
pub(in crate::store) fn describe(hub: HubId, record: &Record) -> Vec<Described> {
    let (specs, platform) = (record.targets(), record.platform());
    let none = Variables::new();
    let variables = match record {
        Record::Installation(installation) => &installation.push_variables,
        Record::Registration(..) => &none,
    };
    let described = specs.into_iter().map(|spec| Described {
        name: (spec.kind != TargetKind::Native).then(|| spec.kind.to_string()),
        kind: spec.kind,
        channel: spec.channel.bytes().into(),
        channel_hash: hash::channel(hub, platform, spec.channel.bytes()),
        tags: spec.tags,
        template: spec.template.map(|template| TemplateLink::new(hub, platform, variables, template)),
    });
    described.collect()
}

/// What a row holds: an installation, or a registration with the number of its version. They share the tables, so that
/// seqs, index, handles, expiry and departures are the same for both.
#[derive(Debug)]
pub(in crate::store) enum Record {
    Installation(Installation),
    Registration(Registration, u64),
}

impl Record {
    /// What it is found by, and what its tombstones say.
    pub(in crate::store) fn key(&self) -> String {
        match self {
            Self::Installation(it) => it.id.as_str().to_owned(),
            Self::Registration(it, _) => it.id.key(),
        }
    }

    pub(in crate::store) fn platform(&self) -> Platform {
        match self {
            Self::Installation(it) => it.platform.platform(),
            Self::Registration(it, _) => it.platform.platform(),
        }
    }

    /// Only installations have one.
    pub(in crate::store) fn user(&self) -> Option<&UserId> {
        match self {
            Self::Installation(it) => it.user.as_ref(),
            Self::Registration(..) => None,
        }
    }

    fn targets(&self) -> Vec<TargetSpec<'_>> {
        match self {
            Self::Installation(it) => it.targets(),
            Self::Registration(it, _) => {
                let mut target = it.target();
                target.tags.push(Tag::from_template_name(index_tag::REGISTRATION));
                vec![target]
            }
        }
    }
}

/// The row of an installation or a registration.
#[derive(Clone, Debug)]
pub(in crate::store) struct InstallationRow {
    pub(in crate::store) no: i64,
    pub(in crate::store) document: Vec<u8>,
    /// What the row says; a touch may say otherwise.
    pub(in crate::store) times: Touch,
    pub(in crate::store) updated: Timestamp,
    pub(in crate::store) channel_dead: bool,
    /// In the order of the document's targets; `None` where a drop took the target.
    pub(in crate::store) seqs: Vec<Option<Seq>>,
}

impl InstallationRow {
    /// What is registered, with the expiry that the row says.
    pub(in crate::store) fn record(&self) -> Result<Record> {
        let broken = |error| StoreError::Corrupt(format!("installation {}: {error}", self.no));
        if registration::is_stored(&self.document) {
            let (registration, etag) = Registration::from_stored(&self.document, self.times.expires).map_err(broken)?;
            return Ok(Record::Registration(registration, etag));
        }
        Ok(Record::Installation(Installation::from_stored(&self.document, self.times.expires).map_err(broken)?))
    }

    /// The installation as it stands, unless its time is over or it is a registration; `touch` is the newest that is not
    /// folded.
    pub(in crate::store) fn stored(self, touch: Option<Touch>, now: Timestamp) -> Result<Option<StoredInstallation>> {
        let times = touch.unwrap_or(self.times);
        if times.expires.is_some_and(|expires| expires <= now) {
            return Ok(None);
        }
        let Record::Installation(mut installation) = self.record()? else { return Ok(None) };
        installation.expires = times.expires;
        let (channel_expired, updated) = (self.channel_dead, self.updated);
        Ok(Some(StoredInstallation { installation, channel_expired, confirmed: times.confirmed, updated }))
    }
}

impl InstallationRow {
    /// How the target with this seq looks as a registration, unless its time is over or it has left.
    pub(in crate::store) fn shown(
        self,
        seq: Seq,
        touch: Option<Touch>,
        now: Timestamp,
    ) -> Result<Option<StoredRegistration>> {
        let times = touch.unwrap_or(self.times);
        if times.expires.is_some_and(|expires| expires <= now) {
            return Ok(None);
        }
        let updated = self.updated;
        Ok(match self.record()? {
            Record::Registration(mut registration, etag) => {
                registration.expires = times.expires;
                Some(StoredRegistration { registration, etag, updated, derived: false })
            }
            Record::Installation(mut installation) => {
                installation.expires = times.expires;
                let place = self.seqs.iter().position(|own| *own == Some(seq));
                let targets = installation.targets();
                place.and_then(|place| targets.get(place)).map(|target| {
                    let id = RegistrationId::of_target(seq);
                    let registration = Registration::of_installation(&installation, target, id);
                    StoredRegistration { registration, etag: self.derived_etag(), updated, derived: true }
                })
            }
        })
    }

    /// The version of an installation's targets where they are seen as registrations: a number that grows.
    pub(in crate::store) fn derived_etag(&self) -> u64 {
        self.updated.millis().unsigned_abs()
    }
}

/// Whose stored document it is, without reading the rest of it.
pub(in crate::store) fn registrant(document: &[u8]) -> Result<Registrant> {
    id_text(document)
        .and_then(Registrant::of_key)
        .ok_or_else(|| StoreError::Corrupt("a stored document has no id".to_owned()))
}

/// The id of an installation, or the key of a registration, that a stored document begins with. They hold nothing that
/// JSON escapes.
pub(in crate::store) fn id_text(document: &[u8]) -> Option<&str> {
    let rest = document.strip_prefix(br#"{"installationId":""#)?;
    let end = rest.iter().position(|&byte| byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Whether a stored document names this user: when it names any, that is its last member, and no value before it can
/// end in the same way, since those that could hold such a text are objects and end with one brace more.
pub(in crate::store) fn is_document_of(document: &[u8], user: &str) -> bool {
    let quoted = serde_json::Value::from(user).to_string();
    document
        .strip_suffix(b"}")
        .and_then(|rest| rest.strip_suffix(quoted.as_bytes()))
        .is_some_and(|rest| rest.ends_with(br#","userId":"#))
}

/// The hash that finds an installation by its user.
pub(in crate::store) fn user_hash(hub: HubId, user: Option<&UserId>) -> Option<i64> {
    user.map(|user| hash::user(hub, user.as_str()).cast_signed())
}

/// A seq that a drop took.
const TAKEN: u64 = u64::MAX;

pub(in crate::store) fn encode_seqs(seqs: &[Option<Seq>]) -> Vec<u8> {
    seqs.iter().flat_map(|seq| seq.map_or(TAKEN, |seq| seq.0).to_le_bytes()).collect()
}

pub(in crate::store) fn decode_seqs(bytes: &[u8]) -> Vec<Option<Seq>> {
    let seqs = bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    seqs.map(|seq| Some(Seq(seq)).filter(|seq| seq.0 != TAKEN)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_at_the_end_of_the_document_and_nowhere_else() {
        let document = br#"{"installationId":"d-1","pushVariables":{"a":"b"},"userId":"an\"na"}"#;
        assert!(is_document_of(document, "an\"na"));
        assert!(!is_document_of(document, "na"));
        let inside = br#"{"installationId":"d-1","pushVariables":{"a":"b","userId":"anna"}}"#;
        assert!(!is_document_of(inside, "anna"));
        assert_eq!(registrant(document).unwrap().key(), "d-1");
        assert!(registrant(b"{}").is_err());
        let single = registrant(br#"{"installationId":"/1-2-1"}"#).unwrap();
        assert_eq!(single, Registrant::Registration(RegistrationId::parse("1-2-1").unwrap()));
    }

    #[test]
    fn keys_and_seqs_come_back() {
        let place = (HubId(7), Seq(Seq::END - 1));
        assert_eq!(of_key(key(place.0, place.1)), place);
        let (from, below) = keys_of(HubId(7));
        assert!((from..below).contains(&key(place.0, place.1)) && of_key(below) == (HubId(8), Seq(0)));
        let seqs = [Some(Seq(3)), None, Some(Seq(0))];
        assert_eq!(decode_seqs(&encode_seqs(&seqs)), seqs);
    }
}
