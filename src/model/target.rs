//! Targets: what one push goes to. An installation has one native target, one for each template, one for each secondary
//! tile and one for each template of a tile; each has its own seq and its own tags.

use std::fmt;

use super::platform::Platform;

/// Which of an installation's targets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    Native,
    Template(Box<str>),
    Tile(Box<str>),
    TileTemplate { tile: Box<str>, template: Box<str> },
}

impl TargetKind {
    /// The kind without its names.
    pub const fn class(&self) -> TargetClass {
        match self {
            Self::Native => TargetClass::Native,
            Self::Template(_) => TargetClass::Template,
            Self::Tile(_) => TargetClass::Tile,
            Self::TileTemplate { .. } => TargetClass::TileTemplate,
        }
    }

    /// Reads the form that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "native" {
            return Some(Self::Native);
        }
        if let Some(name) = text.strip_prefix("template:") {
            return Some(Self::Template(name.into()));
        }
        let tile = text.strip_prefix("tile:")?;
        Some(match tile.split_once("/template:") {
            Some((tile, template)) => Self::TileTemplate { tile: tile.into(), template: template.into() },
            None => Self::Tile(tile.into()),
        })
    }
}

/// `native`, `template:NAME`, `tile:ID` or `tile:ID/template:NAME`, as outcome lists say it.
impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("native"),
            Self::Template(name) => write!(f, "template:{name}"),
            Self::Tile(id) => write!(f, "tile:{id}"),
            Self::TileTemplate { tile, template } => write!(f, "tile:{tile}/template:{template}"),
        }
    }
}

/// A target's kind without its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetClass {
    Native,
    Template,
    Tile,
    TileTemplate,
}

impl TargetClass {
    /// Every class, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Native, Self::Template, Self::Tile, Self::TileTemplate];

    /// The number that the store keeps; never changes.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The class of a stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// What a broadcast goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudienceKind {
    /// `notification` and `payloads`: native targets, and tiles whose own tags are named.
    Native,
    /// `template`: template targets, of tiles too.
    Template,
}

impl AudienceKind {
    /// The class that makes up the universe of this kind: what `!x` and an empty audience range over.
    pub const fn class(self) -> TargetClass {
        match self {
            Self::Native => TargetClass::Native,
            Self::Template => TargetClass::Template,
        }
    }
}

/// Names of the index's own tags. They begin with a control character, which no tag and no template name may hold.
pub mod index_tag {
    use super::{Platform, TargetClass};

    /// Live targets of one class on one platform. Every live target carries exactly one of these: platform, kind and
    /// "alive" are always asked together, so one set row answers all three.
    pub fn live(class: TargetClass, platform: Platform) -> String {
        format!("\u{1}live:{}:{}", class.code(), platform.code())
    }

    /// Targets of registrations; the others are installations'.
    pub const REGISTRATION: &str = "\u{1}registration";

    /// Targets that share their dedupe key with another one (design.md section 4).
    pub const SHARED: &str = "\u{1}shared";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_print_and_parse() {
        for kind in [
            TargetKind::Native,
            TargetKind::Template("a b".into()),
            TargetKind::Tile("t1".into()),
            TargetKind::TileTemplate { tile: "t1".into(), template: "x".into() },
        ] {
            assert_eq!(TargetKind::parse(&kind.to_string()), Some(kind));
        }
        assert_eq!(TargetKind::parse("other"), None);
    }
}
