//! `loadtest pull`: what the pages of a device's pull of a large table cost, from its start to its end.
//!
//! One device asks as the JavaScript library does, page by page from the last row's stamp until a page is empty. What a page
//! costs must not hang on how far the device has come.
use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use fanfare::clock::{Clock as _, SystemClock};
use serde::Serialize;

use super::{Place, exit, on_runtime, say, write_json};
use crate::{
    client::{Connection, connection::Peer},
    figures::{grouped, micros_each},
    rows,
    servers::postgres::Postgres,
    service::{Backing, Service, Site, Tuning},
};

/// The stamp of the row before the first, in ms.
const START: i64 = 1_700_000_000_000;
const DATABASE: &str = "pull";

/// Measures the pages of a pull of a large table over HTTP
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rows of the table
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1_000..))]
    rows: u32,
    /// Rows of a page
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000))]
    page: u32,
    /// What the table is in
    #[arg(long, value_enum, default_value_t = Engine::Sqlite)]
    store: Engine,
    /// Write the results here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Engine {
    /// The embedded store
    Sqlite,
    /// A server of this run's own, with default durability
    Postgres,
}

/// Of a third of the pull; milliseconds of a request and its whole answer.
#[derive(Debug, Serialize)]
struct Part {
    part: &'static str,
    pages: usize,
    p50_ms: f64,
    p99_ms: f64,
    most_ms: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    store: Engine,
    rows: u32,
    page: u32,
    parts: Vec<Part>,
    /// Of the service, a page.
    cpu_micros: f64,
}

/// # Errors
/// When the run cannot be made, or a row is missing from the pull.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let server = match args.store {
        Engine::Sqlite => None,
        Engine::Postgres => Some(tokio::task::spawn_blocking(Postgres::start).await??),
    };
    let store = server.as_ref().map(|server| server.database(DATABASE)).transpose()?;
    let mut site = Site::new(args.place.dir.as_deref())?.on(Backing { store, ..Backing::default() });
    if args.place.keep {
        site.keep();
    }
    site.configure(&Tuning::default(), None)?;
    let configured = std::fs::read_to_string(site.config_file())?;
    std::fs::write(site.config_file(), format!("{configured}\n[mobile]\n{}", rows::TABLE))?;
    // Once, so that the table is there.
    let mut service = Service::start(site).await?;
    service.terminate().await;
    match &server {
        None => rows::fill_sqlite(&service.site.database_file(), args.rows, START)?,
        Some(server) => rows::fill_postgres(server, DATABASE, args.rows, START)?,
    }
    service.start_again().await?;
    let before = service.cpu();
    let pages = pull(&service, args.page, args.rows).await?;
    let cpu_micros = micros_each(service.cpu().saturating_sub(before), pages.len() as u64);
    service.stop().await?;
    let parts = pages.chunks(pages.len().div_ceil(3)).zip(["start", "middle", "end"]);
    let parts = parts.map(|(pages, part)| figures(pages, part)).collect();
    let report = Report { store: args.store, rows: args.rows, page: args.page, parts, cpu_micros };
    say(format_args!(
        "{:?}: {} rows in {} pages of {}, {cpu_micros:.0} µs CPU of the service a page",
        report.store,
        grouped(report.rows.into()),
        grouped(pages.len() as u64),
        report.page,
    ))?;
    for Part { part, pages, p50_ms, p99_ms, most_ms } in &report.parts {
        say(format_args!("{part:<7} {pages:>7} pages: p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, most {most_ms:.2} ms"))?;
    }
    write_json(args.json.as_deref(), &report)?;
    Ok(exit(true))
}

/// How long each page took.
async fn pull(service: &Service, page: u32, rows: u32) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(&Peer::nobody(service.site.address)).await?;
    let (mut bound, mut skip) = ("1969-12-31T00:00:00.000Z".to_owned(), 0);
    let (mut fresh, mut took) = (0_u64, Vec::new());
    loop {
        let skipped = if skip > 0 { format!("&$skip={skip}") } else { String::new() };
        let path = format!(
            "/tables/rows?$filter=(updatedAt%20ge%20datetimeoffset'{bound}')&$orderby=updatedAt{skipped}&$top={page}\
             &__includeDeleted=true"
        );
        let begun = SystemClock.boot();
        connection.push_with("GET", format_args!("{path}"), "zumo-api-version: 2.0.0\r\n", |_| {});
        connection.flush().await?;
        let answer = connection.answer().await?;
        took.push(SystemClock.boot().after(begun));
        ensure!(answer.status == 200, "a page was answered {}", answer.status);
        let page: Vec<serde_json::Value> = serde_json::from_slice(answer.body).context("a page is no list")?;
        let stamp = |row: &serde_json::Value| row["updatedAt"].as_str().map(str::to_owned);
        fresh += page.iter().filter(|row| stamp(row).is_some_and(|stamp| stamp > bound)).count() as u64;
        let Some(last) = page.last() else { break };
        let last = stamp(last).context("a row has no stamp")?;
        (bound, skip) = if last == bound { (bound, skip + page.len()) } else { (last, 0) };
    }
    ensure!(fresh == u64::from(rows), "{fresh} of {rows} rows came");
    Ok(took)
}

fn figures(pages: &[Duration], part: &'static str) -> Part {
    let mut millis: Vec<f64> = pages.iter().map(|took| took.as_secs_f64() * 1e3).collect();
    millis.sort_by(f64::total_cmp);
    let at = |hundredths: usize| millis.get(millis.len() * hundredths / 100).copied().unwrap_or_default();
    let most_ms = millis.last().copied().unwrap_or_default();
    Part { part, pages: pages.len(), p50_ms: at(50), p99_ms: at(99), most_ms }
}
