//! What a device is like, drawn from its number, and the tags that say so.
use std::fmt;

pub const CITIES: [&str; 10] =
    ["lisbon", "lagos", "lima", "lyon", "leipzig", "lahore", "luanda", "london", "lusaka", "leeds"];
pub const LANGUAGES: [&str; 3] = ["en", "de", "fr"];
/// `team:0` to `team:99`.
pub const TEAMS: u8 = 100;

/// Seven of a device's eight tags follow from these; the eighth is its own, `u:N`.
///
/// | tags | share |
/// |---|---|
/// | `all` | everyone |
/// | `city:…` | one of ten, even |
/// | `team:…` | one of a hundred, even |
/// | `lang:en`, `lang:de`, `lang:fr` | 60, 25 and 15 % |
/// | `news`, else `digest` | 40 % |
/// | `muted`, else `sound` | 5 % |
/// | `plan:gold`, else `plan:free` | 1 % |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Index into [`CITIES`].
    pub city: u8,
    pub team: u8,
    /// Index into [`LANGUAGES`].
    pub language: u8,
    pub news: bool,
    pub muted: bool,
    pub gold: bool,
}

impl Traits {
    /// From 64 drawn bits. Each trait has bits of its own, so that they are independent.
    pub(super) fn draw(bits: u64) -> Self {
        // Scaling ten bits or more to a range: the error against even shares is below a thousandth.
        let scaled = |shift: u32, range: u64| u8::try_from(((bits >> shift & 0xfff) * range) >> 12).unwrap_or(0);
        let percent = |shift: u32, share: u64| (bits >> shift & 0x3ff) * 100 < share << 10;
        Self {
            city: scaled(0, CITIES.len() as u64),
            team: scaled(12, u64::from(TEAMS)),
            language: match bits >> 24 & 0x3ff {
                0..614 => 0,
                614..870 => 1,
                _ => 2,
            },
            news: percent(34, 40),
            muted: percent(44, 5),
            gold: percent(54, 1),
        }
    }

    pub fn shared_tags(&self) -> [SharedTag; 7] {
        [
            SharedTag::Word("all"),
            SharedTag::City(self.city),
            SharedTag::Team(self.team),
            SharedTag::Language(self.language),
            SharedTag::Word(if self.news { "news" } else { "digest" }),
            SharedTag::Word(if self.muted { "muted" } else { "sound" }),
            SharedTag::Word(if self.gold { "plan:gold" } else { "plan:free" }),
        ]
    }
}

/// A tag that many devices have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedTag {
    Word(&'static str),
    City(u8),
    Team(u8),
    Language(u8),
}

impl fmt::Display for SharedTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |list: &[&'static str], at: u8| list.get(usize::from(at)).copied().unwrap_or_default();
        match self {
            Self::Word(word) => f.write_str(word),
            Self::City(city) => write!(f, "city:{}", name(&CITIES, *city)),
            Self::Team(team) => write!(f, "team:{team}"),
            Self::Language(language) => write!(f, "lang:{}", name(&LANGUAGES, *language)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Devices;

    #[test]
    fn shares_are_as_written() {
        let devices = Devices::new(3);
        let count = 100_000;
        let share = |tag: &str| {
            let with = (0..count).filter(|n| devices.traits(*n).shared_tags().iter().any(|t| t.to_string() == tag));
            with.count() as f64 / count as f64
        };
        for (tag, wanted) in [
            ("all", 1.0),
            ("city:lisbon", 0.1),
            ("city:leeds", 0.1),
            ("team:0", 0.01),
            ("team:99", 0.01),
            ("lang:en", 0.6),
            ("lang:de", 0.25),
            ("lang:fr", 0.15),
            ("news", 0.4),
            ("digest", 0.6),
            ("muted", 0.05),
            ("plan:gold", 0.01),
        ] {
            let share = share(tag);
            assert!((share - wanted).abs() < 0.005, "{tag}: {share}");
        }
    }
}
