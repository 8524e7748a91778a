//! How providers are asked: over HTTPS alone, without following redirects, with bounds on time and on what is read.
//!
//! The operator names a provider's host, so where that lies is the operator's business. What a provider's own documents
//! name may lie elsewhere (the keys of a large one often do), but then on the public internet: whoever writes such a
//! document does not get to have the operator's network called.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::error::ProviderError;
use crate::gateway::requests::client::{Answer, Client, Failure, Protocols};
use crate::gateway::requests::{Reach, Tuning};
use crate::gateway::tls;
use crate::model::field::FieldError;

/// Name, TCP and TLS of one connection.
const OPEN: Duration = Duration::from_secs(5);
/// A whole exchange. Somebody waits for it, and so does their browser.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Requests to one provider that may be under way at once. Whoever sends us made-up tokens makes us ask; more of them are
/// told to come back.
const AT_ONCE: usize = 64;
/// The same for its documents, which all sign-ins need: each is fetched once for all who wait.
const DOCUMENTS_AT_ONCE: usize = 4;

/// The way to one provider.
#[derive(Debug)]
pub(super) struct Web {
    own: Client,
    elsewhere: Client,
    under_way: Semaphore,
    documents: Semaphore,
    /// Host and port of the provider, in small letters.
    host: String,
}

impl Web {
    /// To the provider at this address, trusted by the public roots and those of `ca_pem`. The error's field is `issuer`
    /// or `ca`.
    pub(super) fn new(base: &str, ca_pem: Option<&str>) -> Result<Self, FieldError> {
        let host = address(base).and_then(|uri| uri.authority().map(|host| host.as_str().to_ascii_lowercase()));
        let host = host.ok_or_else(|| FieldError::new("issuer", "must be an https:// URL of one host"))?;
        let tuning = Tuning { in_flight: 16, open_timeout: OPEN, hard_timeout: EXCHANGE, ..Tuning::default() };
        let client = |reach| -> Result<Client, FieldError> {
            let config = tls::client_config(tls::roots(ca_pem)?, None, &[])?;
            Ok(Client::new(config, Protocols::Http1, reach, &tuning, Arc::default()))
        };
        Ok(Self {
            own: client(Reach::Anywhere)?,
            elsewhere: client(Reach::Public)?,
            under_way: Semaphore::new(AT_ONCE),
            documents: Semaphore::new(DOCUMENTS_AT_ONCE),
            host,
        })
    }

    /// GET of a JSON document.
    pub(super) async fn document<T: DeserializeOwned>(&self, url: &str) -> Result<T, ProviderError> {
        let answer = self.send(get(url, None)?, Bytes::new(), &self.documents).await?;
        match answer.status {
            200 => json(&answer),
            _ => Err(ProviderError::Away("it does not give its document")),
        }
    }

    /// GET, with a value for `Authorization`.
    pub(super) async fn get(&self, url: &str, authorization: Option<&str>) -> Result<Answer, ProviderError> {
        self.send(get(url, authorization)?, Bytes::new(), &self.under_way).await
    }

    /// POST of a form, with a value for `Authorization`.
    pub(super) async fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<Answer, ProviderError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(reachable(url)?)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(authorized(request, authorization)?, body.into(), &self.under_way).await
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: Bytes,
        slots: &Semaphore,
    ) -> Result<Answer, ProviderError> {
        let request = request.body(Full::new(body)).map_err(|_| ProviderError::Away("its address cannot be used"))?;
        let uri = request.uri();
        let is_own = uri.authority().is_some_and(|host| host.as_str().eq_ignore_ascii_case(&self.host));
        if !is_own && uri.port_u16().is_some_and(|port| port != 443) {
            return Err(ProviderError::Away("its documents name a port of another host"));
        }
        let busy = |_| ProviderError::Spared("too many sign-ins are under way");
        let _slot = slots.try_acquire().map_err(busy)?;
        let client = if is_own { &self.own } else { &self.elsewhere };
        client.send(request).await.map_err(|failure| match failure {
            Failure::Unconnected(_) => ProviderError::Away("it is not reached"),
            Failure::Barred => ProviderError::Away("its documents name an address that is not public"),
            Failure::Ambiguous(_) | Failure::Unprocessed(_) => ProviderError::Away("it gives no answer"),
        })
    }
}

