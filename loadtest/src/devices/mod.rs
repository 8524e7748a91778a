//! Devices that are computed, not kept: everything about device n follows from n and a seed.
//!
//! An address can be computed backwards, so that what a simulated gateway received names its device without a map; ten
//! million devices cost nothing to know. Each device has an installation with eight tags (see [`Traits`]) on the platform
//! that the [`Mix`] gives it, and shares its user with its neighbour.
//!
//! - [`address`]: tokens and channels, from numbers and back.
//! - [`platform`]: who is on which platform.
//! - `traits`: what the tags say.
pub mod address;
pub mod platform;
mod traits;

use std::io::Write;

pub use self::address::TOKEN_LENGTH;
use self::address::{Addresses, write_channel, write_hex, write_subscription};
pub use self::{
    platform::{Mix, Platform},
    traits::{CITIES, LANGUAGES, TEAMS, Traits},
};
use crate::gateways::Fleet;

/// The devices of one seed, numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Devices {
    addresses: Addresses,
    id_key: u64,
    trait_key: u64,
    platform_key: u64,
    mix: Mix,
    ports: Ports,
    /// Templates that they share; none has more than one.
    templates: u64,
}

/// What each template makes its text of, and the title before its own number.
pub const TEMPLATE_READS: [&str; 2] = ["title", "text"];

/// Where the services are whose addresses name them, on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    pub wns: u16,
    pub web_push: u16,
}

impl Ports {
    pub fn of(fleet: &Fleet) -> Self {
        Self { wns: fleet.wns.address().port(), web_push: fleet.web_push.address().port() }
    }
}

impl Devices {
    /// All on APNs.
    pub fn new(seed: u64) -> Self {
        Self::mixed(seed, Mix::default(), Ports::default())
    }

    /// On the platforms of the mix; channels and subscriptions are of the simulated services on these ports. Which platforms
    /// there are changes nothing else about a device, its APNs token included.
    pub fn mixed(seed: u64, shares: Mix, ports: Ports) -> Self {
        let root = mix(seed);
        Self {
            addresses: Addresses { key: mix(root ^ 1) },
            id_key: mix(root ^ 2),
            trait_key: mix(root ^ 3),
            platform_key: mix(root ^ 4),
            mix: shares,
            ports,
            templates: 0,
        }
    }

    /// The same, each with one of so many templates; 0 for none. They are in the form of APNs.
    #[must_use]
    pub const fn sharing(self, templates: u64) -> Self {
        Self { templates, ..self }
    }

    pub fn platforms(&self) -> Vec<Platform> {
        self.mix.platforms()
    }

    pub fn platform(&self, n: u64) -> Platform {
        self.mix.draw(mix(n ^ self.platform_key))
    }

    /// The 32 bytes that device `n` has on APNs, and that its channel names on WNS and its endpoint on Web Push.
    pub fn token(&self, n: u64) -> [u8; TOKEN_LENGTH] {
        self.addresses.token(n)
    }

    /// What the simulated service of its platform books for a push to device `n`: of a channel or an endpoint the token in it.
    pub fn booked(&self, n: u64) -> Box<[u8]> {
        match self.platform(n) {
            Platform::Apns | Platform::Wns | Platform::WebPush => self.addresses.token(n).into(),
            Platform::Fcm => self.addresses.registration(n).into(),
        }
    }

    /// The device of that platform whose pushes are booked so; `None` when no device of this seed can be.
    pub fn of_booked(&self, platform: Platform, booked: &[u8]) -> Option<u64> {
        let n = match platform {
            Platform::Apns | Platform::Wns | Platform::WebPush => self.addresses.of_token(booked),
            Platform::Fcm => self.addresses.of_registration(booked),
        };
        n.filter(|n| self.platform(*n) == platform)
    }

    /// The installation's id: random to look at, as apps' own are, so that look-ups by it find no order to profit from.
    pub fn id(&self, n: u64) -> uuid::Uuid {
        let high = mix(n ^ self.id_key);
        uuid::Uuid::from_u64_pair(high, mix(high ^ self.id_key))
    }

    /// Of every two neighbours the same.
    pub fn user(&self, n: u64) -> String {
        format!("user-{}", n / 2)
    }

    pub fn traits(&self, n: u64) -> Traits {
        Traits::draw(mix(n ^ self.trait_key))
    }

