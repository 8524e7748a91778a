//! The platforms: push services, and the words that documents use for them.

use std::fmt;

use serde::{Serialize, Serializer};

/// A push service as plans, shards, outcomes, counters and labels know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    Apns,
    Fcm,
    Wns,
    WebPush,
    Adm,
    Baidu,
    Xiaomi,
    Mpns,
}

impl Platform {
    /// Every platform, in the order of their codes.
    pub const ALL: [Self; 8] =
        [Self::Apns, Self::Fcm, Self::Wns, Self::WebPush, Self::Adm, Self::Baidu, Self::Xiaomi, Self::Mpns];

    /// The number that the store keeps; never changes.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The platform of a stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The word in counters, labels and `senders`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::Wns => "wns",
            Self::WebPush => "web_push",
            Self::Adm => "adm",
            Self::Baidu => "baidu",
            Self::Xiaomi => "xiaomi",
            Self::Mpns => "mpns",
        }
    }

    /// The platform of a label.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.label() == label)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// The word of an installation's document (`notification-hubs.md` 2.2.2). `gcm` and `fcmv1` are one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlatformWord {
    Apns,
    Gcm,
    FcmV1,
    Wns,
    Mpns,
    Adm,
    Baidu,
    Browser,
    Xiaomi,
}

impl PlatformWord {
    /// Every word, with its canonical spelling.
    const WORDS: [(Self, &'static str); 9] = [
        (Self::Apns, "apns"),
        (Self::Gcm, "gcm"),
        (Self::FcmV1, "fcmv1"),
        (Self::Wns, "wns"),
        (Self::Mpns, "mpns"),
        (Self::Adm, "adm"),
        (Self::Baidu, "baidu"),
        (Self::Browser, "browser"),
        (Self::Xiaomi, "xiaomi"),
    ];

    /// Reads the word without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, word)| word.eq_ignore_ascii_case(text)).map(|(platform, _)| *platform)
    }

    /// The canonical spelling.
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize].1
    }

    /// The push service behind the word.
    pub const fn platform(self) -> Platform {
        match self {
            Self::Apns => Platform::Apns,
            Self::Gcm | Self::FcmV1 => Platform::Fcm,
            Self::Wns => Platform::Wns,
            Self::Mpns => Platform::Mpns,
            Self::Adm => Platform::Adm,
            Self::Baidu => Platform::Baidu,
            Self::Browser => Platform::WebPush,
            Self::Xiaomi => Platform::Xiaomi,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_labels_and_words_go_both_ways() {
        for platform in Platform::ALL {
            assert_eq!(Platform::from_code(platform.code()), Some(platform));
            assert_eq!(Platform::from_label(platform.label()), Some(platform));
        }
        for (word, text) in PlatformWord::WORDS {
            assert_eq!(PlatformWord::parse(&text.to_uppercase()), Some(word));
            assert_eq!(word.as_str(), text);
        }
    }
}
