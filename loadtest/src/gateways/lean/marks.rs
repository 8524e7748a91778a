//! One bit a device, and how often anything happened.
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use serde::{Deserialize, Serialize};

use crate::devices::{Devices, Platform, TOKEN_LENGTH};

/// What a sink received. `requests` is the sum of `devices`, `repeated`, `unknown` and `unread`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// TLS connections that spoke HTTP/2.
    pub connections: u64,
    /// Requests that came whole; each is answered with 200.
    pub requests: u64,
    /// Devices that got one at least.
    pub devices: u64,
    /// Requests for a device that had got one before.
    pub repeated: u64,
    /// Requests for a token of none of the devices.
    pub unknown: u64,
    /// Requests whose path was not looked at, or not found where this sender writes it.
    pub unread: u64,
    /// Streams over the limit, refused and not counted as requests.
    pub refused: u64,
    /// Connections that ended by a breach of the protocol.
    pub broken: u64,
}

/// Whom a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addressee {
    Device(u64),
    Unknown,
    Unread,
}

/// Devices by number, marked once they got something.
pub struct Marks {
    devices: Devices,
    known: u64,
    words: Box<[AtomicU64]>,
    counts: [AtomicU64; COUNTS],
}

const COUNTS: usize = 8;

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks").field("known", &self.known).field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Marks {
    /// Devices `0..known` of these.
    pub fn new(devices: Devices, known: u64) -> Self {
        let words = (0..known.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { devices, known, words, counts: Default::default() }
    }

    /// Whose token these hex digits are.
    pub(super) fn addressee(&self, digits: &[u8]) -> Addressee {
        let mut token = [0; TOKEN_LENGTH];
        let device = if read_hex(digits, &mut token) { self.devices.of_booked(Platform::Apns, &token) } else { None };
        device.filter(|number| *number < self.known).map_or(Addressee::Unknown, Addressee::Device)
    }

    /// Marks a device; false when it was marked before.
    pub(super) fn mark(&self, device: u64) -> bool {
        let Some(word) = usize::try_from(device / 64).ok().and_then(|at| self.words.get(at)) else { return false };
        let bit = 1 << (device % 64);
        word.fetch_or(bit, Relaxed) & bit == 0
    }

    /// Adds what a connection counted.
    pub(super) fn add(&self, counted: &Counts) {
        for (sum, more) in self.counts.iter().zip(counted.as_array()) {
            if more != 0 {
                sum.fetch_add(more, Relaxed);
            }
        }
    }

    pub fn counts(&self) -> Counts {
        let [connections, requests, devices, repeated, unknown, unread, refused, broken] =
            std::array::from_fn(|at| self.counts[at].load(Relaxed));
        Counts { connections, requests, devices, repeated, unknown, unread, refused, broken }
    }

    pub fn reset(&self) {
        self.words.iter().chain(&self.counts).for_each(|word| word.store(0, Relaxed));
    }
}

impl Counts {
    fn as_array(&self) -> [u64; COUNTS] {
        let Self { connections, requests, devices, repeated, unknown, unread, refused, broken } = *self;
        [connections, requests, devices, repeated, unknown, unread, refused, broken]
    }
}

/// Values of the digits, 16 for what is none.
const VALUES: [u8; 256] = {
    let mut values = [16; 256];
    let mut digit = 0_u8;
    while digit < 10 {
        values[(b'0' + digit) as usize] = digit;
        digit += 1;
    }
    while digit < 16 {
        values[(b'a' + digit - 10) as usize] = digit;
        values[(b'A' + digit - 10) as usize] = digit;
        digit += 1;
    }
    values
};

/// False when the digits are not exactly as many as the token needs.
fn read_hex(digits: &[u8], token: &mut [u8; TOKEN_LENGTH]) -> bool {
    let (pairs, rest) = digits.as_chunks::<2>();
    let mut seen = 0;
    for (byte, [high, low]) in token.iter_mut().zip(pairs) {
        let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    pairs.len() == TOKEN_LENGTH && rest.is_empty() && seen < 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        Marks::new(Devices::new(7), 100)
    }

    fn digits(seed: u64, number: u64) -> String {
        hex::encode(Devices::new(seed).token(number))
    }

    #[test]
    fn a_token_is_its_device_in_either_case() {
        let marks = marks();
        for number in [0, 63, 64, 99] {
            assert_eq!(marks.addressee(digits(7, number).as_bytes()), Addressee::Device(number));
            assert_eq!(marks.addressee(digits(7, number).to_uppercase().as_bytes()), Addressee::Device(number));
        }
    }

    #[test]
    fn what_is_no_devices_token_is_unknown() {
        let marks = marks();
        let good = digits(7, 5);
        let bad = [digits(7, 100), digits(8, 5), good[1..].to_owned(), good[2..].to_owned(), good.clone() + "00"];
        for text in bad.iter().map(String::as_str).chain(["", &good.replace('0', "g"), &good.replace('1', " ")]) {
            assert_eq!(marks.addressee(text.as_bytes()), Addressee::Unknown, "{text}");
        }
    }

    #[test]
    fn marks_are_set_once_and_forgotten_at_a_reset() {
        let marks = marks();
        assert!(marks.mark(64) && !marks.mark(64) && marks.mark(65));
        marks.add(&Counts { requests: 3, devices: 2, repeated: 1, ..Counts::default() });
        assert_eq!(marks.counts(), Counts { requests: 3, devices: 2, repeated: 1, ..Counts::default() });
        marks.reset();
        assert!(marks.mark(64));
        assert_eq!(marks.counts(), Counts::default());
    }
}
