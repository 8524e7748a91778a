//! `[hubs.*]`: hubs that the configuration brings to its state at start, with their keys and gateways.

use super::{
    error::ConfigError,
    gateway::{AdmConfig, ApnsConfig, BaiduConfig, FcmConfig, WebPushConfig, WnsConfig, XiaomiConfig},
    host::{self, HostPattern},
    section::Section,
};
use crate::identity::{
    keys::{AccessRule, Rights},
    secret::Secret,
};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// One hub as the configuration states it.
#[derive(Debug, Clone, Serialize)]
pub struct HubConfig {
    /// Share of the fleet beside other hubs.
    pub weight: u32,
    #[serde(serialize_with = "rules_by_name")]
    pub keys: Vec<AccessRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apns: Option<ApnsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fcm: Option<FcmConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wns: Option<WnsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_push: Option<WebPushConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adm: Option<AdmConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baidu: Option<BaiduConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xiaomi: Option<XiaomiConfig>,
    pub jobs: JobsConfig,
}

pub(super) fn read_all(hubs: &Section<'_>) -> Result<BTreeMap<String, HubConfig>, ConfigError> {
    let sections = hubs.sections()?;
    distinct(&sections, "must differ from every other hub's name in more than case")?;
    sections.iter().map(|s| Ok((s.name().to_owned(), HubConfig::read(s)?))).collect()
}

impl HubConfig {
    fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        if !is_hub_name(s.name()) {
            return Err(s.fail_name(HUB_NAME));
        }
        s.only(&["weight", "keys", "apns", "fcm", "wns", "web_push", "adm", "baidu", "xiaomi", "jobs"])?;
        let keys = s.section("keys")?.sections()?;
        distinct(&keys, "must differ from every other rule's name in more than case")?;
        Ok(Self {
            weight: s.integer("weight", 1, 1..=1000)?,
            keys: keys.iter().map(access_rule).collect::<Result<_, _>>()?,
            apns: s.optional_section("apns")?.map(|g| ApnsConfig::read(&g)).transpose()?,
            fcm: s.optional_section("fcm")?.map(|g| FcmConfig::read(&g)).transpose()?,
            wns: s.optional_section("wns")?.map(|g| WnsConfig::read(&g)).transpose()?,
            web_push: s.optional_section("web_push")?.map(|g| WebPushConfig::read(&g)).transpose()?,
            adm: s.optional_section("adm")?.map(|g| AdmConfig::read(&g)).transpose()?,
            baidu: s.optional_section("baidu")?.map(|g| BaiduConfig::read(&g)).transpose()?,
            xiaomi: s.optional_section("xiaomi")?.map(|g| XiaomiConfig::read(&g)).transpose()?,
            jobs: JobsConfig::read(&s.section("jobs")?)?,
        })
    }
}

pub(super) const HUB_NAME: &str =
    "must be a hub name: a letter or digit, then letters, digits, '.', '-' or '_', at most 260";

/// `specs/notification-hubs.md` 1.3. No slash: clients take one path segment for the name.
pub(super) fn is_hub_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    name.len() <= 260 && name.bytes().all(inner) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Clients lower-case URLs and sign what they lower-cased, so names that differ in case alone are one name.
fn distinct(sections: &[Section<'_>], rule: &str) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    match sections.iter().find(|s| !seen.insert(s.name().to_ascii_lowercase())) {
        None => Ok(()),
        Some(s) => Err(s.fail_name(rule)),
    }
}

fn access_rule(s: &Section<'_>) -> Result<AccessRule, ConfigError> {
    let url_safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~');
    if !(1..=256).contains(&s.name().len()) || !s.name().bytes().all(url_safe) {
        return Err(s.fail_name("must be a rule name: letters, digits, '.', '-', '_' or '~', at most 256"));
    }
    s.only(&["rights", "primary", "primary_file", "secondary", "secondary_file"])?;
    let words = "must be a list of listen, send, manage";
    let given = s.list("rights", words, Rights::parse)?.ok_or_else(|| s.fail("rights", "must be given"))?;
    let rights = given.into_iter().fold(Rights::NONE, |all, one| all | one);
    if rights == Rights::NONE {
        return Err(s.fail("rights", "must name at least one of listen, send, manage"));
    }
    if !rights.is_closed() {
        return Err(s.fail("rights", "must include listen and send where it includes manage"));
    }
    let primary = s.secret_word("primary")?.ok_or_else(|| s.fail("primary", "must be given, or primary_file"))?;
    let secondary = s.secret_word("secondary")?;
    Ok(AccessRule { name: s.name().to_owned(), rights, primary, secondary })
}

fn rules_by_name<S: Serializer>(rules: &[AccessRule], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        rights: Rights,
        primary: &'a Secret,
        #[serde(skip_serializing_if = "Option::is_none")]
        secondary: &'a Option<Secret>,
    }
    serializer.collect_map(
        rules.iter().map(|r| (&r.name, Shown { rights: r.rights, primary: &r.primary, secondary: &r.secondary })),
    )
}

/// Where jobs may fetch from and write to.
#[derive(Debug, Clone, Serialize)]
pub struct JobsConfig {
    /// Besides Fanfare's own containers; plain http only for loopback hosts named here.
    pub allowed_hosts: Vec<HostPattern>,
    /// PEM roots that are trusted there besides the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl JobsConfig {
    fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["allowed_hosts", "ca_file"])?;
        Ok(Self { allowed_hosts: host::allowed(s, &[])?, ca_file: s.path("ca_file")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_names_have_an_alphabet() {
        for (name, good) in
            [("a", true), ("7.b-c_D", true), ("", false), (".a", false), ("a/b", false), ("ä", false), ("a b", false)]
        {
            assert_eq!(is_hub_name(name), good, "{name}");
        }
        assert!(is_hub_name(&"a".repeat(260)) && !is_hub_name(&"a".repeat(261)));
    }
}
