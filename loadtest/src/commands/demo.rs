//! `loadtest demo`: the whole service at work, for somebody who sees it for the first time.
use std::{process::ExitCode, time::Duration};

use super::{Place, exit, on_runtime, say};
use crate::{
    figures::{grouped, mebibytes, per_second, rate},
    stage::{HubFrom, Plan, Stage, broadcast::Order, outcome::Outcome},
};

/// Shows the whole service: a hub, 100,000 installations, a tagged broadcast and one to everyone, owed against received
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations to register
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    installations: u64,
    /// Keep everything running and print where it is
    #[arg(long)]
    stay: bool,
    #[command(flatten)]
    place: Place,
}

/// In a hundred.
const SHARES: &str = "apns=45,fcm=40,wns=10,web_push=5";
const TAGGED: &str = "news && !muted";
const EVERYONE: &str = "all";
const WITHIN: Duration = Duration::from_secs(300);

/// # Errors
/// When a part does not work at all; a wrong result is an exit status.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(show(args))
}

async fn show(args: Args) -> anyhow::Result<ExitCode> {
    let plan =
        Plan { dir: args.place.dir, keep: args.place.keep, hub: HubFrom::Api, mix: SHARES.parse()?, ..Plan::default() };
    let mut stage = Stage::set_up(plan).await?;
    say(format_args!(
        "Fanfare runs as a process of its own ({}), with its embedded store and queue, on http://{}.\n\
         The push services are simulated in this process; nothing leaves this machine:\n{}\n",
        stage.service.pid(),
        stage.service.site.address,
        simulated(&stage),
    ))?;
    say(
        "1. The hub `demo`, one app's space with an account of each service, was made through the API: PUT /v1/hubs/demo",
    )?;

    let took = stage.import(args.installations).await?;
    say(format_args!(
        "2. {} installations registered in {:.1} s ({} a second), each with eight tags, of each hundred {SHARES}: \
         POST /v1/hubs/demo/installations:import",
        grouped(args.installations),
        took.as_secs_f64(),
        rate(per_second(args.installations, took)),
    ))?;

    let mut order = Order { within: WITHIN, ..Order::new(TAGGED, "Some news", &stage.devices.platforms()) };
    let tagged = stage.broadcast(order.clone()).await?;
    say(format_args!("3. A broadcast to `{TAGGED}`: POST /v1/hubs/demo/broadcasts\n{}", told(&tagged)))?;
    order.audience = EVERYONE.to_owned();
    order.title = "Hello, everyone".to_owned();
    let everyone = stage.broadcast(order).await?;
    say(format_args!("4. A broadcast to `{EVERYONE}`, a tag that every installation has\n{}", told(&everyone)))?;

    say(format_args!(
        "\nThe service took {:.1} s of CPU and at most {} of memory of its own for the second broadcast.\n\
         Each device's push was checked where it arrived: right device, right payload, how many times.\n\
         Next: `loadtest demo --stay` leaves it running, `loadtest run --help` measures, README.md shows how to start your own.\n",
        everyone.cpu_micros_per_device * everyone.judgement.total.owed as f64 / 1e6,
        mebibytes(everyone.anonymous_peak),
    ))?;
    let good = tagged.is_good() && everyone.is_good();
    say(everyone.judgement)?;
    if args.stay {
        stay(&stage).await?;
    }
    stage.strike().await?;
    Ok(exit(good))
}

/// Which service is where, a line each.
fn simulated(stage: &Stage) -> String {
    let fleet = &stage.fleet;
    let lines = [
        format!("  Apple's APNs      {}", fleet.apns.endpoint()),
        format!("  Google's FCM      {}", fleet.fcm.endpoint()),
        format!("  Microsoft's WNS   {}", fleet.wns.endpoint()),
        format!("  Web Push          {}", fleet.web_push.endpoint()),
    ];
    lines.join("\n")
}

/// A broadcast in words.
fn told(outcome: &Outcome) -> String {
    let (judgement, total) = (&outcome.judgement, &outcome.judgement.total);
    let mut text = format!(
        "   {} of {} owed devices got it, in {:.2} s from acceptance to the last outcome ({} devices a second)",
        grouped(total.received),
        grouped(total.owed),
        outcome.seconds,
        rate(outcome.devices_per_second),
    );
    for (platform, leg) in &outcome.platforms {
        text += &format!("\n     {platform:<8} {leg}");
    }
    for line in judgement.details().iter().chain(&outcome.faults) {
        text = text + "\n   WRONG: " + line;
    }
    if total.missing > 0 {
        text += &format!("\n   WRONG: {} are missing", total.missing);
    }
    text
}

/// Returns at the end of the process's stay; the signals that end it are the caller's.
async fn stay(stage: &Stage) -> anyhow::Result<()> {
    let site = &stage.service.site;
    say(format_args!(
        "\nIt goes on running until Ctrl-C.\n\
         API         http://{address}/v1/hubs/demo\n\
         admin key   {key}\n\
         metrics     http://{address}/metrics\n\
         log         {log}\n\
         receipts    http://{control}/receipts/summary?gateway=apns (or fcm, wns, web_push)\n\
         simulated\n{simulated}\n\n\
         curl -H \"Authorization: Bearer $(cat {key})\" http://{address}/v1/hubs/demo/broadcasts",
        address = site.address,
        key = site.admin_key_file().display(),
        log = site.log_file().display(),
        simulated = simulated(stage),
        control = stage.fleet.control.address(),
    ))?;
    std::future::pending().await
}
