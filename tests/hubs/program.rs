//! Programs of the JavaScript clients that the tests run: installed once, run to their end.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of a client's program, with the packages that its lock file names.
pub async fn folder(below_tests: &str, package: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(below_tests);
    if !folder.join("node_modules").join(package).exists() {
        let mut install = Command::new("npm");
        install.current_dir(&folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(install, "npm ci").await;
    }
    folder
}

/// Runs a command to its end and answers what it said.
pub async fn run(mut command: Command, what: &str) -> String {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {said}");
    said
}
