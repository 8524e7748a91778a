//! What the provider's pages answer, and the tokens that it signs.
use aws_lc_rs::digest;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{Method, request::Parts};
use serde_json::{Value, json};

use super::{
    super::{
        provider::{Asked, Pages, redirect},
        served::{Form, Said, form, respond, set, text},
    },
    Granted, LIFE, OpenId, State, Twist,
};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";
const AUTHORIZE: &str = "/authorize";
const TOKEN: &str = "/token";

impl State {
    pub(super) fn id_token(
        &self,
        issuer: &str,
        client_id: &str,
        nonce: Option<&str>,
        twist: &Twist,
        now: i64,
    ) -> String {
        let mut claims = self.person.clone();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", json!(issuer));
        put("aud", json!(client_id));
        put("iat", json!(now));
        put("exp", json!(now + LIFE));
        if let Some(nonce) = nonce {
            put("nonce", json!(nonce));
        }
        for (name, value) in &twist.claims {
            match value {
                Value::Null => drop(claims.remove(name)),
                value => drop(claims.insert(name.clone(), value.clone())),
            }
        }
        self.keys.sign(&Value::Object(claims), twist.signing)
    }
}

impl OpenId {
    pub(super) fn said_issuer(&self) -> String {
        format!("{}{}", self.base, self.config.said_path.as_ref().unwrap_or(&self.config.path))
    }

    fn document(&self) -> Said {
        let at = |path: &str| format!("{}{path}", self.base);
        let method = if self.config.secret_in_form { "client_secret_post" } else { "client_secret_basic" };
        let document = json!({
            "issuer": self.said_issuer(),
            "authorization_endpoint": at(AUTHORIZE),
            "token_endpoint": at(TOKEN),
            "jwks_uri": at(KEYS),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": [method],
            "code_challenge_methods_supported": ["S256"],
        });
        respond(200, document.to_string())
    }

    /// The person says yes at once.
    fn authorize(&self, query: &Form) -> Said {
        let get = |name: &str| query.get(name).map(String::as_str);
        let (Some(redirect_uri), Some(state)) = (get("redirect_uri"), get("state")) else {
            return respond(400, "redirect_uri and state are required");
        };
        if get("client_id") != Some(&self.config.client_id) || get("response_type") != Some("code") {
            return respond(400, "unknown client or response type");
        }
        let mut known = self.state.lock();
        known.asked.push(query.clone());
        let (name, word) = match known.refuses.take() {
            Some(error) => ("error", error),
            None => {
                let code = format!("code-{:032x}", fastrand::u128(..));
                let granted = Granted {
                    redirect_uri: redirect_uri.to_owned(),
                    nonce: get("nonce").map(str::to_owned),
                    challenge: get("code_challenge").map(str::to_owned),
                };
                known.codes.insert(code.clone(), granted);
                ("code", code)
            }
        };
        let pairs = [("state", state), (name, &word)];
        if get("response_mode") == Some("form_post") {
            // The form that the browser would post by itself.
            let answer = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let mut said = respond(200, answer);
            set(&mut said, "x-form-action", redirect_uri);
            return said;
        }
        redirect(redirect_uri, &pairs)
    }

    fn is_client(&self, head: &Parts, form: &Form) -> bool {
        let Some(secret) = &self.config.client_secret else {
            return form.get("client_id") == Some(&self.config.client_id) && !form.contains_key("client_secret");
        };
        if self.config.secret_in_form {
            return form.get("client_id") == Some(&self.config.client_id) && form.get("client_secret") == Some(secret);
        }
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let expected = STANDARD.encode(format!("{}:{}", encode(&self.config.client_id), encode(secret)));
        text(head, "authorization") == Some(&format!("Basic {expected}")) && !form.contains_key("client_secret")
    }

    fn token(&self, head: &Parts, form: &Form, now: i64) -> Said {
        let error = |status, word: &str| respond(status, json!({ "error": word }).to_string());
        if !self.is_client(head, form) {
            return error(401, "invalid_client");
        }
        let mut known = self.state.lock();
        if let Some((status, word)) = &known.token_refusal {
            return error(*status, word);
        }
        let get = |name: &str| form.get(name).map_or("", String::as_str);
        let is_renewal = get("grant_type") == "refresh_token";
        let nonce = match get("grant_type") {
            "authorization_code" => {
                let Some(granted) = known.codes.remove(get("code")) else { return error(400, "invalid_grant") };
                if known.reusable {
                    known.codes.insert(get("code").to_owned(), granted.clone());
                }
                let challenge =
                    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, get("code_verifier").as_bytes()));
                let is_its = granted.challenge.is_none_or(|wanted| wanted == challenge);
                if granted.redirect_uri != get("redirect_uri") || !is_its {
                    return error(400, "invalid_grant");
                }
                granted.nonce
            }
            "refresh_token" if known.refresh.iter().any(|given| given == get("refresh_token")) => None,
            "refresh_token" => return error(400, "invalid_grant"),
            _ => return error(400, "unsupported_grant_type"),
        };
        if is_renewal && known.rotating {
            known.refresh.retain(|given| given != get("refresh_token"));
        }
        let refresh = format!("refresh-{:016x}", fastrand::u64(..));
        known.refresh.push(refresh.clone());
        let twist = known.twist.clone();
        let id_token = known.id_token(&self.said_issuer(), &self.config.client_id, nonce.as_deref(), &twist, now);
        let mut body = json!({
            "access_token": format!("access-{:016x}", fastrand::u64(..)),
            "token_type": "Bearer",
            "expires_in": known.access_seconds,
            "refresh_token": refresh,
            "id_token": id_token,
        });
        if let (true, Some(body)) = (is_renewal && known.bare, body.as_object_mut()) {
            body.remove("id_token");
        }
        respond(200, body.to_string())
    }
}

impl Pages for OpenId {
    fn path<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(self.config.path.as_str()).unwrap_or(path)
    }

    fn answer(&self, asked: &Asked<'_>) -> Said {
        match (&asked.head.method, asked.path) {
            (&Method::GET, DISCOVERY) => self.document(),
            (&Method::GET, KEYS) => respond(200, self.state.lock().keys.document().to_string()),
            (&Method::GET, AUTHORIZE) => self.authorize(&asked.query),
            (&Method::POST, TOKEN) => self.token(asked.head, &form(asked.body), asked.now),
            _ => respond(404, "nothing here"),
        }
    }
}
