//! A simulated Mi Push (push-services.md 5.3): HTTP/1.1 over TLS on a loopback port, up to a thousand devices a request.
use std::net::SocketAddr;

use http::{Method, header::RETRY_AFTER, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Simulated, Token,
    answer::Answer,
    apns::StartError,
    authority::Authority,
    receipts::{body_hash, collapse_hash},
    script::Script,
    served::{Api, Form, HTTP1, Judged, Options, Pushed, Said, Served, form, respond, set, text},
    session::Shared,
};

/// Devices of one request.
const MOST: usize = 1_000;
/// The reason by which a script has a device named among the bad ones, while the others are accepted.
const BAD: &str = "bad_regids";
/// The code of what is refused with a code that only this simulation has.
const REFUSED: &str = "1";

/// How the service is set up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct XiaomiConfig {
    /// A loopback address; absent, or with port 0, a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    pub app_secret: String,
    /// Messages must be for this app.
    pub package_name: String,
    /// Keeps headers and body of every request, for [`Receipts::full`](super::Receipts::full).
    pub keep_requests: bool,
    /// The reason of an answer is the number of its `code`, or `bad_regids`.
    pub script: Script,
}

impl Default for XiaomiConfig {
    fn default() -> Self {
        Self {
            listen: None,
            app_secret: "a+secret&more==".to_owned(),
            package_name: "com.example.app".to_owned(),
            keep_requests: false,
            script: Script::default(),
        }
    }
}

/// A running service. Dropping it ends every connection at once and frees the port.
///
/// There is a receipt for each device; its token is what the hex digits of the registration id say.
#[derive(Debug)]
pub struct XiaomiSim {
    served: Served<Xiaomi>,
}

#[derive(Debug)]
struct Xiaomi(XiaomiConfig);

impl XiaomiSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or certificates cannot be made.
    pub async fn start_under(config: XiaomiConfig, authority: &Authority) -> Result<Self, StartError> {
        let options = Options {
            listen: config.listen,
            protocols: HTTP1,
            keep_requests: config.keep_requests,
            script: config.script.clone(),
        };
        Ok(Self { served: Served::start(options, authority, |_| Xiaomi(config)).await? })
    }

    /// For `endpoint` of a hub.
    pub fn endpoint(&self) -> String {
        self.served.endpoint()
    }
}

/// Every device of the list, if all of them can be read.
fn devices(form: &Form) -> Option<Vec<Token>> {
    let read = |id: &str| Token::from_hex(id.as_bytes()).filter(|token| !token.as_bytes().is_empty());
    form.get("registration_id")?.split(',').map(read).collect()
}

impl Xiaomi {
    /// The `code` of a request that is refused, with its status.
    fn refusal(&self, head: &Parts, form: &Form, devices: Option<&[Token]>) -> Option<(u16, &'static str)> {
        let is_form =
            text(head, "content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if head.method != Method::POST || head.uri.path() != "/v3/message/regid" || !is_form {
            return Some((405, REFUSED));
        }
        if text(head, "authorization").and_then(|value| value.strip_prefix("key=")) != Some(&*self.0.app_secret) {
            return Some((401, REFUSED));
        }
        let length = |name: &str| form.get(name).map_or(0, |value| value.chars().count());
        let extras: usize = form
            .iter()
            .filter_map(|(name, value)| Some(name.strip_prefix("extra.")?.chars().count() + value.chars().count()))
            .sum();
        if extras >= 2_048 {
            return Some((400, "65015"));
        }
        let number = |name: &str| form.get(name).map(|value| value.parse::<i64>().unwrap_or(-1));
        let is_shown = number("pass_through").unwrap_or(0) == 0;
        let is_good = devices.is_some_and(|all| (1..=MOST).contains(&all.len()))
            && form.get("restricted_package_name").is_some_and(|name| *name == self.0.package_name)
            && (!is_shown || (length("title") > 0 && length("description") > 0))
            && length("title") < 50
            && length("description") < 128
            && number("pass_through").is_none_or(|silent| matches!(silent, 0 | 1))
            && number("notify_id").is_none_or(|id| (0..=i64::from(i32::MAX)).contains(&id))
            && number("time_to_live").is_none_or(|life| (0..=1_209_600_000).contains(&life));
        (!is_good).then_some((400, REFUSED))
    }
}

impl Api for Xiaomi {
    fn judge(&self, head: &Parts, body: &[u8], _: i64) -> Judged {
        let form = form(body);
        let devices = devices(&form);
        let refusal = self.refusal(head, &form, devices.as_deref());
        let mut devices = devices.unwrap_or_default().into_iter();
        let same = form
            .iter()
            .filter(|(name, _)| *name != "registration_id")
            .flat_map(|(name, value)| [name.as_str(), "=", value, "&"]);
        let pushed = Pushed {
            token: devices.next(),
            more: devices.collect(),
            body: body_hash(same.collect::<String>().as_bytes()),
            collapse: form.get("notify_id").map_or(0, |id| collapse_hash(id.as_bytes())),
            ..Pushed::default()
        };
        Judged { pushed, refusal: refusal.map(|(status, code)| Answer::refused(status, code)) }
    }

    fn said(&self, answer: &Answer, pushed: &Pushed) -> Said {
        let body = match (&answer.body, answer.reason.as_deref().map(str::parse::<u32>)) {
            (Some(body), _) => body.clone(),
            (None, Some(Ok(code))) => json!({ "result": "error", "code": code, "reason": "refused" }).to_string(),
            (None, _) => {
                let mut data = json!({ "id": "m1" });
                if !pushed.apart.is_empty() {
                    let ids: Vec<String> = pushed.apart.iter().map(ToString::to_string).collect();
                    data[BAD] = ids.join(",").into();
                }
                json!({ "result": "ok", "code": 0, "data": data }).to_string()
            }
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

    fn is_apart(&self, answer: &Answer) -> bool {
        answer.reason.as_deref() == Some(BAD)
    }
}

impl Simulated for XiaomiSim {
    fn shared(&self) -> &Shared {
        self.served.shared()
    }
}
