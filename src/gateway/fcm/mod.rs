//! FCM HTTP v1: Google's push service (`push-services.md` section 2), for Android and through it for iOS and browsers.
//! In here is what it wants to be told and what it means by its answers.
//!
//! The crate `fcm` is no part of this: it speaks the older API, which Google ended from July 2024 on.

pub mod message;
pub mod verdict;
