//! The 64-bit hashes that look-up indexes use. They are stored, so they never change: XXH3-64 over the hub's number,
//! a byte for the domain, and the text. A hit is always compared with the row itself.

use xxhash_rust::xxh3::Xxh3;

use super::id::HubId;
use super::platform::Platform;

fn hash(hub: HubId, domain: u8, text: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&hub.0.to_le_bytes());
    hasher.update(&[domain]);
    hasher.update(text);
    hasher.digest()
}

/// Of an installation's id.
pub fn installation(hub: HubId, id: &str) -> u64 {
    hash(hub, 1, id.as_bytes())
}

/// Of a user.
pub fn user(hub: HubId, user: &str) -> u64 {
    hash(hub, 2, user.as_bytes())
}

/// Of a push channel on a platform.
pub fn channel(hub: HubId, platform: Platform, channel: &[u8]) -> u64 {
    hash(hub, 16 + platform.code(), channel)
}
