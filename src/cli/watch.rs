//! `fanfare watch`: a broadcast followed to its end by its events.
//!
//! A stream that breaks, or that a stopping service ends early, is taken up again: every event holds the broadcast's
//! whole state, so nothing is missed. Exit status: 0 when it completed, 1 otherwise.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::Failure;
use super::client::{Client, ClientError, hub_path, segment};
use super::progress::Progress;

/// Attempts in a row, about a minute, before a service that went away is given up.
const ATTEMPTS: u32 = 15;
/// The longest pause between two.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The broadcast's id, as `fanfare send` printed it
    id: String,
    /// The hub that it was sent in
    #[arg(long)]
    hub: String,
}

/// How a stream of events ended.
enum Ended {
    /// With the broadcast, in this state.
    Over(Box<Value>),
    /// Before it; `told` says whether it told anything.
    Early { told: bool },
}

pub(super) async fn run(watch: &Watch, client: &Client, stdout: &mut impl Write) -> Result<(), Failure> {
    follow(client, &watch.hub, &watch.id, stdout).await
}

/// Follows a broadcast and prints what became of it.
pub(super) async fn follow(client: &Client, hub: &str, id: &str, stdout: &mut impl Write) -> Result<(), Failure> {
    let progress = Progress::new("sending", Some(0));
    let mut last_line = String::new();
    let (mut failures, mut known) = (0, false);
    let last = loop {
        let failure = match stream(client, hub, id, &progress, &mut last_line).await {
            Ok(Ended::Over(last)) => break last,
            Ok(Ended::Early { told }) => {
                known |= told;
                failures = if told { 0 } else { failures };
                None
            }
            // A first attempt that reaches nobody is a wrong address rather than a restart.
            Err(error) if known && error.is_passing() => Some(error),
            Err(error) => {
                progress.done();
                return Err(error.into());
            }
        };
        failures += 1;
        if failures > ATTEMPTS {
            progress.done();
            let why = failure.map_or_else(|| "the service ends its events early".to_owned(), |error| error.to_string());
            return Err(anyhow::anyhow!("lost sight of {id}: {why}").into());
        }
        if failures == 1 {
            progress.line("the service went away for a moment; connecting again");
        }
        tokio::time::sleep(Duration::from_millis(250 * u64::from(failures)).min(LONGEST_PAUSE)).await;
    };
    progress.done();
    let state = last["state"].as_str().unwrap_or_default();
    writeln!(stdout, "{}", summary(&last))?;
    match state {
        "completed" => Ok(()),
        state => Err(anyhow::anyhow!("broadcast {id} ended {state}").into()),
    }
}

async fn stream(
    client: &Client,
    hub: &str,
    id: &str,
    progress: &Progress,
    last_line: &mut String,
) -> Result<Ended, ClientError> {
    let mut answer = client.get(&hub_path(hub, &format!("/broadcasts/{}/events", segment(id)))).await?;
    let (mut event, mut told) = (String::new(), false);
    loop {
        let line = match answer.line().await {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(Ended::Early { told }),
            // What was told counts: a long stream that breaks is no failure in a row.
            Err(error) if told && error.is_passing() => return Ok(Ended::Early { told }),
            Err(error) => return Err(error),
        };
        if let Some(name) = line.strip_prefix("event:") {
            event = name.trim().to_owned();
        } else if let Some(data) = line.strip_prefix("data:") {
            let Ok(broadcast) = serde_json::from_str::<Value>(data.trim()) else { continue };
            told = true;
            show(&broadcast, progress, last_line);
            if event == "end" {
                return Ok(Ended::Over(Box::new(broadcast)));
            }
        }
    }
}

fn show(broadcast: &Value, progress: &Progress, last_line: &mut String) {
    let count = |name: &str| broadcast["counters"][name].as_u64().unwrap_or(0);
    let (targeted, pending) = (count("targeted"), count("pending"));
    let state = broadcast["state"].as_str().unwrap_or_default();
    let line = summary(broadcast);
    progress.towards(targeted.saturating_sub(pending), targeted, &format!("{state}{}", waiting(broadcast)));
    if !progress.is_on_terminal() && line != *last_line {
        progress.line(&line);
        *last_line = line;
    }
}

/// State and counters in one line; counters that are zero are left out, `targeted` and `delivered` never.
fn summary(broadcast: &Value) -> String {
    let mut line = broadcast["state"].as_str().unwrap_or_default().to_owned();
    let counters =
        ["targeted", "delivered", "pending", "rejected", "dropped", "expired", "cancelled", "skipped", "retries"];
    for (at, name) in counters.into_iter().enumerate() {
        let count = broadcast["counters"][name].as_u64().unwrap_or(0);
        if count > 0 || at < 2 {
            let before = if at == 0 { ":" } else { "," };
            line.push_str(&format!("{before} {name} {count}"));
        }
    }
    line + &waiting(broadcast)
}

/// What it waits for, such as `; apns waits: throttled`.
fn waiting(broadcast: &Value) -> String {
    let waiting = broadcast["waiting"].as_array().into_iter().flatten();
    let part = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    waiting.map(|waiting| format!("; {} waits: {}", part(waiting, "platform"), part(waiting, "reason"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_summary_leaves_out_what_is_zero() {
        let broadcast = json!({
            "state": "running", "counters": {"targeted": 5, "pending": 2, "delivered": 3, "rejected": 0},
            "waiting": [{"platform": "apns", "reason": "throttled"}],
        });
        assert_eq!(summary(&broadcast), "running: targeted 5, delivered 3, pending 2; apns waits: throttled");
    }
}
