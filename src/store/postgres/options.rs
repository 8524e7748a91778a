//! How to reach the database: the URL's own parameters, and TLS with the stack that the rest of the service uses.
//!
//! `sslmode` means what it does in libpq (PostgreSQL's manual, 34.19): `disable`, `prefer` (the default: encrypted when
//! the server can, whoever it is), `require` (encrypted, whoever it is), `verify-ca` and `verify-full` (both check the
//! chain and the name here). `sslrootcert` names a file of roots to trust instead of the public ones; with it `require`
//! verifies too.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::{Result, StoreError};

/// What is known of the database before it is contacted.
#[derive(Clone)]
pub struct Options {
    /// `postgres://user:password@host[:port]/database[?parameter=…]`.
    pub url: String,
    /// The most connections of this process.
    pub connections: usize,
    /// Where a relative `sslrootcert` begins.
    pub base: PathBuf,
}

impl std::fmt::Debug for Options {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// How the server's certificate is looked at.
enum Verification {
    None,
    Roots(Option<PathBuf>),
}

impl Options {
    /// Whether the URL can be read, with all of its parameters and files.
    pub fn check(&self) -> Result<()> {
        self.driver().map(drop)
    }

    /// The driver's configuration and its connector.
    pub(super) fn driver(&self) -> Result<(tokio_postgres::Config, MakeRustlsConnect)> {
        let (url, mode, root) = self.split();
        let unreadable = |error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            StoreError::Engine(format!("the database's URL cannot be read: {error}{cause}"))
        };
        let mut config: tokio_postgres::Config = url.parse().map_err(unreadable)?;
        let verification = match mode.as_deref() {
            None | Some("prefer") => {
                config.ssl_mode(SslMode::Prefer);
                root.map_or(Verification::None, |root| Verification::Roots(Some(root)))
            }
            Some("disable") => {
                config.ssl_mode(SslMode::Disable);
                Verification::None
            }
            Some("require") => {
                config.ssl_mode(SslMode::Require);
                root.map_or(Verification::None, |root| Verification::Roots(Some(root)))
            }
            Some("verify-ca" | "verify-full") => {
                config.ssl_mode(SslMode::Require);
                Verification::Roots(root)
            }
            Some(other) => {
                let rule = "sslmode must be disable, prefer, require, verify-ca or verify-full";
                return Err(StoreError::Engine(format!("{rule}, not {other}")));
            }
        };
        if config.get_application_name().is_none() {
            config.application_name("fanfare");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(5));
        }
        // A cable that was pulled is noticed while something is unanswered; the server ends what nobody waits for.
        config.tcp_user_timeout(std::time::Duration::from_secs(10));
        config.keepalives_idle(std::time::Duration::from_secs(10));
        config.keepalives_interval(std::time::Duration::from_secs(3));
        config.keepalives_retries(3);
        // Plans of many short statements gain nothing from being compiled. Rows lie in the order of their keys, but the
        // server does not know that of a table that it has not analysed yet: with its default for what a random page
        // costs it would gather the rows of a range by their places and sort them.
        let own = "-c jit=off -c random_page_cost=1.1 -c statement_timeout=60s -c lock_timeout=10s \
                   -c idle_in_transaction_session_timeout=60s";
        config.options(match config.get_options() {
            Some(given) => format!("{own} {given}"),
            None => own.to_owned(),
        });
        Ok((config, MakeRustlsConnect::new(client_config(&verification)?)))
    }

    /// The URL without the parameters that the driver does not know, and those.
    fn split(&self) -> (String, Option<String>, Option<PathBuf>) {
        let Some((before, query)) = self.url.split_once('?') else { return (self.url.clone(), None, None) };
        let (mut mode, mut root) = (None, None);
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => root = Some(self.base.join(&*value)),
                _ => {
                    rest.append_pair(&name, &value);
                }
            }
        }
        let rest = rest.finish().replace('+', "%20");
        let url = if rest.is_empty() { before.to_owned() } else { format!("{before}?{rest}") };
        (url, mode, root)
    }
}

fn client_config(verification: &Verification) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let failed = |error: rustls::Error| StoreError::Engine(format!("TLS to the database: {error}"));
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(failed)?;
    Ok(match verification {
        Verification::None => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth()
        }
        Verification::Roots(file) => builder.with_root_certificates(roots(file.as_deref())?).with_no_client_auth(),
    })
}

fn roots(file: Option<&std::path::Path>) -> Result<RootCertStore> {
    let Some(file) = file else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let unreadable =
        |error: &dyn std::fmt::Display| StoreError::Engine(format!("sslrootcert {}: {error}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() { Err(unreadable(&"it holds no certificate")) } else { Ok(roots) }
}

/// Takes any certificate: `sslmode` asked for encryption and not for knowing with whom.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Options {
        Options { url: url.to_owned(), connections: 1, base: PathBuf::from("/etc/fanfare") }
    }

    #[test]
    fn the_urls_own_parameters_reach_the_driver_and_ours_do_not() {
        let (config, _) = options(
            "postgres://u:p%40w@h1,h2:5433/db?sslmode=require&target_session_attrs=read-write&options=-c%20geqo%3Doff",
        )
        .driver()
        .unwrap();
        assert_eq!(config.get_dbname(), Some("db"));
        assert_eq!(config.get_password(), Some(&b"p@w"[..]));
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        assert!(config.get_options().unwrap().ends_with(" -c geqo=off"));
        assert_eq!(config.get_application_name(), Some("fanfare"));
        let (_, mode, root) = options("postgres://h/db?sslmode=verify-full&sslrootcert=ca.pem").split();
        assert_eq!((mode.as_deref(), root), (Some("verify-full"), Some(PathBuf::from("/etc/fanfare/ca.pem"))));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_rule() {
        for (url, part) in [
            ("postgres://h/db?sslmode=maybe", "sslmode must be"),
            ("postgres://h/db?sslmode=verify-full&sslrootcert=missing.pem", "sslrootcert"),
            ("postgres://h/db?colour=red", "cannot be read"),
        ] {
            let error = options(url).check().unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }
}
