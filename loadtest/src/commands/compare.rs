//! `loadtest compare`: the engine beside h2load and the other senders of this machine. `compare-sender` is one of them,
//! as a child process.
use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};

use super::{Place, die_with_parent, exit, on_runtime, say, write_json};
use crate::{
    clock::Clock,
    compare::{
        BODY, DELIVERED, Done, Task,
        process::Cores,
        receiver::{Against, Credentials, Receiver, Setting},
        senders::Sender,
        sheet::{Sheet, Turn},
    },
    devices::Devices,
    gateways::lean::Counts,
};

/// Tokens of senders that go round a list.
const TOKENS: u64 = 1_000;
const SEED: u64 = 1;

/// Sends the same notifications with Fanfare's engine, h2load and what other senders are found, and prints the ratios
///
/// Each sender in turn, round by round, as a process of its own on one core, sends to a receiver on another: POST
/// /3/device/TOKEN with provider token, topic, push type, priority, expiration, apns-id and 250 bytes of JSON. Its CPU is
/// user and system time without the start; ratios are to h2load.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Requests of the engine in each round; slower senders send a fifth (h2, h2load), a tenth (hyper), a fiftieth
    /// (node-apn) or a 200th (aioapns) of it
    #[arg(long, default_value_t = 2_000_000, value_name = "N")]
    requests: u64,
    /// Rounds
    #[arg(long, default_value_t = 3, value_name = "R")]
    rounds: u32,
    /// Requests in flight on each connection, and what the receiver allows
    #[arg(long, default_value_t = 1_000, value_name = "S")]
    streams: usize,
    /// Connections
    #[arg(long, default_value_t = 1, value_name = "C")]
    connections: usize,
    /// Milliseconds until the lean sink answers
    #[arg(long, default_value_t = 0, value_name = "D")]
    delay_ms: u64,
    /// What they send to
    #[arg(long, value_enum, default_value_t)]
    against: Against,
    /// Which of them, separated by commas; unless given all that are found. h2load is Debian's nghttp2-client; node-apn
    /// needs @parse/node-apn where node finds it, aioapns the package where python3 does. (a2 cannot take part: its
    /// client is tied to Apple's hosts and the public roots.)
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SENDERS")]
    senders: Vec<Sender>,
    /// Write the results here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// # Errors
/// When a sender or the receiver fails; requests that did not arrive are an exit status.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(compare(args))
}

async fn compare(args: Args) -> anyhow::Result<ExitCode> {
    for (name, value) in [("requests", args.requests), ("rounds", args.rounds.into())] {
        if value == 0 {
            bail!("--{name}: must be 1 or more");
        }
    }
    if !(1..=1_000).contains(&args.connections) || !(1..=100_000).contains(&args.streams) {
        bail!("--connections must be between 1 and 1000, --streams between 1 and 100000");
    }
    let senders = present(&args.senders).await?;
    let folder = folder(&args.place)?;
    let cores = Cores::choose()?;
    let warm_up = (args.streams * args.connections * 4).max(10_000) as u64;
    let setting = Setting {
        against: args.against,
        streams: args.streams,
        delay_ms: args.delay_ms,
        seed: SEED,
        devices: args.requests + warm_up,
    };
    let receiver = Receiver::start(setting, cores, folder.path()).await?;
    let mut turns: Vec<(Sender, u64, Vec<Turn>)> =
        senders.into_iter().map(|sender| (sender, (args.requests / sender.slowness()).max(1), Vec::new())).collect();
    let mut good = true;
    for _ in 0..args.rounds {
        for (sender, requests, turns) in &mut turns {
            let slow = if sender.computes_tokens() { 1 } else { sender.slowness() };
            let task = Task {
                requests: *requests,
                warm_up: warm_up.div_ceil(slow),
                ..task(&receiver.credentials, args.connections, args.streams)?
            };
            receiver.take_counts().await?;
            let before = receiver.cpu();
            let done = sender.take_turn(&task, cores, folder.path()).await?;
            let spent = receiver.cpu().saturating_sub(before);
            let counts = receiver.take_counts().await?;
            if let Some(wrong) = wrong(*sender, &task, &done, counts) {
                say(format_args!("{}: {wrong}", sender.label()))?;
                good = false;
            }
            let received = done.outcomes.values().sum();
            let micros = std::time::Duration::from_micros;
            turns.push(Turn::new(*requests, micros(done.cpu_micros), micros(done.wall_micros), (spent, received)));
        }
    }
    receiver.stop().await;
    if args.place.keep {
        say(format_args!("left behind: {}", folder.keep().display()))?;
    }
    let sheet = Sheet::new(setting, args.connections, cores.describe(), turns);
    say(&sheet)?;
    write_json(args.json.as_deref(), &sheet)?;
    Ok(exit(good))
}

