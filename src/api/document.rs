//! Reading a JSON object member by member: each error names the member by its path, and what nobody asked for is
//! refused by name. Values stay as they were written until they are asked for, so that raw payloads keep their bytes.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::field::FieldError;

/// An object whose members are taken out one by one.
#[derive(Debug)]
pub struct Object<'a> {
    /// Path of the object, with a dot at its end; empty for the body.
    prefix: String,
    members: Vec<(String, &'a RawValue)>,
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Object<'a> {
    /// The object that a body is.
    pub fn of_body(body: &'a [u8]) -> Result<Self, FieldError> {
        let Members(members) =
            serde_json::from_slice(body).map_err(|error| FieldError::json("body", "must be a JSON object", &error))?;
        Self::new(String::new(), members)
    }

    fn new(prefix: String, members: Vec<(String, &'a RawValue)>) -> Result<Self, FieldError> {
        for (at, (name, _)) in members.iter().enumerate() {
            if members[..at].iter().any(|(other, _)| other == name) {
                return Err(FieldError::new(format!("{prefix}{name}"), "must not stand twice"));
            }
        }
        Ok(Self { prefix, members })
    }

    /// Path of a member, for an error about it.
    pub fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// An error about a member.
    pub fn fault(&self, name: &str, rule: impl Into<std::borrow::Cow<'static, str>>) -> FieldError {
        FieldError::new(self.path(name), rule)
    }

    /// Takes a member out as it was written; `null` is as if it were not there.
    pub fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.swap_remove(at).1).filter(|value| value.get() != "null")
    }

    /// Takes out and forgets: a member that answers carry and requests may repeat.
    pub fn ignore(&mut self, names: &[&str]) {
        self.members.retain(|(name, _)| !names.contains(&name.as_str()));
    }

    fn read<T: Deserialize<'a>>(&mut self, name: &str, rule: &'static str) -> Result<Option<T>, FieldError> {
        match self.raw(name) {
            None => Ok(None),
            Some(value) => serde_json::from_str(value.get()).map(Some).map_err(|_| self.fault(name, rule)),
        }
    }

    /// Text.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, FieldError> {
        self.read(name, "must be a string")
    }

    /// Text that must be there.
    pub fn required_text(&mut self, name: &str) -> Result<String, FieldError> {
        self.text(name)?.ok_or_else(|| self.fault(name, "is required"))
    }

    /// Text of a bounded length that is not empty, in characters.
    pub fn bounded_text(&mut self, name: &str, longest: usize) -> Result<Option<String>, FieldError> {
        let text = self.text(name)?;
        match &text {
            Some(text) if text.is_empty() || text.chars().count() > longest => {
                Err(self.fault(name, format!("must have 1 to {longest} characters")))
            }
            _ => Ok(text),
        }
    }

    /// True or false.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, FieldError> {
        self.read(name, "must be true or false")
    }

    /// A whole number within a range.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, FieldError> {
        let rule = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let Some(value) = self.raw(name) else { return Ok(None) };
        let number = serde_json::from_str(value.get()).ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| self.fault(name, rule()))
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, FieldError> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let word: Option<String> = serde_json::from_str(value.get()).ok();
        let found = words.iter().find(|(known, _)| word.as_deref() == Some(*known)).map(|(_, meaning)| *meaning);
        found.map(Some).ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.fault(name, format!("must be {}", all.join(" or ")))
        })
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, FieldError> {
        self.read(name, "must be an array of strings")
    }

    /// An object within.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, FieldError> {
        match self.raw(name) {
            None => Ok(None),
            Some(value) => self.within(name, value).map(Some),
        }
    }

    fn within(&self, name: &str, value: &'a RawValue) -> Result<Self, FieldError> {
        let Members(members) = serde_json::from_str(value.get()).map_err(|_| self.fault(name, "must be an object"))?;
        Self::new(format!("{}{name}.", self.prefix), members)
    }

    /// Everything that is left, by name: for objects whose names are the caller's own. `null`s are left out.
    pub fn rest(&mut self) -> impl Iterator<Item = (String, &'a RawValue)> + use<'a> {
        std::mem::take(&mut self.members).into_iter().filter(|(_, value)| value.get() != "null")
    }

    /// The same, each an object.
    pub fn objects(mut self) -> Result<Vec<(String, Self)>, FieldError> {
        let rest: Vec<_> = self.rest().collect();
        rest.into_iter().map(|(name, value)| Ok((name.clone(), self.within(&name, value)?))).collect()
    }

    /// Refuses what is left.
    pub fn finish(self) -> Result<(), FieldError> {
        match self.members.first() {
            None => Ok(()),
            Some((name, _)) => Err(FieldError::new(self.path(name), "is not known here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_names_its_member_by_its_path() {
        let body = br#"{"a":1,"b":{"c":"x","d":{"e":true}},"n":null,"big":99999999999,"words":["x",1]}"#;
        let object = || Object::of_body(body).unwrap();
        assert_eq!(object().text("a").unwrap_err().to_string(), "a must be a string");
        assert_eq!(object().text("n"), Ok(None));
        assert_eq!(object().required_text("n").unwrap_err().to_string(), "n is required");
        assert_eq!(object().integer("big", 0..=9).unwrap_err().to_string(), "big must be a whole number from 0 to 9");
        assert_eq!(object().texts("words").unwrap_err().field, "words");
        assert_eq!(object().object("a").unwrap_err().to_string(), "a must be an object");
        let mut inner = object().object("b").unwrap().unwrap();
        assert_eq!(inner.choice("c", &[("y", 1), ("z", 2)]).unwrap_err().to_string(), "b.c must be \"y\" or \"z\"");
        let deepest = inner.object("d").unwrap().unwrap();
        assert_eq!(deepest.finish().unwrap_err().to_string(), "b.d.e is not known here");
        assert_eq!(inner.finish(), Ok(()));
    }

    #[test]
    fn what_is_no_object_is_the_bodys_fault() {
        for body in ["", "[]", "{", "7", r#"{"a":1}x"#, "{\"a\":\u{1}}"] {
            assert_eq!(Object::of_body(body.as_bytes()).unwrap_err().field, "body", "{body}");
        }
        assert_eq!(Object::of_body(br#"{"a":1,"a":2}"#).unwrap_err().to_string(), "a must not stand twice");
    }

    #[test]
    fn raw_values_keep_their_bytes() {
        let mut object = Object::of_body(br#"{"payload": {"b" : 1.0,  "a":[] }}"#).unwrap();
        assert_eq!(object.raw("payload").unwrap().get(), r#"{"b" : 1.0,  "a":[] }"#);
    }
}
