//! Which parts of a configuration this build cannot run yet.
//!
//! Every key is read and checked whatever is built in, so that a file can be checked anywhere; what is missing is refused
//! when the service would have to use it, and never passed over in silence.

use super::{Config, ConfigError};

impl Config {
    /// Refuses the first thing that is asked for and not built; for `serve`.
    pub fn require_built(&self) -> Result<(), ConfigError> {
        self.missing().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that is asked for and not built, in the order of the file's sections.
    pub fn missing(&self) -> Vec<ConfigError> {
        let mobile = self.mobile.as_ref();
        let asked = [
            ("mobile.api", mobile.is_some_and(|mobile| mobile.api.is_some()), "this build forwards no custom APIs"),
            ("site", self.site.is_some(), "this build serves no static files"),
        ];
        let missing = asked.into_iter().filter(|(_, is_asked, _)| *is_asked);
        missing.map(|(key, _, why)| ConfigError::new(key, format!("must be absent: {why}"), "a section")).collect()
    }
}
