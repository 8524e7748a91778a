//! The head of a request: what is written down once per batch, once per connection, and per target.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{Method, Request, Uri};

use crate::gateway::endpoint::Endpoint;
use crate::gateway::transport::{Addressed, Held, Service};

/// Writes heads for one service.
#[derive(Debug)]
pub(super) struct HeadWriter {
    authority: Option<Authority>,
    id_field: Option<HeaderName>,
}

impl HeadWriter {
    pub(super) fn new(endpoint: &Endpoint, service: &dyn Service) -> Self {
        let id_field = service.id_field().and_then(|field| HeaderName::from_bytes(field.as_bytes()).ok());
        Self { authority: endpoint.authority().parse().ok(), id_field }
    }

    /// A whole head; `None` when path or id cannot stand in one.
    pub(super) fn write(
        &self,
        mut fields: HeaderMap,
        authorization: Option<&HeaderValue>,
        addressed: &Addressed,
    ) -> Option<Request<()>> {
        if let Some(value) = authorization {
            fields.insert(AUTHORIZATION, value.clone());
        }
        if let (Some(field), false) = (&self.id_field, addressed.id.is_empty()) {
            let mut value = HeaderValue::from_bytes(&addressed.id).ok()?;
            value.set_sensitive(true);
            fields.insert(field.clone(), value);
        }
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.uri_mut() = self.uri(&addressed.path)?;
        *head.headers_mut() = fields;
        Some(head)
    }

    fn uri(&self, path: &[u8]) -> Option<Uri> {
        let mut parts = Parts::default();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = self.authority.clone();
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::copy_from_slice(path)).ok()?);
        Uri::from_parts(parts).ok()
    }
}

/// The `authorization` that is held, never shown in a log.
pub(super) fn authorization(held: &Held) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(held.authorization.as_ref()?.value.clone()).ok()?;
    value.set_sensitive(true);
    Some(value)
}
