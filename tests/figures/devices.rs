//! Devices as a large app has them: 8 tags, one of them unique to the user, a token of 32 bytes.

use fanfare::model::hash;
use fanfare::model::id::{HubId, Seq};
use fanfare::model::installation::{Installation, InstallationLimits};
use fanfare::store::Change;
use serde_json::json;

/// The `n`th device.
pub(crate) fn device(n: u32) -> Installation {
    // Spread as ids and tokens of real devices are, so that every look-up key lands on a page of its own.
    let spread =
        |salt: u8| hash::channel(HubId(u32::from(salt)), fanfare::model::platform::Platform::Apns, &n.to_le_bytes());
    let token: String = (0..4).map(|part| format!("{:016x}", spread(part))).collect();
    let of = |name: &str, salt: u8, among: u64| format!("{name}:{}", spread(salt) % among);
    let tags = [
        of("country", 10, 60),
        of("language", 11, 12),
        of("version", 12, 20),
        of("team", 13, 200),
        of("half", 14, 2),
        of("tenth", 15, 10),
        of("city", 16, 3_000),
        format!("account:{n}"),
    ];
    let platform = if spread(20) % 2 == 0 { ("apns", token) } else { ("fcmv1", format!("f{token}")) };
    let document = json!({"installationId": format!("{:016x}-{n}", spread(9)), "platform": platform.0,
        "pushChannel": platform.1, "tags": tags, "userId": format!("user-{n}")});
    Installation::parse(document.to_string().as_bytes(), None, &InstallationLimits::default()).unwrap()
}

/// Registrations of devices, in groups.
pub(crate) fn groups(from: u32, count: u32, group: u32) -> Vec<Vec<Change>> {
    (from..from + count)
        .collect::<Vec<_>>()
        .chunks(group as usize)
        .map(|numbers| numbers.iter().map(|&n| Change::Put(Box::new(device(n)))).collect())
        .collect()
}

/// The key of a target's row.
pub(crate) fn key(hub: HubId, seq: Seq) -> i64 {
    i64::from(hub.0) << 40 | seq.0.cast_signed()
}
