//! What a good configuration means: who has the last word, where paths lead, what is shown.
use super::*;
use crate::identity::keys::Rights;

const HUB: &str = "[hubs.Demo.keys.Full]\nrights = ['listen', 'send', 'manage']\nprimary_file = 'primary'\n";

fn nothing() -> Vec<(OsString, OsString)> {
    Vec::new()
}

#[test]
fn without_a_file_the_defaults_hold() {
    let config = Config::load_with(None, nothing()).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert!(matches!(&config.store.url, StoreUrl::Sqlite(path) if path == Path::new("data/fanfare.db")));
    assert!(matches!(config.queue.url, QueueUrl::Memory));
    assert_eq!(config.admin.key_file.as_deref(), Some(Path::new("data/admin.key")));
    assert_eq!(config.secrets.key_file.as_deref(), Some(Path::new("data/secret.key")));
    assert!(config.hubs.is_empty() && config.mobile.is_none());
    config.check_files().unwrap();
}

#[test]
fn the_environment_has_the_last_word() {
    let place = Place::new();
    place.file("primary", "from the file");
    let config = place
        .load(&format!("[server]\ndrain_seconds = 5\n{HUB}[hubs.Demo.apns]\ntopic = 'a.b'\nkey_file = 'gone'\nteam_id = 'TEAM123456'"), &[
            ("FANFARE__SERVER__DRAIN_SECONDS", "7"),
            ("FANFARE__SERVER__LISTEN", "[::]:80"),
            ("FANFARE__QUEUE__URL", "redis://:pw@h:6379/0"),
            ("FANFARE__HUBS__DEMO__WEIGHT", "3"),
            ("FANFARE__HUBS__DEMO__KEYS__FULL__PRIMARY", "12345"),
            ("FANFARE__HUBS__DEMO__KEYS__FULL__RIGHTS", "['listen']"),
            ("FANFARE__HUBS__DEMO__APNS__KEY_ID", "1234567890"),
            ("FANFARE__HUBS__DEMO__APNS__KEY", "-----BEGIN\nKEY-----"),
            ("FANFARE_URL", "not a setting"),
        ])
        .unwrap();
    assert_eq!((config.server.drain_seconds, config.server.listen.to_string().as_str()), (7, "[::]:80"));
    let hub = &config.hubs["Demo"];
    assert_eq!(hub.weight, 3);
    assert_eq!((hub.keys[0].primary.expose(), hub.keys[0].rights), ("12345", Rights::LISTEN));
    match &hub.apns.as_ref().unwrap().auth {
        ApnsAuth::Token { key_id, key, key_file: None, .. } => {
            assert_eq!((key_id.as_str(), key.expose()), ("1234567890", "-----BEGIN\nKEY-----"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_environment_alone_makes_a_hub() {
    let environment = [
        ("FANFARE__HUBS__DEMO__KEYS__DefaultFull__RIGHTS", r#"["send"]"#),
        ("FANFARE__HUBS__DEMO__KEYS__DefaultFull__PRIMARY", "key"),
    ];
    let config = Config::load_with(None, environment.map(|(k, v)| (k.into(), v.into()))).unwrap();
    assert_eq!(config.hubs["demo"].keys[0].name, "DefaultFull");
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let place = Place::new();
    let config = place
        .load("[store]\nurl = 'sqlite:db/x.db'\n[admin]\nkey_file = '/abs/admin.key'\n[secrets]\nprevious_key_files = ['old']", &[])
        .unwrap();
    assert!(matches!(&config.store.url, StoreUrl::Sqlite(path) if *path == place.path("db/x.db")));
    assert_eq!(config.admin.key_file.unwrap(), Path::new("/abs/admin.key"));
    assert_eq!(config.secrets.key_file.unwrap(), place.path("data/secret.key"));
    assert_eq!(config.secrets.previous_key_files, [place.path("old")]);
    for (url, path) in [("sqlite:///abs/x.db", PathBuf::from("/abs/x.db")), ("sqlite://x.db", place.path("x.db"))] {
        let config = place.load(&format!("[store]\nurl = '{url}'"), &[]).unwrap();
        assert!(matches!(&config.store.url, StoreUrl::Sqlite(p) if *p == path), "{url}");
    }
}

#[test]
fn a_secret_file_loses_one_newline() {
    for (text, key) in [("key", "key"), ("key\n", "key"), ("key\r\n", "key")] {
        let place = Place::new();
        place.file("primary", text);
        assert_eq!(place.load(HUB, &[]).unwrap().hubs["Demo"].keys[0].primary.expose(), key);
    }
    let place = Place::new();
    place.file("primary", "key\n\n");
    let line = place.line(place.load(HUB, &[]).unwrap_err());
    assert_eq!(
        line,
        "config: hubs.Demo.keys.Full.primary_file: must name a file without white space in its text (got primary)"
    );
}

#[test]
fn engines_are_chosen_by_url() {
    let place = Place::new();
    let queue = |url: &str| place.load(&format!("[queue]\nurl = '{url}'"), &[]).unwrap().queue.url;
    assert!(matches!(queue("redis://user:pw@h:6379/3"), QueueUrl::Redis(_)));
    assert!(matches!(queue("redis+sentinel://h1:26379,h2:26379/mymaster"), QueueUrl::Sentinel(_)));
    assert!(matches!(queue("redis+cluster://h1:7000,h2:7001"), QueueUrl::Cluster(_)));
    for url in ["postgres://user:password@host/db", "postgresql://host:5433/db?sslmode=require"] {
        let config = place.load(&format!("[store]\nurl = '{url}'"), &[]).unwrap();
        assert!(matches!(&config.store.url, StoreUrl::Postgres(u) if u.expose() == url));
        config.check_files().unwrap();
    }
}

#[test]
fn secrets_show_nowhere() {
    let place = Place::new();
    place.file("primary", "hush-primary");
    let toml = format!(
        "{HUB}secondary = 'hush-secondary'\n[admin]\nkey = 'hush-admin'\n[store]\nurl = 'postgres://u:hush-store@h/db'\n\
         [hubs.Demo.wns]\nauth = 'live'\nclient_id = 'ms-app://S-1-15-2-1'\nclient_secret = 'hush-wns'\n\
         [mobile.auth]\nsigning_key = 'hush-auth'\naudience = 'a'\nissuer = 'i'\n"
    );
    let config = place.load(&toml, &[]).unwrap();
    let shown = config.to_toml().unwrap();
    for text in [&shown, &format!("{config:?}")] {
        assert!(!text.contains("hush"), "{text}");
    }
    let shown: toml::Table = shown.parse().unwrap();
    let full = &shown["hubs"]["Demo"]["keys"]["Full"];
    assert_eq!((full["primary"].as_str(), full["secondary"].as_str()), (Some("***"), Some("***")));
    assert_eq!(shown["hubs"]["Demo"]["wns"]["token_endpoint"].as_str(), Some("https://login.live.com/accesstoken.srf"));
}

#[test]
fn a_databases_url_names_its_tls_as_libpq_does() {
    let place = Place::new();
    place.file("roots.pem", "no certificate");
    for (parameters, said) in [
        ("sslmode=disable", None),
        ("sslmode=verify-full", None),
        ("sslmode=on", Some("sslmode must be disable, prefer, require, verify-ca or verify-full, not on")),
        ("sslmode=require&sslrootcert=roots.pem", Some("roots.pem: ")),
        ("sslmode=require&sslrootcert=gone.pem", Some("gone.pem: ")),
        ("ssl_mode=require", Some("the database's URL cannot be read")),
    ] {
        let config =
            place.load(&format!("[store]\nurl = 'postgres://u:hush@h/db?{parameters}'\nconnections = 4"), &[]).unwrap();
        assert_eq!(config.store.connections, 4);
        match (config.check_files(), said) {
            (Ok(()), None) => {}
            (Err(error), Some(said)) => {
                let line = error.to_string();
                assert!(line.starts_with("config: store.url: must be usable; ") && line.contains(said), "{line}");
                assert!(!line.contains("hush"), "{line}");
            }
            (checked, said) => panic!("{parameters}: {checked:?} {said:?}"),
        }
    }
}
