//! h2load, of nghttp2: requests are written down before it begins and go round a list of URIs, so it spends nothing on
//! making them; its `apns-id` is the same each time. Both favour it.
use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use anyhow::{Context, bail};

use super::PATIENCE;
use crate::compare::{
    DELIVERED, Done, Task,
    process::{Cores, Spoken},
};

/// Measured with its start taken off: a run of as many requests as it has connections.
///
/// # Errors
/// When it fails or its words cannot be read.
pub(super) async fn measure(task: &Task, cores: Cores, folder: &Path) -> anyhow::Result<Done> {
    let (uris, body) = (folder.join("uris"), folder.join("body.json"));
    let list = task.tokens.iter().fold(String::new(), |mut list, token| {
        // Writing into memory cannot fail.
        let _ = writeln!(list, "{}/3/device/{token}", task.endpoint);
        list
    });
    std::fs::write(&uris, list)?;
    std::fs::write(&body, &task.body)?;
    let start = run(task, cores, &uris, &body, task.connections as u64).await?;
    let whole = run(task, cores, &uris, &body, task.connections as u64 + task.requests).await?;
    let outcomes = BTreeMap::from([(DELIVERED.to_owned(), start.delivered + whole.delivered)]);
    Ok(Done::new(whole.cpu.saturating_sub(start.cpu), whole.wall.saturating_sub(start.wall), outcomes))
}

struct Ran {
    cpu: Duration,
    wall: Duration,
    delivered: u64,
}

async fn run(task: &Task, cores: Cores, uris: &Path, body: &Path, requests: u64) -> anyhow::Result<Ran> {
    let mut command = cores.command(cores.sender, "h2load".as_ref());
    command.arg("-n").arg(requests.to_string());
    command.args(["-c", &task.connections.to_string(), "-m", &task.streams.to_string(), "-t", "1"]);
    command.arg("-d").arg(body).arg("-i").arg(uris);
    let fields = [
        ("authorization", task.authorization.as_str()),
        ("apns-topic", &task.topic),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-expiration", "1900000000"),
        ("apns-id", "0193a5e0-7c1f-8a3b-9d42-3f6c1b2a4d5e"),
    ];
    for (name, value) in fields {
        command.arg("-H").arg(format!("{name}: {value}"));
    }
    let (text, cpu) = Spoken::start(command).await?.output(PATIENCE).await?;
    let (wall, delivered) = read(&text).with_context(|| format!("it said: {text}"))?;
    if delivered != requests {
        bail!("only {delivered} of {requests} were answered with 2xx: {text}");
    }
    Ok(Ran { cpu, wall, delivered })
}

/// `finished in 617.50ms, 323886.64 req/s, …` and `status codes: 200000 2xx, 0 3xx, …`
fn read(text: &str) -> Option<(Duration, u64)> {
    let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let took = after("finished in ")?.split(',').next()?;
    let digits = took.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = took.split_at(digits);
    let seconds = number.parse::<f64>().ok()?
        * match unit {
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            _ => return None,
        };
    let delivered = after("status codes: ")?.split(' ').next()?.parse().ok()?;
    Some((Duration::from_secs_f64(seconds), delivered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_words_are_read() {
        let text = "starting benchmark...\n\nfinished in 617.50ms, 323886.64 req/s, 3.08MB/s\nrequests: 2 total\n\
                    status codes: 200000 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        assert_eq!(read(text), Some((Duration::from_micros(617_500), 200_000)));
        assert_eq!(read(&text.replace("617.50ms", "2.00s")).unwrap().0, Duration::from_secs(2));
        assert_eq!(read(&text.replace("617.50ms", "2.00min")), None);
        assert_eq!(read("no such file"), None);
    }
}
