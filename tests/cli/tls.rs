//! The command line over TLS, against the service's own listener.

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use tokio::net::TcpListener;

use crate::world::{ADMIN, environment, fanfare};

#[tokio::test]
async fn the_root_that_is_named_is_trusted_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let issue = || rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (made, other) = (issue(), issue());
    std::fs::write(path("server.crt"), made.cert.pem()).unwrap();
    std::fs::write(path("server.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("other.crt"), other.cert.pem()).unwrap();
    let tls = [
        ("FANFARE__SERVER__TLS__LISTEN", "127.0.0.1:0".to_owned()),
        ("FANFARE__SERVER__TLS__CERT_FILE", path("server.crt")),
        ("FANFARE__SERVER__TLS__KEY_FILE", path("server.key")),
    ];
    let settings = environment(folder.path()).into_iter().chain(tls.map(|(name, value)| (name.to_owned(), value)));
    let settings = settings.map(|(name, value)| (name.into(), value.into())).collect::<Vec<_>>();
    let config = Config::load_with(None, settings).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Running::start(&config, Options { listener: Some(listener), ..Options::default() }).await.unwrap();
    let port = running.tls_address().unwrap().port();
    let run = async |host: &str, arguments: &[&str]| {
        let url = format!("https://{host}:{port}");
        fanfare(folder.path(), arguments, &[("FANFARE_URL", &url), ("FANFARE_KEY", ADMIN)], "").await
    };
    for host in ["localhost", "127.0.0.1"] {
        run(host, &["hub", "list", "--ca", "server.crt"]).await.expect(0);
    }
    run("localhost", &["hub", "create", "demo", "--ca", "server.crt"]).await.expect(0);
    // A stream as well as single requests.
    let device = r#"{"installationId":"d","platform":"adm","pushChannel":"x"}"#;
    std::fs::write(path("devices.ndjson"), format!("{device}\n")).unwrap();
    let import = ["installations", "import", "devices.ndjson", "--hub", "demo", "--ca", "server.crt"];
    assert_eq!(run("localhost", &import).await.expect(0).out, "imported 1, failed 0\n");
    for untrusted in [&["hub", "list"][..], &["hub", "list", "--ca", "other.crt"]] {
        let refused = run("localhost", untrusted).await.expect(1);
        assert!(refused.err.contains("no TLS with") && refused.err.lines().count() == 1, "{refused:?}");
    }
    for (file, why) in [("nowhere.crt", "nowhere.crt"), ("server.key", "server.key")] {
        let bad = run("localhost", &["hub", "list", "--ca", file]).await.expect(2);
        assert!(bad.err.starts_with("fanfare: cannot use --ca ") && bad.err.contains(why), "{bad:?}");
    }
    assert!(running.stop().await);
}
