//! Senders of other languages, driven by a script of a few lines that reads the task and prints what came of it.
use std::process::Stdio;

use super::Sender;

/// A script's text and the name of its file.
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) source: &'static str,
}

/// The interpreter and its script. Those that have none are programs of their own.
pub(super) fn of(sender: Sender) -> (&'static str, Script) {
    if sender == Sender::NodeApn {
        ("node", Script { name: "node-apn.cjs", source: include_str!("node-apn.cjs") })
    } else {
        ("python3", Script { name: "send_aioapns.py", source: include_str!("send_aioapns.py") })
    }
}

/// Whether the interpreter is there and this succeeds.
pub(super) async fn is_there(program: &'static str, args: &'static [&'static str]) -> bool {
    let asking = tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    });
    asking.await.unwrap_or(false)
}
