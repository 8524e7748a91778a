//! What a hub must say for its apps to be reached through APNs.

use std::fmt;

use super::token::ProviderKey;
use crate::gateway::endpoint::Endpoint;
use crate::gateway::pool::Tuning;
use crate::gateway::tls::ClientCertificate;
use crate::model::field::FieldError;

/// Connections in each process, unless told.
pub const DEFAULT_CONNECTIONS: usize = 4;

/// The most connections of one hub in one process: more than this is taken for an attack by the service.
pub const MOST_CONNECTIONS: usize = 1_000;

/// One hub's account with APNs, checked.
#[derive(Clone)]
pub struct ApnsSettings {
    pub(super) endpoint: Endpoint,
    pub(super) topic: Box<str>,
    pub(super) auth: ApnsAuth,
    pub(super) ca_pem: Option<Box<str>>,
    pub(super) connections: usize,
    pub(super) tuning: Tuning,
}

/// How the service knows us (`push-services.md` 1.2).
#[derive(Clone, Debug)]
pub enum ApnsAuth {
    /// A provider token in each request.
    Token(ProviderKey),
    /// A client certificate on each connection.
    Certificate(ClientCertificate),
}

impl ApnsAuth {
    /// By a `.p8` key: team and key id as Apple shows them, the key as PKCS#8 PEM. The error's field is `team_id`,
    /// `key_id` or `key`.
    pub fn token(team_id: &str, key_id: &str, key_pem: &str) -> Result<Self, FieldError> {
        ProviderKey::new(team_id, key_id, key_pem).map(Self::Token)
    }

    /// By a certificate and its key, both PEM. The error's field is `cert` or `cert_key`.
    pub fn certificate(cert_pem: &str, key_pem: &str) -> Result<Self, FieldError> {
        ClientCertificate::from_pem(cert_pem, key_pem).map(Self::Certificate)
    }
}

impl ApnsSettings {
    /// Checks endpoint and topic. The error's field is `endpoint` or `topic`.
    pub fn new(endpoint: &str, topic: &str, auth: ApnsAuth) -> Result<Self, FieldError> {
        let endpoint = Endpoint::parse(endpoint)?;
        if topic.is_empty() || topic.len() > 255 || !topic.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(FieldError::new("topic", "must be a bundle id: 1 to 255 visible ASCII characters"));
        }
        Ok(Self {
            endpoint,
            topic: topic.into(),
            auth,
            ca_pem: None,
            connections: DEFAULT_CONNECTIONS,
            tuning: Tuning::default(),
        })
    }

    /// Trusts these roots besides the public ones; they are read when the gateway opens.
    #[must_use]
    pub fn with_ca(mut self, ca_pem: Option<&str>) -> Self {
        self.ca_pem = ca_pem.map(Into::into);
        self
    }

    /// That many connections in this process. The error's field is `connections`.
    pub fn with_connections(mut self, connections: usize) -> Result<Self, FieldError> {
        if !(1..=MOST_CONNECTIONS).contains(&connections) {
            return Err(FieldError::new("connections", "must be between 1 and 1000"));
        }
        self.connections = connections;
        Ok(self)
    }

    /// With other times than the usual ones: for tests and measurements.
    #[must_use]
    pub fn with_tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// The hub's topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }
}

impl fmt::Debug for ApnsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApnsSettings")
            .field("endpoint", &self.endpoint)
            .field("topic", &self.topic)
            .field("auth", &self.auth)
            .field("extra_roots", &self.ca_pem.is_some())
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> ApnsAuth {
        let own = rcgen::generate_simple_self_signed(["app".to_owned()]).unwrap();
        ApnsAuth::certificate(&own.cert.pem(), &own.signing_key.serialize_pem()).unwrap()
    }

    #[test]
    fn each_bad_setting_is_named() {
        let settings = |endpoint, topic| ApnsSettings::new(endpoint, topic, certificate());
        assert!(settings("https://api.push.apple.com", "com.example.app").is_ok());
        assert_eq!(settings("http://api.push.apple.com", "com.example.app").unwrap_err().field, "endpoint");
        assert_eq!(settings("https://api.push.apple.com", "com example").unwrap_err().field, "topic");
        let many = settings("https://a", "com.example.app").unwrap().with_connections(0);
        assert_eq!(many.unwrap_err().field, "connections");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", ApnsSettings::new("https://a", "t", certificate()).unwrap());
        assert!(shown.contains("***") && !shown.contains("PRIVATE"), "{shown}");
    }
}
