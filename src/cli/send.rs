//! `fanfare send`: one broadcast, from options or from a file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::client::{Client, ClientError, hub_path};
use super::{Failure, watch};

#[derive(Debug, Args)]
pub(super) struct Send {
    /// The hub to send in
    #[arg(long)]
    hub: String,
    /// Whom it is for, such as 'news && !muted'. Without it: every installation of the hub
    #[arg(long, value_name = "EXPR")]
    audience: Option<String>,
    /// Title of the notification
    #[arg(long, value_name = "TEXT", help_heading = "What to say")]
    title: Option<String>,
    /// Text of the notification
    #[arg(long, value_name = "TEXT", help_heading = "What to say")]
    body: Option<String>,
    /// Data for the app; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, help_heading = "What to say")]
    data: Vec<(String, String)>,
    /// A raw payload for apns, fcm, wns, web_push, adm, baidu or xiaomi; may be repeated. Alone it reaches only those
    /// platforms, beside --title, --body or --data it stands in for that platform
    #[arg(long, value_name = "PLATFORM=FILE", value_parser = pair, help_heading = "What to say")]
    payload: Vec<(String, String)>,
    /// The whole request as JSON (the body of `POST /v1/hubs/{hub}/broadcasts`); - reads stdin. Other options stand
    /// over its members
    #[arg(long, value_name = "FILE", help_heading = "What to say", conflicts_with_all = ["title", "body", "data", "payload"])]
    json: Option<PathBuf>,
    /// How long it is worth delivering; a day unless given
    #[arg(long, value_name = "SECONDS", help_heading = "How to send it")]
    ttl: Option<u32>,
    /// A later message with the same key replaces this one on the device
    #[arg(long, value_name = "KEY", help_heading = "How to send it")]
    collapse_key: Option<String>,
    /// high wakes the device, normal may wait
    #[arg(long, value_enum, help_heading = "How to send it")]
    priority: Option<Priority>,
    /// transactional goes before every bulk broadcast
    #[arg(long, value_enum, help_heading = "How to send it")]
    lane: Option<Lane>,
    /// At most so many a second, all platforms together; 0 = as fast as the services take it
    #[arg(long, value_name = "PER_SECOND", help_heading = "How to send it")]
    rate: Option<u32>,
    /// When to send, such as 2027-01-01T09:00:00Z; at once unless given
    #[arg(long, value_name = "TIME", help_heading = "How to send it")]
    at: Option<String>,
    /// Only count whom it would reach and check the payloads; sends nothing
    #[arg(long)]
    dry_run: bool,
    /// Follow it to its end; the exit status is then that of `fanfare watch`
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// A name for this request: sent twice within 24 hours, it is one broadcast
    #[arg(long, value_name = "NAME")]
    idempotency_key: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Priority {
    High,
    Normal,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lane {
    Transactional,
    Bulk,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

/// Members in their own text: what a file says is sent as it stands.
type Members = BTreeMap<String, Box<RawValue>>;

pub(super) async fn run(send: &Send, client: &Client, stdout: &mut impl Write) -> Result<(), Failure> {
    let members = members(send)?;
    let body = serde_json::to_vec(&members).context("cannot write the request")?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = &send.idempotency_key {
        let key = HeaderValue::from_str(key).context("--idempotency-key may hold only visible ASCII characters")?;
        headers.insert("idempotency-key", key);
    }
    let answer = client.send(Method::POST, &hub_path(&send.hub, "/broadcasts"), headers, body.into()).await;
    let answer: Value = answer.map_err(|error| unsure(error, send))?.into_json().await?;
    let Some(id) = answer["id"].as_str() else {
        // A dry run: what it would reach.
        let text = serde_json::to_string_pretty(&answer).context("cannot print the answer")?;
        return Ok(writeln!(stdout, "{text}")?);
    };
    writeln!(stdout, "{id}")?;
    stdout.flush()?;
    if send.watch { watch::follow(client, &send.hub, id, stdout).await } else { Ok(()) }
}

/// A connection that broke leaves open whether the broadcast was accepted: say how to find out.
fn unsure(error: ClientError, send: &Send) -> Failure {
    let error = anyhow::Error::from(error);
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Broken { .. }) if send.idempotency_key.is_some() => {
            anyhow::anyhow!("{error}; it may have been accepted: the same command again is safe").into()
        }
        Some(ClientError::Broken { .. }) => anyhow::anyhow!(
            "{error}; it may have been accepted: look before sending again (with --idempotency-key that would be safe)"
        )
        .into(),
        _ => error.into(),
    }
}

fn members(send: &Send) -> anyhow::Result<Members> {
    let mut members: Members = match &send.json {
        None => Members::new(),
        Some(file) => serde_json::from_slice(&super::read_input(file)?)
            .with_context(|| format!("{} must hold one JSON object", file.display()))?,
    };
    let mut set = |name: &str, value: Option<Value>| -> anyhow::Result<()> {
        if let Some(value) = value {
            members.insert(name.to_owned(), to_raw_value(&value)?);
        }
        Ok(())
    };
    set("audience", send.audience.clone().map(Value::from))?;
    set("notification", notification(send))?;
    set("ttl_seconds", send.ttl.map(Value::from))?;
    set("collapse_key", send.collapse_key.clone().map(Value::from))?;
    set(
        "priority",
        send.priority.map(|priority| match priority {
            Priority::High => "high".into(),
            Priority::Normal => "normal".into(),
        }),
    )?;
    set(
        "lane",
        send.lane.map(|lane| match lane {
            Lane::Transactional => "transactional".into(),
            Lane::Bulk => "bulk".into(),
        }),
    )?;
    set("rate_per_second", send.rate.map(Value::from))?;
    set("schedule_at", send.at.clone().map(Value::from))?;
    set("dry_run", send.dry_run.then_some(true.into()))?;
    if !send.payload.is_empty() {
        members.insert("payloads".to_owned(), to_raw_value(&payloads(&send.payload)?)?);
    }
    if !["notification", "payloads", "template"].iter().any(|content| members.contains_key(*content)) {
        bail!("nothing to say: give --title, --body or --data, or --payload, or --json");
    }
    Ok(members)
}

fn notification(send: &Send) -> Option<Value> {
    let mut notification = serde_json::Map::new();
    for (name, text) in [("title", &send.title), ("body", &send.body)] {
        if let Some(text) = text {
            notification.insert(name.to_owned(), json!(text));
        }
    }
    if !send.data.is_empty() {
        let data: BTreeMap<_, _> = send.data.iter().cloned().collect();
        notification.insert("data".to_owned(), json!(data));
    }
    (!notification.is_empty()).then_some(notification.into())
}

/// JSON as it stands; WNS takes XML or raw bytes, which travel as text.
fn payloads(files: &[(String, String)]) -> anyhow::Result<Members> {
    let mut payloads = Members::new();
    for (platform, file) in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        let payload = match platform.as_str() {
            "wns" => to_raw_value(&text)?,
            _ => serde_json::from_str(&text).with_context(|| format!("{file} must hold JSON for {platform}"))?,
        };
        if payloads.insert(platform.clone(), payload).is_some() {
            bail!("--payload names {platform} twice");
        }
    }
    Ok(payloads)
}
