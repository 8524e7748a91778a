//! `loadtest direct`: how long a direct send of the Notification Hubs face takes on an idle service, from the first byte of
//! the request to the moment the simulated APNs has judged the push, and to the answer.
use std::{process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use fanfare::clock::{Clock as _, SystemClock};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Run, exit,
    idle::{self, PATIENCE, Spread, WARM_UP},
    on_runtime, say, write_json,
};
use crate::{
    client::{Connection, connection::Peer, signature::signed},
    compare::BODY,
    figures::grouped,
    gateways::{Simulated, Token},
    service::HUB,
    stage::Stage,
};

/// Measures direct sends from request to gateway and to answer, one after the other
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations in the hub; none of them is sent to
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    installations: u64,
    /// Sends, each to another handle
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10..=100_000))]
    sends: u64,
    /// The 99th percentile to the gateway must be below so many milliseconds
    #[arg(long, default_value_t = 50.0, value_name = "MS")]
    within_ms: f64,
    #[command(flatten)]
    run: Run,
}

/// How long the token of the run lasts, in seconds.
const TOKEN_LASTS: i64 = 86_400;

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    sends: u64,
    seed: u64,
    gateway_ms: Spread,
    answer_ms: Spread,
    good: bool,
}

/// # Errors
/// When the run cannot be made, or a push does not come.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let stage = idle::stage(&args.run, args.installations).await?;

    let mut connection = Connection::open(&client(&stage)?).await?;
    let (mut gateway, mut answer) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + args.sends {
        let (arrived, answered) = send(&stage, &mut connection, args.installations + number).await?;
        if number >= WARM_UP {
            gateway.push(arrived.as_secs_f64() * 1e3);
            answer.push(answered.as_secs_f64() * 1e3);
        }
    }
    stage.strike().await?;

    let (gateway_ms, answer_ms) = (Spread::of(gateway), Spread::of(answer));
    let (sends, others) = (grouped(args.sends), grouped(args.installations));
    say(format_args!("{sends} direct sends through the Notification Hubs face, beside {others} installations"))?;
    say(format_args!("to the gateway: {gateway_ms}\nto the answer: {answer_ms}"))?;
    let good = idle::judge(&gateway_ms, args.within_ms)?;
    let Args { installations, sends, run: Run { seed, json, .. }, .. } = args;
    write_json(json.as_deref(), &Report { installations, sends, seed, gateway_ms, answer_ms, good })?;
    Ok(exit(good))
}

/// The service as a client of the face addresses it, with the namespace's rule.
fn client(stage: &Stage) -> anyhow::Result<Peer> {
    let site = &stage.service.site;
    let key = std::fs::read_to_string(site.admin_key_file()).context("no admin key")?;
    let expiry = SystemClock.now().millis() / 1_000 + TOKEN_LASTS;
    let resource = format!("http%3A%2F%2F{}%2F{HUB}", site.address.ip());
    Ok(Peer::authorized(site.address, &signed(&resource, expiry, "RootManageSharedAccessKey", key.trim())))
}

/// Sends to a device by its handle. Answers the time to the gateway and to the answer.
async fn send(stage: &Stage, connection: &mut Connection, device: u64) -> anyhow::Result<(Duration, Duration)> {
    let receipts = stage.fleet.apns.receipts();
    let before = receipts.len();
    let token = stage.devices.token(device);
    let handle = hex::encode(token);
    let headers = format!("servicebusnotification-format: apple\r\nservicebusnotification-devicehandle: {handle}\r\n");
    let path = format_args!("/{HUB}/messages/?direct&api-version=2015-04");
    connection.push_with("POST", path, &headers, |out| out.extend_from_slice(BODY.as_bytes()));
    let begun = Instant::now();
    let arrived = async {
        receipts.wait_for(before + 1).await;
        begun.elapsed()
    };
    let answered = async {
        connection.flush().await?;
        let answer = connection.answer().await?;
        let took = begun.elapsed();
        ensure!(answer.status == 201, "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
        anyhow::Ok((took, answer.location.and_then(id_of).context("the answer names no message")?.to_owned()))
    };
    let (arrived, answered) = tokio::join!(tokio::time::timeout(PATIENCE, arrived), answered);
    let (answered, id) = answered?;
    let arrived = arrived.context("the push did not come")?;
    let got: Vec<Token> = receipts.page(before, 2).into_iter().map(|receipt| receipt.token).collect();
    ensure!(got == [Token::new(&token)], "device {device} did not get its push alone");
    idle::again(stage, &id).await?;
    Ok((arrived, answered))
}

/// The message's id, by which the native API knows it too.
fn id_of(location: &str) -> Option<&str> {
    let (_, rest) = location.split_once("/messages/")?;
    rest.split('?').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_by_the_last_part_of_its_path() {
        assert_eq!(id_of("https://h/hub/messages/12ab?api-version=2015-04&direct"), Some("12ab"));
        assert_eq!(id_of("https://h/hub"), None);
    }
}