/// The senders that were asked for, each of which must be there; or all that are.
async fn present(asked: &[Sender]) -> anyhow::Result<Vec<Sender>> {
    let mut present = Vec::new();
    for sender in if asked.is_empty() { &Sender::ALL[..] } else { asked } {
        match sender.absent().await {
            None => present.push(*sender),
            Some(why) if asked.is_empty() => say(format_args!("without {}: {why}", sender.label()))?,
            Some(why) => bail!("--senders {}: {why}", sender.label()),
        }
    }
    Ok(present)
}

fn folder(place: &Place) -> anyhow::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("fanfare-compare-");
    let made = match &place.dir {
        Some(dir) => builder.tempdir_in(dir),
        None => builder.tempdir(),
    };
    made.context("cannot make the run's folder")
}

/// All but the numbers of requests.
pub(super) fn task(of: &Credentials, connections: usize, streams: usize) -> anyhow::Result<Task> {
    let key = crate::gateways::ProviderKey::read(&of.team_id, &of.key_id, &std::fs::read_to_string(&of.key_file)?)?;
    let devices = Devices::new(SEED);
    Ok(Task {
        endpoint: format!("https://{}", of.address),
        host: of.address.ip().to_string(),
        port: of.address.port(),
        ca_file: of.ca_file.clone(),
        topic: of.topic.clone(),
        team_id: of.team_id.clone(),
        key_id: of.key_id.clone(),
        key_file: of.key_file.clone(),
        authorization: format!("bearer {}", key.sign(Clock::default().unix_seconds())?),
        body: BODY.to_owned(),
        tokens: (0..TOKENS).map(|number| hex::encode(devices.token(number))).collect(),
        seed: SEED,
        connections,
        streams,
        warm_up: 0,
        requests: 0,
    })
}

/// What is wrong with a turn: requests that were not delivered, or did not arrive, or arrived twice.
fn wrong(sender: Sender, task: &Task, done: &Done, counts: Option<Counts>) -> Option<String> {
    let delivered = done.outcomes.get(DELIVERED).copied().unwrap_or_default();
    // h2load's start is a run of its own, of one request a connection, and the other run has those too.
    let owed = match sender {
        Sender::H2load => task.requests + 2 * task.connections as u64,
        _ => task.requests + task.warm_up,
    };
    if delivered != owed || done.outcomes.len() != 1 {
        return Some(format!("of {owed} requests came {:?}", done.outcomes));
    }
    let counts = counts?;
    let once = !sender.computes_tokens() || (counts.devices == owed && counts.repeated == 0);
    let arrived = counts.requests == owed && counts.unknown == 0 && counts.broken == 0;
    (!once || !arrived).then(|| format!("of {owed} requests arrived {counts:?}"))
}

/// One sender, told by a task.
#[derive(Debug, clap::Args)]
pub struct SenderArgs {
    #[arg(value_enum)]
    sender: Sender,
    #[arg(value_name = "FILE")]
    task: PathBuf,
}

/// # Errors
/// When the task cannot be read or done.
pub fn run_sender(args: SenderArgs) -> anyhow::Result<()> {
    die_with_parent();
    let task: Task = serde_json::from_str(&std::fs::read_to_string(&args.task)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(args.sender.send(&task))?;
    say(serde_json::to_string(&done)?)?;
    Ok(())
}
