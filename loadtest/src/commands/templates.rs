//! `loadtest templates`: what templates cost. A broadcast to installations that share some templates beside a native one to
//! as many installations without, in one service and one run, to the lean sink.
//!
//! The two populations are two hubs of the same service. Pairs of broadcasts, one to each; the order within a pair changes
//! from pair to pair, so that a machine that grows slower or faster favours neither.
use std::{process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Measured, exit, on_runtime, say,
    whole::{Order, hub},
    write_json,
};
use crate::{
    client::Api,
    compare::{
        BODY,
        process::Cores,
        receiver::{Against, Receiver, Setting},
    },
    devices::{Devices, TEMPLATE_READS},
    figures::{grouped, median, micros_each, per_second, rate},
    service::{Service, Site, Tuning},
};

/// Measures a broadcast to templates beside a native one, in one run
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations of each kind, all on APNs
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    installations: u64,
    /// Templates that those with one share
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    templates: u64,
    /// Pairs of broadcasts; the median of their ratios counts
    #[arg(long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: u32,
    /// The most that a notification from a template may take of the CPU of a native one
    #[arg(long, default_value_t = 1.2, value_name = "RATIO")]
    most: f64,
    #[command(flatten)]
    measured: Measured,
}

/// The hub whose installations have templates.
const HUB: &str = "templates";
/// Requests in flight on a connection.
const STREAMS: usize = 1_000;

/// One kind of broadcast in one pair.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Turn {
    /// All CPU of the service's process, µs a notification.
    cpu_micros: f64,
    /// From acceptance to the last outcome.
    per_second: f64,
    missing: u64,
    repeated: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Pair {
    native: Turn,
    template: Turn,
}

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    templates: u64,
    seed: u64,
    tuning: Tuning,
    pairs: Vec<Pair>,
    cpu_ratio: f64,
    rate_ratio: f64,
    good: bool,
}

/// # Errors
/// When the run cannot be made; a wrong or dear result is an exit status.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let mut site = Site::new(args.measured.place.dir.as_deref())?;
    if args.measured.place.keep {
        site.keep();
    }
    let folder = site.dir().to_owned();
    let setting = Setting {
        against: Against::Lean,
        streams: STREAMS,
        delay_ms: 0,
        seed: args.measured.seed,
        devices: 2 * args.installations,
    };
    let receiver = Receiver::start(setting, Cores::choose()?, &folder).await?;
    site.configure(&args.measured.tuning, None)?;
    let service = Service::start(site).await?;
    let templates = Api::new(service.api.peer.clone(), HUB);
    let settings = hub(&receiver.credentials, args.measured.tuning.connections)?;
    let devices = Devices::new(args.measured.seed);
    let count = args.installations;
    for (api, devices, range) in
        [(&service.api, devices, 0..count), (&templates, devices.sharing(args.templates), count..2 * count)]
    {
        api.put_hub(&settings).await.context("cannot make a hub")?;
        let imported = api.import(&devices, range, |_| ()).await?;
        let (good, bad) = (imported.imported, imported.bad.join(" "));
        ensure!(good == count, "of {count} installations {good} were imported: {bad}");
    }
    say(format_args!("twice {} installations imported, half of them with a template", grouped(count)))?;

    let native: Value = json!({ "payloads": { "apns": serde_json::from_str::<Value>(BODY)? } });
    let template = json!({ "template": properties(&native) });
    let mut pairs = Vec::new();
    for number in 0..args.pairs {
        let mut pair = Pair::default();
        let mut turns =
            [("native", &service.api, &native, &mut pair.native), (HUB, &templates, &template, &mut pair.template)];
        if number % 2 == 1 {
            turns.reverse();
        }
        for (name, api, request, turn) in turns {
            service.settle(Duration::from_secs(20)).await;
            let within = Duration::from_secs(args.measured.within_seconds);
            let order = Order { request, key: &format!("{name}-{number}"), devices: count, within };
            let sent = order.send(&service, api, &receiver).await?;
            *turn = Turn {
                cpu_micros: micros_each(sent.cpu, count),
                per_second: per_second(count, sent.took),
                missing: sent.missing,
                repeated: sent.repeated,
            };
        }
        say(told(number, &pair))?;
        pairs.push(pair);
    }
    service.stop().await?;
    receiver.stop().await;
    conclude(args, pairs)
}

/// What makes of a template the text that is sent natively.
fn properties(native: &Value) -> Value {
    let alert = &native["payloads"]["apns"]["aps"]["alert"];
    let [title, text] = TEMPLATE_READS;
    json!({ title: alert["title"], text: alert["body"] })
}

fn told(number: u32, pair: &Pair) -> String {
    let turn = |turn: &Turn| {
        let Turn { cpu_micros, per_second, missing, repeated } = turn;
        let rate = rate(*per_second);
        format!("{cpu_micros:.2} µs of CPU each at {rate}/s, missing {missing} repeated {repeated}")
    };
    let ratio = pair.template.cpu_micros / pair.native.cpu_micros;
    format!("pair {}: native {}; templates {}; {ratio:.2}", number + 1, turn(&pair.native), turn(&pair.template))
}

fn conclude(args: Args, pairs: Vec<Pair>) -> anyhow::Result<ExitCode> {
    let of = |figure: fn(&Pair) -> f64| median(&mut pairs.iter().map(figure).collect::<Vec<_>>());
    let cpu_ratio = of(|pair| pair.template.cpu_micros / pair.native.cpu_micros);
    let rate_ratio = of(|pair| pair.template.per_second / pair.native.per_second);
    let whole = |turn: &Turn| turn.missing == 0 && turn.repeated == 0;
    let good = cpu_ratio <= args.most && pairs.iter().all(|pair| whole(&pair.native) && whole(&pair.template));
    say(format_args!(
        "medians: native {:.2} µs of CPU a notification, templates {:.2}: {cpu_ratio:.3} times (at most {} is wanted), \
         {rate_ratio:.2} times the rate",
        of(|pair| pair.native.cpu_micros),
        of(|pair| pair.template.cpu_micros),
        args.most,
    ))?;
    let Args { installations, templates, measured: Measured { seed, tuning, json, .. }, .. } = args;
    write_json(
        json.as_deref(),
        &Report { installations, templates, seed, tuning, pairs, cpu_ratio, rate_ratio, good },
    )?;
    Ok(exit(good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_given_what_is_sent_natively() {
        let native = json!({ "payloads": { "apns": serde_json::from_str::<Value>(BODY).unwrap() } });
        let properties = properties(&native);
        assert_eq!(properties["title"], "Fanfare");
        assert!(properties["text"].as_str().unwrap().starts_with("One notification"));
    }
}
