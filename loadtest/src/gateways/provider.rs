//! What sign-in providers have in common: they answer with pages and documents, take no pushes, and do by path what
//! [`faults`](super::faults) says.
use std::{fmt, net::SocketAddr};

use http::request::Parts;

use super::{
    answer::Answer,
    apns::StartError,
    authority::Authority,
    faults::Faults,
    script::Script,
    served::{Api, BOTH, Form, Judged, Options, Pushed, Said, Served, form, respond, set},
};

/// Sends a browser on.
pub(super) fn redirect(to: &str, pairs: &[(&str, &str)]) -> Said {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut said = respond(302, "");
    set(&mut said, "location", &format!("{to}?{query}"));
    said
}

/// A request that no fault keeps from its answer.
pub(super) struct Asked<'a> {
    pub(super) head: &'a Parts,
    /// As [`Pages::path`] has it.
    pub(super) path: &'a str,
    pub(super) query: Form,
    pub(super) body: &'a [u8],
    /// Unix seconds.
    pub(super) now: i64,
}

/// The part of a provider that knows its pages.
pub(super) trait Pages: fmt::Debug + Send + Sync + 'static {
    /// Of a path what tells one page from another.
    fn path<'a>(&self, path: &'a str) -> &'a str {
        path
    }

    fn answer(&self, asked: &Asked<'_>) -> Said;
}

#[derive(Debug)]
pub(super) struct Provider<P> {
    pub(super) pages: P,
    pub(super) faults: Faults,
}

impl<P: Pages> Provider<P> {
    /// Starts on the current Tokio runtime with a certificate of the given authority; `listen` is as [`Options`] have it.
    /// `pages` are made of the address, `https://localhost:PORT`.
    pub(super) async fn start(
        listen: Option<SocketAddr>,
        authority: &Authority,
        pages: impl FnOnce(String) -> P,
    ) -> Result<Served<Self>, StartError> {
        let options = Options { listen, protocols: BOTH, keep_requests: false, script: Script::default() };
        let api = |address: SocketAddr| Self {
            pages: pages(format!("https://localhost:{}", address.port())),
            faults: Faults::default(),
        };
        Served::start(options, authority, api).await
    }
}

impl<P: Pages> Api for Provider<P> {
    fn hangs(&self, head: &Parts) -> bool {
        self.faults.is_silent(self.pages.path(head.uri.path()))
    }

    fn aside(&self, head: &Parts, body: &[u8], now: i64) -> Option<Said> {
        let path = self.pages.path(head.uri.path());
        let query = form(head.uri.query().unwrap_or_default().as_bytes());
        let right = || self.pages.answer(&Asked { head, path, query, body, now });
        Some(self.faults.answer(path).unwrap_or_else(right))
    }

    fn judge(&self, _: &Parts, _: &[u8], _: i64) -> Judged {
        Judged { pushed: Pushed::default(), refusal: Some(Answer::refused(404, "no push service")) }
    }

    fn said(&self, answer: &Answer, _: &Pushed) -> Said {
        respond(answer.status, "")
    }
}
