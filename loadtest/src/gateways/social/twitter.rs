//! Twitter: the three steps of OAuth 1.0a, and whose an access token is.
use fanfare::identity::{providers::oauth1::signature, secret::Secret};
use http::request::Parts;
use serde_json::json;

use super::{
    super::{
        provider::redirect,
        served::{Form, Said, form, respond, text},
    },
    Social, get, word,
};

impl Social {
    /// The parameters of the protocol, when the signature is right: with the secret of the token that they name.
    fn signed(&self, head: &Parts, query: &Form, secret_of: impl Fn(&str) -> Option<String>) -> Option<Form> {
        let fields = text(head, "authorization")?.strip_prefix("OAuth ")?;
        let mut protocol = Form::new();
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            let pair = format!("{name}={}", value.trim_matches('"'));
            protocol.extend(form(pair.replace('+', "%2B").as_bytes()));
        }
        let said = protocol.remove("oauth_signature")?;
        let secret = match protocol.get("oauth_token") {
            Some(token) => Some(secret_of(token)?),
            None => None,
        };
        let all: Vec<(&str, &str)> =
            protocol.iter().chain(query).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let url = format!("{}{}", self.base, head.uri.path());
        let own = Secret::new(self.config.client_secret.clone());
        let expected = signature(head.method.as_str(), &url, &all, &own, secret.as_deref());
        let is_app = get(&protocol, "oauth_consumer_key") == self.config.client_id;
        (is_app && said == expected).then_some(protocol)
    }

    fn unauthorised() -> Said {
        respond(401, json!({"errors": [{"code": 32, "message": "Could not authenticate you."}]}).to_string())
    }

    pub(super) fn request_token(&self, head: &Parts) -> Said {
        let Some(protocol) = self.signed(head, &Form::new(), |_| None) else { return Self::unauthorised() };
        let (token, secret) = (word("request"), word("secret"));
        let callback = get(&protocol, "oauth_callback").to_owned();
        let body = format!("oauth_token={token}&oauth_token_secret={secret}&oauth_callback_confirmed=true");
        self.state.lock().requests.insert(token, (secret, callback, None));
        respond(200, body)
    }

    pub(super) fn authenticate(&self, query: &Form) -> Said {
        let mut known = self.state.lock();
        let refuses = std::mem::take(&mut known.refuses);
        let token = get(query, "oauth_token").to_owned();
        let Some((_, callback, verifier)) = known.requests.get_mut(&token) else {
            return respond(400, "unknown token");
        };
        if refuses {
            return redirect(callback, &[("denied", &token)]);
        }
        let said = word("verifier");
        *verifier = Some(said.clone());
        redirect(callback, &[("oauth_token", &token), ("oauth_verifier", &said)])
    }

    pub(super) fn access_token(&self, head: &Parts) -> Said {
        let secret_of = |token: &str| self.state.lock().requests.get(token).map(|(secret, ..)| secret.clone());
        let Some(protocol) = self.signed(head, &Form::new(), secret_of) else { return Self::unauthorised() };
        let mut known = self.state.lock();
        let request = known.requests.remove(get(&protocol, "oauth_token"));
        let verifier = request.and_then(|(.., verifier)| verifier);
        if verifier.as_deref() != Some(get(&protocol, "oauth_verifier")) {
            return Self::unauthorised();
        }
        let (token, secret) = (word("access"), word("secret"));
        known.accesses.insert(token.clone(), (self.config.client_id.clone(), secret.clone()));
        respond(200, format!("oauth_token={token}&oauth_token_secret={secret}&user_id=14927800&screen_name=cleo"))
    }

    pub(super) fn verify(&self, head: &Parts, query: &Form) -> Said {
        let secret_of = |token: &str| {
            let known = self.state.lock();
            let (consumer, secret) = known.accesses.get(token)?;
            (*consumer == self.config.client_id).then(|| secret.clone())
        };
        match self.signed(head, query, secret_of) {
            Some(_) => respond(200, json!({"id_str": "14927800", "name": "Cleo", "screen_name": "cleo"}).to_string()),
            None => Self::unauthorised(),
        }
    }
}
