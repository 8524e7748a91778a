//! What a provider says of itself: its issuer and its endpoints (OpenID Connect Discovery 1.0).

use std::sync::Arc;

use serde::Deserialize;

use super::OpenId;
use crate::identity::providers::cached::Entry;
use crate::identity::providers::error::ProviderError;
use crate::identity::providers::web::address;

/// Where a provider says what it is (section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// What a provider says of itself; what it says beyond is not ours.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl OpenId {
    /// The provider's own document, fetched where it is not known yet or has aged.
    pub(super) async fn metadata(&self) -> Result<Arc<Entry<Metadata>>, ProviderError> {
        self.documents
            .get(async {
                let metadata: Metadata = self.web.document(&format!("{}{DISCOVERY}", self.issuer.url())).await?;
                if !self.issuer.is_of_document(&metadata.issuer) {
                    return Err(ProviderError::Away("its document is that of another issuer"));
                }
                for endpoint in [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri] {
                    address(endpoint).ok_or(ProviderError::Away("its documents name an address that is not https"))?;
                }
                Ok(metadata)
            })
            .await
    }
}
