//! A simulated Baidu Cloud Push, REST 3.0 (push-services.md 5.2): HTTP/1.1 over TLS on a loopback port.
use std::{fmt::Write, net::SocketAddr};

use http::{Method, header::RETRY_AFTER, request::Parts};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Simulated, Token,
    answer::Answer,
    apns::StartError,
    authority::Authority,
    receipts::body_hash,
    script::Script,
    served::{Api, Form, HTTP1, Judged, Options, Pushed, Said, Served, form, respond, set, text},
    session::Shared,
};

const PATH: &str = "/rest/3.0/push/single_device";
/// Longest `msg`, in bytes.
const LONGEST: usize = 4_096;
/// How far a timestamp may be from the service's clock, in seconds.
const SKEW: i64 = 600;

/// How the service is set up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaiduConfig {
    /// A loopback address; absent, or with port 0, a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    pub api_key: String,
    pub secret_key: String,
    /// Keeps headers and body of every request, for [`Receipts::full`](super::Receipts::full).
    pub keep_requests: bool,
    /// The reason of an answer is the number of its `error_code`.
    pub script: Script,
}

impl Default for BaiduConfig {
    fn default() -> Self {
        Self {
            listen: None,
            api_key: "RDzkLfZ8wGVNeRLxQqPTVZ7B".to_owned(),
            secret_key: "a secret * & more".to_owned(),
            keep_requests: false,
            script: Script::default(),
        }
    }
}

/// A running service. Dropping it ends every connection at once and frees the port.
///
/// The token of a receipt is what the hex digits of the channel id say.
#[derive(Debug)]
pub struct BaiduSim {
    served: Served<Baidu>,
}

#[derive(Debug)]
struct Baidu(BaiduConfig);

impl BaiduSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or certificates cannot be made.
    pub async fn start_under(config: BaiduConfig, authority: &Authority) -> Result<Self, StartError> {
        let options = Options {
            listen: config.listen,
            protocols: HTTP1,
            keep_requests: config.keep_requests,
            script: config.script.clone(),
        };
        Ok(Self { served: Served::start(options, authority, |_| Baidu(config)).await? })
    }

    /// For `endpoint` of a hub.
    pub fn endpoint(&self) -> String {
        self.served.endpoint()
    }
}

fn device(form: &Form) -> Option<Token> {
    Token::from_hex(form.get("channel_id")?.as_bytes()).filter(|token| !token.as_bytes().is_empty())
}

/// As PHP writes a value of a form.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}

impl Baidu {
    /// The `error_code` of a request that is refused, with its status.
    fn refusal(&self, head: &Parts, form: &Form, now: i64) -> Option<(u16, &'static str)> {
        let is_form =
            text(head, "content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let is_known = text(head, "user-agent").is_some_and(|agent| agent.starts_with("BCCS_SDK/3.0 ("));
        if head.method != Method::POST || head.uri.path() != PATH || !is_form || !is_known {
            return Some((405, "30601"));
        }
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let base: String = form
            .iter()
            .filter(|(name, _)| *name != "sign")
            .flat_map(|(name, value)| [name.as_str(), "=", value])
            .collect();
        let base = format!("POSThttps://{}{PATH}{base}{}", text(head, "host").unwrap_or_default(), self.0.secret_key);
        let is_now = field("timestamp").parse::<i64>().is_ok_and(|at| (at - now).abs() <= SKEW);
        let sign = hex::encode(Md5::digest(encoded(&base)));
        if field("apikey") != self.0.api_key || !is_now || field("sign") != sign {
            return Some((400, "30603"));
        }
        let msg: Value = serde_json::from_str(field("msg")).unwrap_or_default();
        let is_shown = field("msg_type") == "1";
        let is_life = form.get("msg_expires").is_none_or(|life| life.parse::<u32>().is_ok_and(|life| life <= 604_800));
        let is_message = msg.is_object()
            && field("msg").len() <= LONGEST
            && (is_shown || field("msg_type") == "0")
            && (!is_shown || msg.get("description").is_some_and(Value::is_string) || msg.get("aps").is_some());
        // Of an app for both: an iPhone's message is no Android's, and goes by one of Apple's two environments.
        let is_whose = match field("device_type") {
            "3" => msg.get("aps").is_none(),
            "4" => msg.get("aps").is_some() && matches!(field("deploy_status"), "1" | "2"),
            _ => false,
        };
        (device(form).is_none() || !is_message || !is_life || !is_whose).then_some((400, "30602"))
    }
}

impl Api for Baidu {
    fn judge(&self, head: &Parts, body: &[u8], now: i64) -> Judged {
        let form = form(body);
        let msg = form.get("msg").map_or("", String::as_str);
        let pushed = Pushed { token: device(&form), body: body_hash(msg.as_bytes()), ..Pushed::default() };
        let refusal = self.refusal(head, &form, now);
        Judged { pushed, refusal: refusal.map(|(status, code)| Answer::refused(status, code)) }
    }

    fn said(&self, answer: &Answer, _: &Pushed) -> Said {
        let body = match (&answer.body, answer.reason.as_deref().map(str::parse::<u32>)) {
            (Some(body), _) => body.clone(),
            (None, Some(Ok(code))) => {
                json!({ "request_id": 1, "error_code": code, "error_msg": "refused" }).to_string()
            }
            (None, _) => json!({ "request_id": 1, "response_params": { "msg_id": "1", "send_time": 1 } }).to_string(),
        };
        let mut response = respond(answer.status, body);
        if let Some(text) = &answer.retry_after {
            set(&mut response, RETRY_AFTER.as_str(), text);
        }
        response
    }

    fn is_accepted(&self, answer: &Answer) -> bool {
        answer.status == 200 && answer.reason.is_none()
    }
}

impl Simulated for BaiduSim {
    fn shared(&self) -> &Shared {
        self.served.shared()
    }
}
