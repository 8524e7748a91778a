//! What a hub must say for its apps to be reached through FCM.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

use crate::gateway::endpoint::Endpoint;
use crate::model::field::FieldError;

/// What the access token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// The longest life that an assertion may have.
const ASSERTION_SECONDS: i64 = 3_600;

/// One hub's account with FCM, checked.
#[derive(Clone, Debug)]
pub struct FcmSettings {
    pub(super) endpoint: Endpoint,
    pub(super) account: Arc<ServiceAccount>,
    pub(super) ca_pem: Option<Box<str>>,
}

impl FcmSettings {
    /// Checks endpoint and service account. The error's field is `endpoint` or `service_account`.
    pub fn new(endpoint: &str, service_account: &str) -> Result<Self, FieldError> {
        let account = Arc::new(ServiceAccount::read(service_account)?);
        Ok(Self { endpoint: Endpoint::parse(endpoint)?, account, ca_pem: None })
    }

    /// Trusts these roots besides the public ones, at the token endpoint too; they are read when the gateway opens.
    #[must_use]
    pub fn with_ca(mut self, ca_pem: Option<&str>) -> Self {
        self.ca_pem = ca_pem.map(Into::into);
        self
    }
}

/// A Google service account: who sends, for which project, and where it gets its access tokens.
pub struct ServiceAccount {
    pub(super) project_id: Box<str>,
    client_email: Box<str>,
    key_id: Box<str>,
    token_uri: Box<str>,
    pub(super) token_endpoint: Endpoint,
    pub(super) token_path: Box<str>,
    pair: KeyPair,
}

#[derive(Deserialize)]
struct Written {
    project_id: String,
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    token_uri: String,
}

impl ServiceAccount {
    /// Reads the JSON as Google hands it out. The error's field is `service_account`.
    pub fn read(text: &str) -> Result<Self, FieldError> {
        let rule = |rule: &'static str| FieldError::new("service_account", rule);
        let written: Written = serde_json::from_str(text).map_err(|_| {
            rule("must be the JSON of a service account with project_id, client_email, private_key and token_uri")
        })?;
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        if written.project_id.is_empty() || !written.project_id.bytes().all(letter) {
            return Err(rule("must hold a project_id of letters, digits, '-', '_', '.' or ':'"));
        }
        if written.client_email.is_empty() {
            return Err(rule("must hold a client_email"));
        }
        let bad_uri = || rule("must hold an https:// token_uri without user");
        let uri: http::Uri = written.token_uri.parse().map_err(|_| bad_uri())?;
        let authority = uri.authority().ok_or_else(bad_uri)?;
        let origin = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        let token_endpoint = Endpoint::parse(&origin).map_err(|_| bad_uri())?;
        let token_path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).into();
        let bad_key = || rule("must hold an RSA private_key in PKCS#8 PEM");
        let der = PrivatePkcs8KeyDer::from_pem_slice(written.private_key.as_bytes()).map_err(|_| bad_key())?;
        let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| bad_key())?;
        Ok(Self {
            project_id: written.project_id.into(),
            client_email: written.client_email.into(),
            key_id: written.private_key_id.into(),
            token_uri: written.token_uri.into(),
            token_endpoint,
            token_path,
            pair,
        })
    }

    /// The signed assertion (RFC 7523) issued at `iat` seconds since 1970; `None` when the signature failed.
    pub(super) fn assertion(&self, iat: i64) -> Option<String> {
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if !self.key_id.is_empty() {
            header["kid"] = (&*self.key_id).into();
        }
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": iat,
            "exp": iat + ASSERTION_SECONDS,
        });
        let mut text =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Some(text)
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount({}/{} ***)", self.project_id, self.client_email)
    }
}
