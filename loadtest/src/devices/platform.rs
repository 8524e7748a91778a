//! The platforms of a run's devices, and how many devices each has.
use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// A platform whose push service is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    Apns,
    Fcm,
    Wns,
    WebPush,
}

impl Platform {
    /// In the order in which a mix is drawn: another one stands last, so that a seed goes on giving each device the platform
    /// that it had.
    pub const ALL: [Self; 4] = [Self::Apns, Self::Fcm, Self::Wns, Self::WebPush];

    /// The word in counters, metric labels and `payloads`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::Wns => "wns",
            Self::WebPush => "web_push",
        }
    }

    /// The word in an installation's document.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcmv1",
            Self::Wns => "wns",
            Self::WebPush => "browser",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// Why a text names no platform or no mix of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    #[error("`{0}` is no platform; those are apns, fcm, wns and web_push")]
    Unknown(String),
    #[error("`{0}` must be PLATFORM=SHARE, the share a whole number up to 10000")]
    Share(String),
    #[error("{0} is named twice")]
    Twice(Platform),
    #[error("at least one share must be above 0")]
    Nobody,
}

impl FromStr for Platform {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let known = Self::ALL.into_iter().find(|platform| platform.label() == text);
        known.ok_or_else(|| MixError::Unknown(text.to_owned()))
    }
}

/// The largest share of one platform: sums stay far from overflow.
const MOST: u64 = 10_000;

/// Which part of the devices each platform has, relative to the sum; at least one has some. Written
/// `apns=50,fcm=40,wns=10`. The default is APNs alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// In the order of [`Platform::ALL`].
    shares: [u64; Platform::ALL.len()],
}

impl Mix {
    fn new(shares: impl IntoIterator<Item = (Platform, u64)>) -> Result<Self, MixError> {
        let mut mix = Self { shares: [0; Platform::ALL.len()] };
        for (platform, share) in shares {
            let at = &mut mix.shares[platform as usize];
            if *at > 0 {
                return Err(MixError::Twice(platform));
            }
            *at = share;
        }
        if mix.shares.iter().all(|share| *share == 0) { Err(MixError::Nobody) } else { Ok(mix) }
    }

    pub fn only(platform: Platform) -> Self {
        let mut shares = [0; Platform::ALL.len()];
        shares[platform as usize] = 1;
        Self { shares }
    }

    /// Those with a share.
    pub fn platforms(&self) -> Vec<Platform> {
        self.named().map(|(platform, _)| platform).collect()
    }

    fn named(&self) -> impl Iterator<Item = (Platform, u64)> {
        Platform::ALL.into_iter().zip(self.shares).filter(|(_, share)| *share > 0)
    }

    /// The platform that 64 drawn bits stand for.
    pub(super) fn draw(&self, bits: u64) -> Platform {
        let sum: u64 = self.shares.iter().sum();
        // Scaled by the upper half, whose 2^32 values make the error against the shares vanish.
        let mut at = ((bits >> 32) * sum) >> 32;
        for (platform, share) in self.named() {
            if at < share {
                return platform;
            }
            at -= share;
        }
        // Not reached: `at` is below the sum of the shares.
        Platform::Apns
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self::only(Platform::Apns)
    }
}

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let share = |part: &str| {
            let wrong = || MixError::Share(part.to_owned());
            let (platform, share) = part.split_once('=').ok_or_else(wrong)?;
            let share = share.parse().ok().filter(|share| *share <= MOST).ok_or_else(wrong)?;
            Ok((platform.trim().parse()?, share))
        };
        Self::new(text.split(',').map(share).collect::<Result<Vec<_>, _>>()?)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<_> = self.named().map(|(platform, share)| format!("{platform}={share}")).collect();
        f.write_str(&named.join(","))
    }
}

impl Serialize for Mix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::mix, *};

    #[test]
    fn a_mix_reads_as_it_is_written() {
        for text in ["apns=50,fcm=40,wns=10", "apns=1", "fcm=3,wns=10000"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        let mix: Mix = "wns=1, apns=0".parse().unwrap();
        assert_eq!(mix.platforms(), [Platform::Wns]);
        assert_eq!(Mix::default().platforms(), [Platform::Apns]);
    }

    #[test]
    fn a_bad_mix_is_told_what_is_wrong() {
        for (text, error) in [
            ("gcm=1", MixError::Unknown("gcm".to_owned())),
            ("", MixError::Share(String::new())),
            ("apns", MixError::Share("apns".to_owned())),
            ("apns=-1", MixError::Share("apns=-1".to_owned())),
            ("apns=10001", MixError::Share("apns=10001".to_owned())),
            ("fcm=1,fcm=2", MixError::Twice(Platform::Fcm)),
            ("apns=0,fcm=0", MixError::Nobody),
        ] {
            assert_eq!(text.parse::<Mix>(), Err(error), "{text}");
        }
    }

    #[test]
    fn draws_keep_to_the_shares_and_to_the_named() {
        let shares: Mix = "apns=50,wns=10".parse().unwrap();
        let draws = 60_000;
        let of = |platform| (0..draws).filter(|n| shares.draw(mix(*n)) == platform).count() as f64 / draws as f64;
        assert!((of(Platform::Apns) - 5.0 / 6.0).abs() < 0.01);
        assert_eq!(of(Platform::Fcm), 0.0);
        for bits in [0, u64::MAX] {
            assert_ne!(shares.draw(bits), Platform::Fcm);
        }
        assert_eq!((shares.draw(0), shares.draw(u64::MAX)), (Platform::Apns, Platform::Wns));
    }
}
