//! `fanfare hub …`: hubs, their access keys and their senders, through the API.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::Failure;
use super::client::{Client, ClientError, hub_path, segment};
use crate::identity::secret::MASK;

#[derive(Debug, Subcommand)]
pub(super) enum Hub {
    /// Every hub: its services and how their senders are
    List {
        /// As JSON, access keys masked
        #[arg(long)]
        json: bool,
    },
    /// One hub's settings as JSON, access keys masked
    Show {
        /// Its name
        hub: String,
    },
    /// Create a hub and print its connection strings
    ///
    /// Without settings the hub takes installations and sends nowhere yet. Settings come from --json (the body of
    /// `PUT /v1/hubs/{hub}`), the APNs options stand over it.
    Create(Box<Create>),
    /// Delete a hub with its installations, broadcasts and keys; there is no way back
    Delete {
        /// Its name
        hub: String,
        /// Yes, really
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Print a hub's connection strings, one line a rule; needs the admin key
    Keys {
        /// Its name
        hub: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Give a rule a fresh primary key; the old one stays valid as its secondary until the next time
    Rotate {
        /// The hub
        hub: String,
        /// The access rule, such as DefaultFullSharedAccessSignature
        rule: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Let a paused sender go on, once its credentials were mended
    Resume {
        /// The hub
        hub: String,
        /// apns, fcm, wns, web_push, adm, baidu or xiaomi
        platform: String,
    },
}

/// How connection strings are written.
#[derive(Debug, Args)]
pub(super) struct Shown {
    /// The name that apps reach the service by; by default that of --url. Apps' libraries speak https to it
    #[arg(long, value_name = "HOST[:PORT]")]
    endpoint: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name, which is also the one that apps' libraries take
    hub: String,
    #[command(flatten)]
    shown: Shown,
    /// Settings as JSON; - reads stdin
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Its share of the fleet beside other hubs
    #[arg(long)]
    weight: Option<u32>,
    /// Replace the settings of a hub that exists; its access keys and what it holds stay
    #[arg(long)]
    replace: bool,
    /// The app's bundle id; by default that of the certificate in --apns-p12-file
    #[arg(long, value_name = "BUNDLE", help_heading = "APNs")]
    apns_topic: Option<String>,
    /// The ten characters of the team
    #[arg(long, value_name = "ID", help_heading = "APNs", requires = "apns_topic")]
    apns_team_id: Option<String>,
    /// The ten characters of the signing key
    #[arg(long, value_name = "ID", help_heading = "APNs", requires = "apns_topic")]
    apns_key_id: Option<String>,
    /// The signing key (.p8)
    #[arg(long, value_name = "FILE", help_heading = "APNs", requires = "apns_topic")]
    apns_key_file: Option<PathBuf>,
    /// A certificate with its key (.p12, .pfx), in place of a signing key
    #[arg(long, value_name = "FILE", help_heading = "APNs")]
    apns_p12_file: Option<PathBuf>,
    /// A file with the password of --apns-p12-file; without one it is empty
    #[arg(long, value_name = "FILE", help_heading = "APNs", requires = "apns_p12_file")]
    apns_p12_password_file: Option<PathBuf>,
    /// https://api.push.apple.com unless given
    #[arg(long, value_name = "URL", help_heading = "APNs")]
    apns_endpoint: Option<String>,
    /// A root certificate to trust besides the public ones
    #[arg(long, value_name = "FILE", help_heading = "APNs")]
    apns_ca_file: Option<PathBuf>,
}

pub(super) async fn run(command: &Hub, client: &Client, stdout: &mut impl Write) -> Result<(), Failure> {
    match command {
        Hub::List { json } => list(*json, client, stdout).await,
        Hub::Show { hub } => {
            let mut shown: Value = client.get(&hub_path(hub, "")).await?.into_json().await?;
            mask(&mut shown);
            pretty(&shown, stdout)
        }
        Hub::Create(create) => self::create(create, client, stdout).await,
        Hub::Delete { hub, .. } => {
            client.send(Method::DELETE, &hub_path(hub, ""), HeaderMap::new(), bytes::Bytes::new()).await?;
            Ok(writeln!(stdout, "deleted {hub}")?)
        }
        Hub::Keys { hub, shown } => {
            let settings: Value = client.get(&hub_path(hub, "")).await?.into_json().await?;
            connection_strings(&settings, client, shown, stdout)
        }
        Hub::Rotate { hub, rule, shown } => {
            let path = hub_path(hub, &format!("/keys/{}:rotate", segment(rule)));
            let rotated: Value = client.json(Method::POST, &path, &json!({})).await?.into_json().await?;
            let name = rotated["name"].as_str().unwrap_or(rule);
            connection_string(name, &rotated, client, shown, stdout)
        }
        Hub::Resume { hub, platform } => {
            let path = hub_path(hub, &format!("/senders/{}:resume", segment(platform)));
            let resumed: Value = client.json(Method::POST, &path, &json!({})).await?.into_json().await?;
            let what = if resumed["was_paused"] == true { "goes on" } else { "was not paused" };
            Ok(writeln!(stdout, "{platform} of {hub} {what}")?)
        }
    }
}

async fn list(json: bool, client: &Client, stdout: &mut impl Write) -> Result<(), Failure> {
    let mut page: Value = client.get("/v1/hubs").await?.into_json().await?;
    let mut hubs = page["items"].take();
    hubs.as_array_mut().into_iter().flatten().for_each(mask);
    if json {
        return pretty(&hubs, stdout);
    }
    for hub in hubs.as_array().into_iter().flatten() {
        let senders = hub["senders"].as_object().into_iter().flatten().map(|(platform, sender)| {
            let state = sender["state"].as_str().unwrap_or_default();
            match sender["reason"].as_str() {
                Some(reason) => format!("{platform} {state} ({reason})"),
                None => format!("{platform} {state}"),
            }
        });
        let senders: Vec<_> = senders.collect();
        let senders = if senders.is_empty() { "no push service".to_owned() } else { senders.join(", ") };
        let fixed = if hub["read_only"] == true { "  [from the configuration]" } else { "" };
        writeln!(stdout, "{}  {senders}{fixed}", hub["name"].as_str().unwrap_or_default())?;
    }
    Ok(())
}

async fn create(create: &Create, client: &Client, stdout: &mut impl Write) -> Result<(), Failure> {
    let path = hub_path(&create.hub, "");
    let body = settings(create)?;
    if !create.replace {
        // PUT would drop what these settings do not name of a hub that exists.
        match client.get(&path).await {
            Ok(_) => {
                let why = anyhow::anyhow!("there is a hub {} already; --replace changes its settings", create.hub);
                return Err(why.into());
            }
            Err(ClientError::Refused(refusal)) if refusal.status == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error.into()),
        }
    }
    let made: Value = client.json(Method::PUT, &path, &body).await?.into_json().await?;
    connection_strings(&made, client, &create.shown, stdout)
}

fn settings(create: &Create) -> anyhow::Result<Map<String, Value>> {
    let mut body: Map<String, Value> = match &create.json {
        None => Map::new(),
        Some(file) => serde_json::from_slice(&super::read_input(file)?)
            .with_context(|| format!("{} must hold one JSON object", file.display()))?,
    };
    if let Some(weight) = create.weight {
        body.insert("weight".into(), weight.into());
    }
    let apns = apns(create)?;
    if !apns.is_empty() {
        let own = body.entry("apns").or_insert_with(|| json!({}));
        own.as_object_mut().context("apns must be an object")?.extend(apns);
    }
    Ok(body)
}

fn apns(create: &Create) -> anyhow::Result<Map<String, Value>> {
    let text = |file: &Option<PathBuf>| file.as_deref().map(text_of).transpose();
    let p12 = create.apns_p12_file.as_deref().map(bytes_of).transpose()?;
    let password = text(&create.apns_p12_password_file)?;
    let one_line = |text: String| text.trim_end_matches(['\r', '\n']).to_owned();
    let members = [
        ("topic", create.apns_topic.clone()),
        ("team_id", create.apns_team_id.clone()),
        ("key_id", create.apns_key_id.clone()),
        ("key", text(&create.apns_key_file)?),
        ("cert_p12", p12.map(|bytes| STANDARD.encode(bytes))),
        ("cert_password", password.map(one_line)),
        ("endpoint", create.apns_endpoint.clone()),
        ("ca", text(&create.apns_ca_file)?),
    ];
    Ok(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect())
}

fn bytes_of(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// One line a rule: `RULE: CONNECTION STRING`.
fn connection_strings(hub: &Value, client: &Client, shown: &Shown, stdout: &mut impl Write) -> Result<(), Failure> {
    for (rule, keys) in hub["keys"].as_object().into_iter().flatten() {
        connection_string(rule, keys, client, shown, stdout)?;
    }
    Ok(())
}

/// The string that the apps' and backends' libraries take (`notification-hubs.md` 1.1): scheme `sb`, a final slash,
/// three keys in this order.
fn connection_string(
    rule: &str,
    keys: &Value,
    client: &Client,
    shown: &Shown,
    stdout: &mut impl Write,
) -> Result<(), Failure> {
    let Some(primary) = keys["primary"].as_str() else {
        return Err(anyhow::anyhow!("access keys are shown to the admin key alone").into());
    };
    let host = shown.endpoint.as_deref().unwrap_or(client.base().authority());
    Ok(writeln!(stdout, "{rule}: Endpoint=sb://{host}/;SharedAccessKeyName={rule};SharedAccessKey={primary}")?)
}

/// What is printed in passing shows no key; `hub keys` does.
fn mask(hub: &mut Value) {
    for rule in hub["keys"].as_object_mut().into_iter().flat_map(|rules| rules.values_mut()) {
        for key in ["primary", "secondary"] {
            if let Some(text) = rule.get_mut(key).filter(|text| text.is_string()) {
                *text = MASK.into();
            }
        }
    }
}

fn pretty(value: &Value, stdout: &mut impl Write) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).context("cannot print the answer")?;
    Ok(writeln!(stdout, "{text}")?)
}
