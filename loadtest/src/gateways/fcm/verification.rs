//! What FCM checks in a request, and how it answers. The order is address, credentials, project, message.
use std::sync::Arc;

use super::{
    error::{self, Fault},
    grants::Grants,
    message::{Message, Reader},
};
use crate::{
    gateways::{
        answer::Answer,
        session::{Judged, Service},
    },
    http2::{Request, hpack},
};

pub(super) const TOKEN_PATH: &str = "/token";

/// The FCM of one connection.
pub(super) struct Fcm {
    grants: Arc<Grants>,
    reader: Reader,
}

impl Fcm {
    pub(super) fn new(grants: Arc<Grants>) -> Self {
        Self { grants, reader: Reader::default() }
    }

    /// What is wrong besides the message.
    fn refusal(&self, request: &Request, now: i64) -> Option<Answer> {
        let method = request.field(b":method");
        let path = request.field(b":path").unwrap_or_default();
        let project = path.strip_prefix(b"/v1/projects/").and_then(|rest| rest.strip_suffix(b"/messages:send"));
        let Some(project) = project.filter(|_| method == Some(b"POST")) else { return Some(error::not_found()) };
        if !request.field(b"authorization").is_some_and(|value| self.grants.is_good(value, now)) {
            return Some(error::unauthenticated());
        }
        (project != self.grants.account.project_id.as_bytes()).then(error::not_found)
    }
}

impl Service for Fcm {
    fn aside(&mut self, request: &Request, now: i64) -> Option<Answer> {
        let asks = request.field(b":path") == Some(TOKEN_PATH.as_bytes()) && request.field(b":method") == Some(b"POST");
        asks.then(|| self.grants.grant(&request.body, now))
    }

    fn judge(&mut self, request: &Request, now: i64) -> Judged {
        let id = fastrand::u128(..).to_be_bytes();
        let refusal = self.refusal(request, now);
        let authenticated = refusal.is_none();
        let Message { token, body, facts, fault } = self.reader.read(&request.body);
        Judged {
            token,
            id,
            body,
            collapse: facts.collapse,
            bad_payload: fault == Some(Fault::Json),
            refusal: refusal.or_else(|| fault.map(|fault| fault.answer())),
            authenticated,
            dry_run: facts.dry_run,
        }
    }

    fn head(&self, answer: &Answer, _id: &[u8; 16], head: &mut Vec<u8>) {
        hpack::encode_status(head, answer.status);
        hpack::encode_literal(head, b"content-type", b"application/json; charset=UTF-8");
        if let Some(text) = &answer.retry_after {
            hpack::encode_literal(head, b"retry-after", text.as_bytes());
        }
    }

    /// `{"name":"projects/P/messages/N"}`, Google's error for a reason, or the text that the answer brings along.
    fn body(&self, answer: &Answer, id: &[u8; 16], body: &mut Vec<u8>) {
        match (&answer.body, &answer.reason) {
            (Some(text), _) => body.extend_from_slice(text.as_bytes()),
            (None, Some(reason)) => body.extend_from_slice(error::scripted(answer.status, reason).as_bytes()),
            (None, None) if answer.is_accepted() => {
                body.extend_from_slice(br#"{"name":"projects/"#);
                body.extend_from_slice(self.grants.account.project_id.as_bytes());
                body.extend_from_slice(b"/messages/0:");
                let mut digits = [0; 32];
                let id = uuid::Uuid::from_bytes_ref(id).simple().encode_lower(&mut digits);
                body.extend_from_slice(id.as_bytes());
                body.extend_from_slice(br#""}"#);
            }
            (None, None) => {}
        }
    }
}