    /// Appends the installation as one JSON document, without a line end.
    pub fn write_document(&self, n: u64, out: &mut Vec<u8>) {
        let (traits, platform) = (self.traits(n), self.platform(n));
        // Writing into memory cannot fail.
        let word = platform.word();
        drop(write!(out, r#"{{"installationId":"{}","platform":"{word}","pushChannel":"#, self.id(n)));
        let token = self.addresses.token(n);
        match platform {
            // An object; the others are texts.
            Platform::WebPush => write_subscription(self.ports.web_push, &token, out),
            Platform::Apns => quoted(out, |out| write_hex(&token, out)),
            Platform::Fcm => quoted(out, |out| out.extend_from_slice(&self.addresses.registration(n))),
            Platform::Wns => quoted(out, |out| write_channel(self.ports.wns, &token, out)),
        }
        drop(write!(out, r#","userId":"user-{}","tags":["u:{n}""#, n / 2));
        for tag in traits.shared_tags() {
            drop(write!(out, r#","{tag}""#));
        }
        out.push(b']');
        if self.templates > 0 {
            let number = mix(n ^ self.trait_key ^ self.id_key) % self.templates;
            let [title, text] = TEMPLATE_READS;
            drop(write!(
                out,
                r#","templates":{{"news":{{"body":"{{\"aps\":{{\"alert\":{{\"title\":\"{{$({title}) + ' {number:02}'}}\",\"body\":\"$({text})\"}},\"sound\":\"default\",\"badge\":1}}}}"}}}}"#
            ));
        }
        out.push(b'}');
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// The finaliser of splitmix64: a permutation of 64-bit numbers whose results look drawn.
pub(crate) const fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// The inverse of [`mix`]: the inverses of its two odd factors modulo 2^64, and of its shifts.
const fn unmix(mixed: u64) -> u64 {
    let mut bits = mixed ^ mixed >> 31 ^ mixed >> 62;
    bits = bits.wrapping_mul(0x3196_42b2_d24d_8ec3);
    bits = bits ^ bits >> 27 ^ bits >> 54;
    bits = bits.wrapping_mul(0x96de_1b17_3f11_9089);
    bits = bits ^ bits >> 30 ^ bits >> 60;
    bits.wrapping_sub(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fanfare::model::{
        installation::{Installation, InstallationLimits},
        platform::PlatformWord,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::gateways::web_push::Browser;

    proptest! {
        #[test]
        fn mixing_is_undone(number: u64) {
            prop_assert_eq!(unmix(mix(number)), number);
        }

        #[test]
        fn what_is_booked_names_its_device_and_no_other_seeds_or_platforms(seed: u64, n: u64) {
            let devices = mixed(seed);
            let (booked, own) = (devices.booked(n), devices.platform(n));
            for platform in Platform::ALL {
                let named = devices.of_booked(platform, &booked);
                prop_assert_eq!(named, (platform == own).then_some(n), "{}", platform);
                prop_assert_eq!(mixed(seed ^ 1).of_booked(platform, &booked), None);
            }
        }
    }

    fn mixed(seed: u64) -> Devices {
        Devices::mixed(seed, "apns=45,fcm=35,wns=10,web_push=10".parse().unwrap(), Ports { wns: 8445, web_push: 8446 })
    }

    #[test]
    fn platforms_keep_to_their_shares_and_change_nothing_else() {
        let (devices, plain) = (mixed(3), Devices::new(3));
        let count = 50_000;
        for (platform, wanted) in Platform::ALL.into_iter().zip([0.45, 0.35, 0.1, 0.1]) {
            let share = (0..count).filter(|n| devices.platform(*n) == platform).count() as f64 / count as f64;
            assert!((share - wanted).abs() < 0.01, "{platform}: {share}");
        }
        for n in 0..100 {
            assert_eq!(plain.platform(n), Platform::Apns);
            assert_eq!((devices.id(n), devices.token(n)), (plain.id(n), plain.token(n)));
            assert_eq!(devices.traits(n), plain.traits(n));
        }
    }

    /// Published figures were measured with these; a platform more must not move a device of a mix that does not name it.
    #[test]
    fn a_mix_gives_each_device_the_platform_that_it_had() {
        let devices = Devices::mixed(1, "apns=50,fcm=40,wns=10".parse().unwrap(), Ports::default());
        let drawn: String = (0..40).map(|n| &devices.platform(n).label()[..1]).collect();
        assert_eq!(drawn, "aaaaaaaaaaffaffaaaafaafwfffafffafaffafaf");
    }

    #[test]
    fn documents_are_installations_with_eight_tags() {
        let devices = mixed(1);
        for n in 0..200 {
            let mut json = Vec::new();
            devices.write_document(n, &mut json);
            let read = Installation::parse(&json, None, &InstallationLimits::default()).unwrap();
            assert_eq!(read.id.as_str(), devices.id(n).to_string());
            let token = hex::encode(devices.token(n));
            let (platform, channel) = match devices.platform(n) {
                Platform::Apns => (PlatformWord::Apns, devices.token(n).to_vec()),
                Platform::Fcm => (PlatformWord::FcmV1, devices.booked(n).to_vec()),
                Platform::Wns => (PlatformWord::Wns, format!("https://localhost:8445/?token={token}").into_bytes()),
                Platform::WebPush => {
                    let browser = Browser::of(&devices.token(n)).unwrap();
                    let (auth, p256dh) = (browser.auth(), browser.p256dh());
                    let endpoint = format!("https://localhost:8446/wp/{token}");
                    let members = format!(r#"{{"auth":"{auth}","endpoint":"{endpoint}","p256dh":"{p256dh}"}}"#);
                    (PlatformWord::Browser, members.into_bytes())
                }
            };
            assert_eq!((read.platform, read.channel.bytes()), (platform, channel.as_slice()));
            assert_eq!(read.user.as_ref().map(|user| user.as_str()), Some(devices.user(n).as_str()));
            let mut tags: Vec<_> = read.tags.iter().map(|tag| tag.as_str().to_owned()).collect();
            assert_eq!(tags.remove(0), format!("u:{n}"));
            assert_eq!(tags, devices.traits(n).shared_tags().map(|tag| tag.to_string()));
            assert_eq!(tags.len(), 7);
            assert!(read.templates.is_empty());
        }
    }

    #[test]
    fn templates_are_shared() {
        let devices = Devices::new(1).sharing(20);
        let bodies = (0..400).map(|n| {
            let mut json = Vec::new();
            devices.write_document(n, &mut json);
            let read = Installation::parse(&json, None, &InstallationLimits::default()).unwrap();
            read.templates["news"].body.clone()
        });
        let bodies: BTreeSet<String> = bodies.collect();
        assert_eq!(bodies.len(), 20);
        assert!(
            bodies.iter().all(|body| body.contains(r#""title":"{$(title) + ' "#) && body.contains(r#":"$(text)""#))
        );
    }
}
