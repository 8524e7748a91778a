//! Secrets stay secret: the whole log of a process at its most talkative, its metrics and its refusals are searched for
//! every secret that appeared.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use loadtest::gateways::script::Act;
use loadtest::gateways::{ApnsConfig, ApnsSim, ProviderKey, Script, Simulated};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::broken::world::service_account;
use crate::client::{Answer, Client};
use crate::real::{TEAM, hub};
use crate::rights::token;
use crate::world::{ADMIN, broadcast, finished, send, until};
use others::Others;

mod others;

const HUB: &str = "/v1/hubs/demo";
const DEVICES: u64 = 12;

/// A process that logs all that our own code says, and more of others than anybody wants.
struct Talkative {
    child: Child,
    log: Option<JoinHandle<String>>,
    address: SocketAddr,
}

impl Talkative {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.current_dir(folder).arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("FANFARE__SERVER__LISTEN", "127.0.0.1:0").env("FANFARE__ADMIN__KEY", ADMIN);
        command.env("FANFARE_LOG", "trace");
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, told) = mpsc::channel();
        let log = std::thread::spawn(move || {
            let (mut log, mut line) = (String::new(), String::new());
            while stderr.read_line(&mut line).unwrap() > 0 {
                let address =
                    line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
                // Only the first one is waited for.
                let _ = address.map(|address| tell.send(address));
                log.push_str(&line);
                line.clear();
            }
            log
        });
        let address = told.recv().expect("it listens");
        Self { child, log: Some(log), address }
    }

    /// Everything it said until it ended.
    fn end(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Talkative {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What must never be seen, with a name for whoever reads a failure.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, name: &str, text: &str) {
        assert!(text.len() >= 12, "{name} is too short to be found by chance only");
        let hex = text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.0.extend([text.to_owned(), hex, STANDARD.encode(text)].map(|form| (name.to_owned(), form)));
    }

    /// A key as PEM: each line of its body, since any of them may be torn out.
    fn add_pem(&mut self, name: &str, pem: &str) {
        let lines = pem.lines().filter(|line| !line.starts_with("-----") && line.len() >= 12);
        lines.flat_map(|line| line.as_bytes().chunks(64)).for_each(|part| {
            if part.len() >= 12 {
                self.add(name, std::str::from_utf8(part).unwrap());
            }
        });
    }

    /// A device token: digits in either case, its bytes, and its bytes as a list of numbers.
    fn add_device(&mut self, digits: &str) {
        let bytes: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
        let list = format!("{:?}", &bytes[..8]);
        let forms = [
            digits[..24].to_owned(),
            digits[..24].to_ascii_uppercase(),
            STANDARD.encode(&bytes)[..24].to_owned(),
            list.trim_matches(['[', ']']).to_owned(),
        ];
        self.0.extend(forms.map(|form| ("a device token".to_owned(), form)));
    }

    fn add_rules(&mut self, hub: &Value) {
        for rule in hub["keys"].as_object().unwrap().values() {
            for key in ["primary", "secondary"] {
                if let Some(key) = rule[key].as_str() {
                    self.add("a hub's key", key);
                }
            }
        }
    }

    fn assert_none_in(&self, place: &str, text: &str) {
        for (name, form) in &self.0 {
            let Some(at) = text.find(form.as_str()) else { continue };
            let from = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let to = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
            panic!("{name} ({form}) stands in {place}: {}", &text[from..to]);
        }
    }
}

