//! Facebook: its dialog, and what its graph says of a token.
use aws_lc_rs::hmac;
use serde_json::json;

use super::{
    super::{
        provider::redirect,
        served::{Form, Said, respond},
    },
    FacebookToken, Social, get, word,
};

impl Social {
    pub(super) fn dialog(&self, query: &Form) -> Said {
        if get(query, "client_id") != self.config.client_id || get(query, "response_type") != "code" {
            return respond(400, "unknown app");
        }
        let (to, state) = (get(query, "redirect_uri"), get(query, "state"));
        let mut known = self.state.lock();
        if std::mem::take(&mut known.refuses) {
            return redirect(to, &[("error", "access_denied"), ("error_reason", "user_denied"), ("state", state)]);
        }
        let code = word("code");
        known.codes.insert(code.clone(), to.to_owned());
        redirect(to, &[("code", &code), ("state", state)])
    }

    fn graph_error() -> Said {
        let error = json!({"error": {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}});
        respond(400, error.to_string())
    }

    pub(super) fn code(&self, form: &Form) -> Said {
        let is_app =
            get(form, "client_id") == self.config.client_id && get(form, "client_secret") == self.config.client_secret;
        let mut known = self.state.lock();
        let to = known.codes.remove(get(form, "code"));
        if !is_app || to.as_deref() != Some(get(form, "redirect_uri")) {
            return Self::graph_error();
        }
        let token = word("EAAB");
        let (app_id, user_id) = (self.config.client_id.clone(), "10158000000000001".to_owned());
        let granted = FacebookToken { app_id, user_id, is_valid: true, expires_at: 0, kind: "USER" };
        known.tokens.insert(token.clone(), granted);
        respond(200, json!({"access_token": token, "token_type": "bearer", "expires_in": 5_183_944}).to_string())
    }

    pub(super) fn debug(&self, query: &Form) -> Said {
        if get(query, "access_token") != format!("{}|{}", self.config.client_id, self.config.client_secret) {
            return Self::graph_error();
        }
        let known = self.state.lock();
        let data = match known.tokens.get(get(query, "input_token")) {
            Some(token) => json!({
                "app_id": token.app_id, "type": token.kind, "user_id": token.user_id, "is_valid": token.is_valid,
                "expires_at": token.expires_at, "scopes": ["email", "public_profile"],
            }),
            None => json!({"is_valid": false, "error": {"code": 190, "message": "Invalid OAuth access token."}}),
        };
        respond(200, json!({ "data": data }).to_string())
    }

    pub(super) fn me(&self, query: &Form) -> Said {
        let text = get(query, "access_token");
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.config.client_secret.as_bytes());
        let proof = hex::encode(hmac::sign(&key, text.as_bytes()));
        let known = self.state.lock();
        match known.tokens.get(text) {
            Some(token) if token.is_valid && get(query, "appsecret_proof") == proof => {
                let me = json!({"id": token.user_id, "name": "Bea Facebook", "email": "bea@example.com"});
                respond(200, me.to_string())
            }
            _ => Self::graph_error(),
        }
    }
}
