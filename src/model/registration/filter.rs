//! The `$filter` of a list: which channel is asked for (2.4). Clients write the same question in a dozen ways; what they
//! have in common is `field eq 'value'`, joined by `and`.

use std::collections::BTreeMap;

use super::form;
use super::read::written;
use crate::model::channel::Channel;
use crate::model::field::FieldError;
use crate::model::platform::{Platform, PlatformWord};

/// A channel that a filter may mean.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle {
    pub platform: Platform,
    /// What targets carry.
    pub channel: Box<[u8]>,
}

/// Reads a filter, already decoded once. Answers every channel that it may mean: `ChannelUri` is the handle of any
/// platform, and a value counts as it is and decoded once more. None of them may be registered.
///
/// # Errors
/// Every other expression.
pub fn parse(filter: &str) -> Result<Vec<Handle>, FieldError> {
    let fields = fields(filter).ok_or_else(unsupported)?;
    let mut handles = Vec::new();
    for fields in [fields.clone(), fields.into_iter().map(|(name, value)| (name, decoded(&value))).collect()] {
        handles.extend(meant(&fields)?);
    }
    handles.sort();
    handles.dedup();
    Ok(handles)
}

fn unsupported() -> FieldError {
    let rule = "must be FIELD eq 'VALUE' about a channel: Notification hubs do not support this query";
    FieldError::new("$filter", rule)
}

/// Names in lower case, and values.
fn fields(filter: &str) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    let mut rest = filter.trim();
    loop {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))).filter(|end| *end > 0)?;
        let (name, after) = rest.split_at(end);
        let after = keyword(after.trim_start(), "eq")?;
        let (value, after) = value(after.trim_start())?;
        if fields.insert(name.to_ascii_lowercase(), value).is_some() {
            return None;
        }
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(fields);
        }
        rest = keyword(rest, "and")?.trim_start();
    }
}

/// What comes behind a word and a blank.
fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    (head.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then_some(rest)
}

/// A text in quotes, those inside doubled. The JavaScript client leaves out the opening quote of Baidu's channel: then it
/// ends with the next quote.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('\'').unwrap_or(text);
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (head, tail) = rest.split_once('\'')?;
        value.push_str(head);
        match tail.strip_prefix('\'') {
            Some(tail) => {
                value.push('\'');
                rest = tail;
            }
            None => return Some((value, tail)),
        }
    }
}

fn decoded(text: &str) -> String {
    percent_decoded(text).unwrap_or_else(|| text.to_owned())
}

/// `%XX` decoded once; `None` where that gives no text.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            let mut byte = [0];
            hex::decode_to_slice(digits, &mut byte).ok()?;
            bytes.push(byte[0]);
            rest = tail;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn meant(fields: &BTreeMap<String, String>) -> Result<Vec<Handle>, FieldError> {
    if let [(name, value)] = &fields.iter().collect::<Vec<_>>()[..] {
        if *name == "channeluri" {
            return Ok(WORDS.iter().filter_map(|word| handle(*word, std::slice::from_ref(*value))).collect());
        }
        if *name == "baiduuserid-baiduchannelid" {
            return Ok(handle(PlatformWord::Baidu, std::slice::from_ref(*value)).into_iter().collect());
        }
    }
    let form = fields.keys().next().and_then(|name| {
        form::with_handle(name).find(|form| {
            form.handles.len() == fields.len()
                && form.handles.iter().all(|handle| fields.contains_key(&handle.to_ascii_lowercase()))
        })
    });
    let form = form.ok_or_else(unsupported)?;
    let values: Vec<String> =
        form.handles.iter().filter_map(|handle| fields.get(&handle.to_ascii_lowercase()).cloned()).collect();
    Ok(handle(form.platform, &values).into_iter().collect())
}

/// One word for each platform.
const WORDS: [PlatformWord; 8] = [
    PlatformWord::Apns,
    PlatformWord::FcmV1,
    PlatformWord::Wns,
    PlatformWord::Mpns,
    PlatformWord::Adm,
    PlatformWord::Baidu,
    PlatformWord::Browser,
    PlatformWord::Xiaomi,
];

/// What cannot be a channel of the platform is registered nowhere on it.
fn handle(word: PlatformWord, values: &[String]) -> Option<Handle> {
    let platform = word.platform();
    let channel = Channel::parse(platform, written(word, values)).ok()?;
    Some(Handle { platform, channel: channel.bytes().into() })
}