/// An address of https, of one host and nobody's.
pub(super) fn address(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let is_one = uri.scheme_str() == Some("https") && uri.authority().is_some_and(|host| !host.as_str().contains('@'));
    is_one.then_some(uri)
}

fn get(url: &str, authorization: Option<&str>) -> Result<http::request::Builder, ProviderError> {
    authorized(Request::get(reachable(url)?).header(ACCEPT, "application/json"), authorization)
}

fn reachable(url: &str) -> Result<Uri, ProviderError> {
    address(url).ok_or(ProviderError::Away("its documents name an address that is not https"))
}

fn authorized(
    request: http::request::Builder,
    authorization: Option<&str>,
) -> Result<http::request::Builder, ProviderError> {
    let Some(text) = authorization else { return Ok(request) };
    let mut value = HeaderValue::from_str(text).map_err(|_| ProviderError::Refused("the token cannot be one"))?;
    value.set_sensitive(true);
    Ok(request.header(AUTHORIZATION, value))
}

/// The body of an answer. One that was longer than the client reads is empty here, and so no JSON.
pub(super) fn json<T: DeserializeOwned>(answer: &Answer) -> Result<T, ProviderError> {
    serde_json::from_slice(&answer.body).map_err(|_| ProviderError::Away("its answer cannot be read"))
}

/// Adds parameters to an address that may have some.
pub(super) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let separator = if url.contains('?') { '&' } else { '?' };
    // Not every provider reads a plus as a space.
    format!("{url}{separator}{}", query.replace('+', "%20"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_asked_over_https_alone() {
        assert!(address("https://login.example.com/a?b=c").is_some());
        for url in
            ["http://login.example.com", "https://u:p@login.example.com", "file:///etc/passwd", "/path", "", "https://"]
        {
            assert!(address(url).is_none(), "{url}");
        }
    }

    #[tokio::test]
    async fn what_documents_name_elsewhere_must_be_public() {
        let web = Web::new("https://localhost:1/", None).unwrap();
        for (url, why) in [
            ("https://127.0.0.1/keys", "its documents name an address that is not public"),
            ("https://169.254.169.254/latest", "its documents name an address that is not public"),
            ("https://[::1]/", "its documents name an address that is not public"),
            ("https://localhost/keys", "its documents name an address that is not public"),
            ("https://8.8.8.8:8443/", "its documents name a port of another host"),
            ("http://localhost:1/", "its documents name an address that is not https"),
            ("https://localhost:1/", "it is not reached"),
        ] {
            assert_eq!(web.get(url, None).await.unwrap_err(), ProviderError::Away(why), "{url}");
        }
    }

    #[tokio::test]
    async fn callers_do_not_take_the_place_of_documents() {
        let web = Web::new("https://localhost:1/", None).unwrap();
        let _taken = web.under_way.try_acquire_many(u32::try_from(AT_ONCE).unwrap()).unwrap();
        let busy = ProviderError::Spared("too many sign-ins are under way");
        assert_eq!(web.get("https://localhost:1/", None).await.unwrap_err(), busy);
        let document = web.document::<serde_json::Value>("https://localhost:1/").await;
        assert_eq!(document.unwrap_err(), ProviderError::Away("it is not reached"));
    }

    #[test]
    fn a_query_is_added_and_encoded() {
        let url = with_query("https://a/b", &[("scope", "openid a+b"), ("x", "&")]);
        assert_eq!(url, "https://a/b?scope=openid%20a%2Bb&x=%26");
        assert_eq!(with_query("https://a/b?p=1", &[("x", "y")]), "https://a/b?p=1&x=y");
    }
}
