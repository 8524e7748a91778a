//! How a push service is trusted and how we show ourselves: TLS 1.2 or later, the public roots, a hub's own extra roots,
//! and a client certificate where the service wants one.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::model::field::FieldError;

/// The public roots and those of `ca_pem`. The error's field is `ca`.
pub fn roots(ca_pem: Option<&str>) -> Result<RootCertStore, FieldError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = ca_pem {
        let rule = || FieldError::new("ca", "must hold certificates in PEM");
        let mut added = 0_usize;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.map_err(|_| rule())?).map_err(|_| rule())?;
            added += 1;
        }
        if added == 0 {
            return Err(rule());
        }
    }
    Ok(roots)
}

/// A certificate chain with its key, by which a service knows us.
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ClientCertificate {
    /// Reads both from PEM. The error's field is `cert` or `cert_key`.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, FieldError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(cert_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| FieldError::new("cert", "must hold certificates in PEM"))?;
        if chain.is_empty() {
            return Err(FieldError::new("cert", "must hold certificates in PEM"));
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|_| FieldError::new("cert_key", "must be a private key in PEM"))?;
        Ok(Self { chain, key })
    }
}

impl Clone for ClientCertificate {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({} certificates, ***)", self.chain.len())
    }
}

/// A client's side of TLS that offers exactly these protocols. The provider is given here and not installed for the
/// process, so that two services in one process cannot meet over it.
pub fn client_config(
    roots: RootCertStore,
    certificate: Option<ClientCertificate>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, FieldError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FieldError::new("endpoint", format!("cannot be spoken to over TLS: {error}")))?
        .with_root_certificates(roots);
    let mut config = match certificate {
        Some(ClientCertificate { chain, key }) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|_| FieldError::new("cert_key", "must be the key of the certificate"))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_roots_are_added_to_the_public_ones() {
        let public = roots(None).unwrap().len();
        let own = rcgen::generate_simple_self_signed(["push.example".to_owned()]).unwrap();
        assert_eq!(roots(Some(&own.cert.pem())).unwrap().len(), public + 1);
        assert_eq!(roots(Some("no PEM at all")).unwrap_err().field, "ca");
    }

    #[test]
    fn a_certificate_needs_its_own_key() {
        let (one, other) = (
            rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap(),
            rcgen::generate_simple_self_signed(["b".to_owned()]).unwrap(),
        );
        let pair = |key: &rcgen::KeyPair| ClientCertificate::from_pem(&one.cert.pem(), &key.serialize_pem()).unwrap();
        assert!(client_config(roots(None).unwrap(), Some(pair(&one.signing_key)), &[b"h2"]).is_ok());
        let refused = client_config(roots(None).unwrap(), Some(pair(&other.signing_key)), &[b"h2"]).unwrap_err();
        assert_eq!(refused.field, "cert_key");
        assert!(!format!("{:?}", pair(&one.signing_key)).contains("PRIVATE"));
    }
}
