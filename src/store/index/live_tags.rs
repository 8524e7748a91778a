//! The texts of the index's live tags, made once.

use crate::model::platform::Platform;
use crate::model::target::{TargetClass, index_tag};

/// [`index_tag::live`] of every class and platform.
#[derive(Debug)]
pub(in crate::store) struct LiveTags(Vec<String>);

impl Default for LiveTags {
    fn default() -> Self {
        let platforms = |class| Platform::ALL.map(|platform| index_tag::live(class, platform));
        Self(TargetClass::ALL.into_iter().flat_map(platforms).collect())
    }
}

impl LiveTags {
    pub(in crate::store) fn get(&self, class: TargetClass, platform: Platform) -> &str {
        let at = usize::from(class.code()) * Platform::ALL.len() + usize::from(platform.code());
        self.0.get(at).map_or("", String::as_str)
    }
}
