//! A hub whose certificate came as the PKCS#12 file that its app has always had (`notification-hubs.md` 2.10): made through
//! each face, it reaches APNs over TLS with that certificate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use loadtest::gateways::Simulated;
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::json;

use crate::client::Answer;
use crate::world::{TOPIC, World, apple, last_header};

const APPLE: (&str, &str) = ("ServiceBusNotification-Format", "apple");
const ALERT: &str = r#"{"aps":{"alert":"Hi"}}"#;

/// A certificate of the simulated service's authority, as a file whose password is `hush`.
fn p12(world: &World, encryption: EncryptionAlgorithm, seal: MacAlgorithm) -> String {
    let own = world.authority.client_certificate(&[TOPIC]).unwrap();
    let cert = CertificateDer::from_pem_slice(own.certificate_pem.as_bytes()).unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(own.key_pem.as_bytes()).unwrap();
    let (cert, key) = (Certificate::from_der(&cert).unwrap(), PrivateKey::from_der(key.secret_pkcs8_der()).unwrap());
    let mut store = KeyStore::new();
    store.add_entry("app", KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("one", key, [cert])));
    let file = store.writer("hush").encryption_algorithm(encryption).mac_algorithm(seal).write().unwrap();
    STANDARD.encode(file)
}

async fn describe(world: &World, file: &str, password: &str) -> Answer {
    let properties = [("Endpoint", &*world.apns.endpoint()), ("ApnsCertificate", file), ("CertificateKey", password)];
    let properties: String = properties
        .iter()
        .map(|(name, value)| format!("<Property><Name>{name}</Name><Value>{value}</Value></Property>"))
        .collect();
    let entry = format!(
        "<entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\"><NotificationHubDescription \
         xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\"><ApnsCredential><Properties>\
         {properties}</Properties></ApnsCredential></NotificationHubDescription></content></entry>"
    );
    world.root().send("PUT", "/hub1?api-version=2015-01", &[("If-Match", "*")], entry.as_bytes()).await
}

/// Sends one message and looks how it came.
async fn reaches(world: &World) {
    let before = world.apns.receipts().accepted();
    let id = world.sent("", &[APPLE], ALERT).await;
    let counters = world.finished(&id).await["counters"].clone();
    assert_eq!(counters["delivered"], 1, "{counters}");
    assert_eq!(world.apns.receipts().accepted(), before + 1);
    assert_eq!(last_header(&world.apns, "authorization"), None, "the certificate says who it is");
    assert_eq!(last_header(&world.apns, "apns-topic").as_deref(), Some(TOPIC));
}

#[tokio::test]
async fn a_described_certificate_is_shown_to_the_service() {
    let world = World::start().await;
    world.install("dev-0", &apple(0)).await;
    let legacy = p12(&world, EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1);
    let refused = describe(&world, &legacy, "wrong").await.expect(400);
    let rule = "<Detail>ApnsCredential.CertificateKey must be the file's password";
    assert!(refused.text().contains(rule), "{}", refused.text());
    describe(&world, &legacy, "hush").await.expect(200);
    reaches(&world).await;
    let modern = p12(&world, EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256);
    let told = describe(&world, &modern, "hush").await.expect(200);
    assert!(told.text().contains("<Name>Thumbprint</Name>"), "{}", told.text());
    assert!(!told.text().contains("CertificateKey") && !told.text().contains(&modern[..40]), "{}", told.text());
    reaches(&world).await;
    // The settings rest in the store like any other.
    reaches(&world.restart().await).await;
}

#[tokio::test]
async fn the_native_api_takes_the_same_file() {
    let world = World::start().await;
    world.install("dev-0", &apple(0)).await;
    let file = p12(&world, EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256);
    let with = |password: &str| {
        json!({"apns": {
            "endpoint": world.apns.endpoint(), "ca": world.authority.ca_pem(), "connections": 1,
            "cert_p12": file, "cert_password": password,
        }})
    };
    let refused = world.admin.put("/v1/hubs/hub1", &with("wrong")).await.expect(400).json();
    assert_eq!(refused["error"]["field"], "apns.cert_password", "{refused}");
    let made = world.admin.put("/v1/hubs/hub1", &with("hush")).await.expect(200).json();
    assert_eq!((&made["apns"]["auth"], &made["apns"]["topic"]), (&json!("certificate"), &json!(TOPIC)));
    assert!(!made.to_string().contains("PRIVATE") && made["apns"].get("cert_p12").is_none(), "{made}");
    reaches(&world).await;
}
