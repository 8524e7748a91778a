//! The certificate of the TLS listener: read at start, and again whenever its file changes.
//!
//! Connections that are open keep the certificate that they began with; new handshakes take the present one. A renewal
//! that is half written, or whose key is not there yet, is tried again at the next look; the old one serves meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::config::{ConfigError, TlsConfig};

/// How often the file is looked at. It is small, and a renewal is days early.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The certificate in use.
pub(super) struct Certificate {
    files: TlsConfig,
    provider: Arc<CryptoProvider>,
    present: ArcSwap<CertifiedKey>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.present.load_full())
    }
}

impl Certificate {
    /// Reads the files. The provider is given here and not installed for the process, so that two services in one
    /// process cannot meet over it.
    pub(super) fn open(files: &TlsConfig) -> Result<Arc<Self>, ConfigError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certified = read(files, &provider).map_err(|rule| refused(files, rule))?;
        Ok(Arc::new(Self { files: files.clone(), provider, present: ArcSwap::from_pointee(certified) }))
    }

    /// What takes connections with it.
    pub(super) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, ConfigError> {
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&self.files, error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Follows the file for as long as it is polled.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let mut complaint = String::new();
        loop {
            ticks.tick().await;
            let at = self.clone();
            let read = tokio::task::spawn_blocking(move || read(&at.files, &at.provider)).await;
            match read {
                Ok(Ok(certified)) => {
                    complaint.clear();
                    if certified.cert != self.present.load().cert {
                        self.present.store(Arc::new(certified));
                        tracing::info!("the certificate of server.tls was renewed");
                    }
                }
                Ok(Err(rule)) if rule != complaint => {
                    tracing::warn!(rule, "the certificate of server.tls cannot be read; the one before stays in use");
                    complaint = rule;
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

fn refused(files: &TlsConfig, rule: String) -> ConfigError {
    ConfigError { key: "server.tls.cert_file".to_owned(), rule, got: files.cert_file.display().to_string() }
}

/// A chain with its key, which must belong together.
fn read(files: &TlsConfig, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let text = |path: &Path| std::fs::read(path).map_err(|error| format!("must name a readable file: {error}"));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text(&files.cert_file)?)
        .collect::<Result<_, _>>()
        .map_err(|_| "must name a file of certificates in PEM".to_owned())?;
    let key = PrivateKeyDer::from_pem_slice(&text(&files.key_file)?)
        .map_err(|_| "must have a private key in PEM in server.tls.key_file".to_owned())?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|_| "must be the certificate of server.tls.key_file".to_owned())
}