/// A token that nobody could guess, as hex digits.
fn device(number: u64) -> String {
    (0..4).map(|part| format!("{:016x}", (number * 4 + part + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_measured_or_told() {
    let folder = tempfile::tempdir().unwrap();
    // One device is dead, so that a drop is logged, too.
    let script = Script::new().token(&device(3)[..16], Act::refuse(410, "Unregistered"));
    let sim = ApnsSim::start(ApnsConfig { keep_requests: true, script, ..ApnsConfig::default() }).await.unwrap();
    let (key, wrong) = (sim.issue_key(TEAM).unwrap(), ProviderKey::generate(TEAM).unwrap());
    let process = Talkative::start(folder.path());
    let admin = Client::bearer(process.address, ADMIN);
    let mut secrets = Secrets::default();
    secrets.add("the admin key", ADMIN);
    [&key, &wrong].iter().for_each(|key| secrets.add_pem("an APNs key", key.p8()));
    (0..DEVICES).for_each(|number| secrets.add_device(&device(number)));

    let mut refused = String::new();
    let mut keep = |answer: Answer| {
        assert!(answer.status >= 400, "{answer:?}");
        refused.push_str(answer.text());
        refused.push('\n');
    };

    // A hub with every kind of credentials, keys that the caller chose and keys that were made; one rule is rotated.
    let mut account = service_account();
    account["token_uri"] = json!(format!("{}/token", sim.endpoint()));
    secrets.add_pem("a service account's key", account["private_key"].as_str().unwrap());
    let mut settings = hub(&sim, &key);
    settings["fcm"] = json!({"service_account": account, "endpoint": sim.endpoint(), "ca": sim.authority().ca_pem()});
    settings["keys"] = json!({
        "full": {"rights": ["listen", "send", "manage"]},
        "listen": {"rights": ["listen"], "primary": "a-key-that-the-caller-chose"},
    });
    secrets.add_rules(&admin.put(HUB, &settings).await.expect(201).json());
    secrets.add_rules(&json!({"keys": {
        "full": admin.send("POST", "/v1/hubs/demo/keys/full:rotate", &[], b"").await.expect(200).json(),
    }}));

    // Registrations: one by one with a signed token, as a stream, patched; FCM's beside APNs'.
    let resource = format!("http%3a%2f%2f{}%2fdemo", process.address.to_string().replace(':', "%3a"));
    let signed = token("a-key-that-the-caller-chose", "listen", &resource, 4_000_000_000);
    let signature = signed.split("sig=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    secrets.add("a signature", &signature);
    secrets.add("a signature", &signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="));
    let app = Client::new(process.address, Some(signed.clone()));
    let document = |number: u64| json!({"installationId": format!("dev-{number}"), "platform": "apns", "pushChannel": device(number), "tags": ["all"]});
    app.put("/v1/hubs/demo/installations/dev-0", &document(0)).await.expect(201);
    let lines: String = (1..DEVICES).map(|number| document(number).to_string() + "\n").collect();
    admin.send("POST", "/v1/hubs/demo/installations:import", &[], lines.as_bytes()).await.expect(200);
    let patch = json!([{"op": "replace", "path": "/pushChannel", "value": device(0)}]).to_string();
    app.send("PATCH", "/v1/hubs/demo/installations/dev-0", &[], patch.as_bytes()).await.expect(200);
    let android = "cAbcdefghijk:APA91bThisIsAFirebaseTokenThatNobodyMaySee";
    secrets.add("an FCM token", android);
    let phone = json!({"platform": "fcmv1", "pushChannel": android, "tags": ["android"]});
    app.put("/v1/hubs/demo/installations/phone", &phone).await.expect(201);

    // A send with a drop; one whose service refuses the account; one with a wrong key, put right afterwards.
    let over = finished(&admin, &send(&admin, &broadcast("all")).await).await;
    assert_eq!((&over["counters"]["delivered"], &over["counters"]["dropped"]), (&json!(DEVICES - 1), &json!(1)));
    let notification = json!({"audience": "android", "notification": {"title": "x"}});
    let stuck = send(&admin, &notification).await;
    until(&admin, &stuck, |progress| progress["waiting"][0]["platform"] == "fcm").await;
    admin.send("POST", &format!("/v1/hubs/demo/broadcasts/{stuck}:cancel"), &[], b"").await.expect(202);
    let mut broken = settings.clone();
    broken["apns"] = hub(&sim, &wrong)["apns"].clone();
    admin.put(HUB, &broken).await.expect(200);
    let held = send(&admin, &broadcast("all")).await;
    until(&admin, &held, |progress| progress["waiting"][0]["reason"] == "InvalidProviderToken").await;
    admin.put(HUB, &settings).await.expect(200);
    finished(&admin, &held).await;

    let others = Others::start(&sim).await;
    others.send(&admin, &mut secrets).await;

    // Broken requests that carry secrets where they do not belong.
    let text = |value: &str| Value::from(value);
    for body in
        [text(key.p8()), json!([key.p8()]), json!({"apns": key.p8()}), json!({"fcm": {"service_account": key.p8()}})]
    {
        keep(admin.put(HUB, &body).await);
    }
    keep(admin.put(HUB, &json!({"keys": {"a": {"rights": ["send"], "primary": format!("{ADMIN} ")}}})).await);
    keep(admin.put(HUB, &json!({"keys": {"a": {"rights": [ADMIN]}}})).await);
    let at = "/v1/hubs/demo/installations/dev-0";
    for body in [
        text(&device(0)),
        json!({"platform": "apns", "pushChannel": device(0) + "f"}),
        json!({"platform": "apns", "pushChannel": [device(0)]}),
        json!({"platform": "apns", "pushChannel": {"endpoint": device(0)}}),
        json!({"platform": "wns", "pushChannel": format!("http://x/?token={}", device(0))}),
        json!({"platform": device(0)}),
    ] {
        keep(app.put(at, &body).await);
    }
    for patch in [
        text(&device(0)),
        json!([device(0)]),
        json!([{"op": "replace", "path": "/pushChannel", "value": device(0) + "x"}]),
        json!([{"op": "replace", "path": "/tags", "value": {device(0): 1}}]),
    ] {
        keep(app.send("PATCH", at, &[], patch.to_string().as_bytes()).await);
    }
    let half = document(0).to_string();
    let told = admin.send("POST", "/v1/hubs/demo/installations:import", &[], &half.as_bytes()[..half.len() - 1]).await;
    let mut told = told.expect(200).text().to_owned();
    keep(Client::bearer(process.address, &format!("{ADMIN}x")).get(HUB).await);
    keep(Client::new(process.address, Some(signed.replace("skn=listen", "skn=full"))).get(HUB).await);
    keep(Client::new(process.address, Some(signed.replace("skn=", "skm="))).get(HUB).await);
    keep(Client::new(process.address, Some(format!("Basic {}", STANDARD.encode(ADMIN)))).get(HUB).await);
    keep(app.get(HUB).await);
    keep(admin.post("/v1/hubs/demo/broadcasts", &text(ADMIN)).await);

    others.add_granted(&mut secrets);
    for request in (0..sim.receipts().len()).filter_map(|order| sim.receipts().full(order)) {
        let provider = request.header("authorization").unwrap_or_default().trim_start_matches("bearer ").to_owned();
        if !provider.is_empty() {
            secrets.add("a provider token", &provider);
            provider.split('.').skip(1).for_each(|part| secrets.add("a part of a provider token", part));
        }
    }
    assert!(secrets.0.iter().any(|(name, _)| name == "a provider token"));
    let metrics = admin.get("/metrics").await.expect(200);
    told.push_str(admin.get("/v1/hubs/demo/broadcasts").await.expect(200).text());
    let log = process.end();
    // What is searched is what it should be.
    for sign in ["sender paused", "platform=fcm reason=token endpoint", "TRACE", "broadcast finished"] {
        assert!(log.contains(sign), "{sign} is not in the log:\n{log}");
    }
    // The beginning of every signed token, whoever it was for.
    secrets.0.push(("a signed token".to_owned(), STANDARD.encode(r#"{"alg":"#)[..10].to_owned()));
    secrets.assert_none_in("the log", &log);
    secrets.assert_none_in("the metrics", metrics.text());
    secrets.assert_none_in("refusals", &refused);
    secrets.assert_none_in("other answers", &told);
}
