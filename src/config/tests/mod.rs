//! Whole configurations: what is refused and how, what is loaded, what the files behind it must hold.
use super::*;
use std::{fs, path::PathBuf};
use tempfile::TempDir;

mod complete;
mod files;
mod loaded;
mod refused;
mod refused_hubs;

/// A folder with a `fanfare.toml` and whatever files a test puts beside it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> &Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn load(&self, toml: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        self.file("fanfare.toml", toml);
        let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::load_with(Some(&self.path("fanfare.toml")), environment)
    }

    /// The line that refuses, the folder's name taken out.
    fn line(&self, error: ConfigError) -> String {
        error.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn refusal(toml: &str, environment: &[(&str, &str)]) -> String {
    let place = Place::new();
    place.file("empty", "\n").file("key", "text\n");
    place.line(place.load(toml, environment).expect_err(toml))
}
