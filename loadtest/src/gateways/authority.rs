//! The certificate authority of the simulated services: what a sender trusts instead of the public roots.
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Topics of an APNs certificate (push-services.md 1.2).
const TOPICS_OID: [u64; 7] = [1, 2, 840, 113_635, 100, 6, 3];
const TOPICS_OID_TEXT: &str = "1.2.840.113635.100.6.3.6";
/// The attribute UID (RFC 4519 section 2.39); an APNs certificate has its bundle id there.
const UID_OID: [u64; 7] = [0, 9, 2342, 19_200_300, 100, 1, 1];
const UID_OID_TEXT: &str = "0.9.2342.19200300.100.1.1";

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot set up the check of client certificates: {0}")]
    ClientVerifier(#[from] rustls::server::VerifierBuilderError),
    #[error("cannot write a certificate: {0}")]
    Write(#[from] io::Error),
}

/// A root key that signs certificates for servers on this machine and for clients.
pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

/// A client's certificate and key, PEM.
#[derive(Clone)]
pub struct ClientCertificate {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

impl Authority {
    /// Makes a new root.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] when the key cannot be made.
    pub fn new() -> Result<Self, AuthorityError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "Fanfare simulated root");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { root: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The root certificate, for `ca_file` of a gateway's configuration.
    pub fn ca_pem(&self) -> String {
        self.root.pem()
    }

    /// Writes the root certificate as `ca.pem` into `folder`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_ca(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join("ca.pem");
        std::fs::write(&path, self.ca_pem())?;
        Ok(path)
    }

    /// A trust store with this root alone, for clients in tests.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        // A root that rcgen just made is well-formed.
        drop(roots.add(self.root.der().clone()));
        roots
    }

    /// A certificate for `localhost`, `127.0.0.1` and `::1`, and its key.
    fn issue(&self) -> Result<(rcgen::Certificate, KeyPair), AuthorityError> {
        let key = KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "Fanfare simulated service");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok((params.signed_by(&key, &self.root)?, key))
    }

    /// Writes the same as `server.pem` and `server.key` into `folder`, for a server of another hand.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn write_server_certificate(&self, folder: &Path) -> Result<(PathBuf, PathBuf), AuthorityError> {
        let (certificate, key) = self.issue()?;
        let paths = (folder.join("server.pem"), folder.join("server.key"));
        std::fs::write(&paths.0, certificate.pem())?;
        std::fs::write(&paths.1, key.serialize_pem())?;
        Ok(paths)
    }

    /// A certificate for `localhost`, `127.0.0.1` and `::1`, ALPN `h2`. With `client_certificates`, clients may present
    /// one of this authority and need not.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn server_config(&self, client_certificates: bool) -> Result<ServerConfig, AuthorityError> {
        let (certificate, key) = self.issue()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = if client_certificates {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider);
            builder.with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// A client certificate as APNs issues them: the first topic as the subject's UID, all of them in the extension.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`]
    pub fn client_certificate(&self, topics: &[&str]) -> Result<ClientCertificate, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        let first = topics.first().copied().unwrap_or_default();
        params.distinguished_name.push(DnType::CommonName, format!("Apple Push Services: {first}"));
        params.distinguished_name.push(DnType::from_oid(&UID_OID), first);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let list: Vec<u8> = topics
            .iter()
            .flat_map(|topic| {
                let kinds = tlv(SEQUENCE, &tlv(UTF8_STRING, b"app"));
                [tlv(UTF8_STRING, topic.as_bytes()), kinds].concat()
            })
            .collect();
        let oid = [&TOPICS_OID[..], &[6]].concat();
        params.custom_extensions.push(CustomExtension::from_oid_content(&oid, tlv(SEQUENCE, &list)));
        let certificate = params.signed_by(&key, &self.root)?;
        Ok(ClientCertificate { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

/// The topics that a client certificate may push to: those of the extension, else the subject's UID.
pub(crate) fn certificate_topics(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let extension = certificate.extensions().iter().find(|known| known.oid.to_id_string() == TOPICS_OID_TEXT);
    let listed = extension.and_then(|extension| read_tlv(extension.value)).map_or(&[][..], |(_, list, _)| list);
    let mut topics = Vec::new();
    let mut rest = listed;
    while let Some((tag, content, after)) = read_tlv(rest) {
        if tag == UTF8_STRING {
            topics.extend(String::from_utf8(content.to_vec()));
        }
        rest = after;
    }
    if topics.is_empty() {
        let subject = certificate.subject().iter_attributes();
        let uid = subject.filter(|attribute| attribute.attr_type().to_id_string() == UID_OID_TEXT);
        topics.extend(uid.filter_map(|attribute| Some(attribute.as_str().ok()?.to_owned())));
    }
    topics
}

const UTF8_STRING: u8 = 0x0c;
const SEQUENCE: u8 = 0x30;

/// One DER value (X.690 section 8.1); contents up to 65,535 bytes.
#[expect(clippy::cast_possible_truncation, reason = "taken apart into its two bytes")]
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match length {
        0..128 => vec![tag, length as u8],
        128..256 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [&head, content].concat()
}

/// (tag, content, what follows), or `None` at the end or at a length over 65,535.
fn read_tlv(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, rest) = match der {
        [_, 0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        [_, 0x81, length, rest @ ..] => (usize::from(*length), rest),
        [_, length @ ..=127, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((der[0], content, after))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn topics_are_read_back_from_a_certificate() {
        let authority = Authority::new().unwrap();
        let long = "com.example.".to_owned() + &"a".repeat(200);
        for topics in [vec!["com.example.app"], vec!["com.example.app", "com.example.app.voip", &long]] {
            let client = authority.client_certificate(&topics).unwrap();
            let der = CertificateDer::from_pem_slice(client.certificate_pem.as_bytes()).unwrap();
            assert_eq!(certificate_topics(&der), topics);
        }
    }
}
