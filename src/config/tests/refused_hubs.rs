//! The tables of `refused`, for hubs, gateways and the apps' API.
use super::refused::{APNS, KEYS, WNS, all};

const TOKEN: &str = "topic = 'a.b'\nteam_id = 'TEAM123456'\nkey_id = 'KEY1234567'\nkey = 'k'\n";
const HTTPS: &str = "must be an https:// URL of one host, without user, path and query";

#[test]
fn hubs_and_their_keys() {
    const HUB: &str = "must be a hub name: a letter or digit, then letters, digits, '.', '-' or '_', at most 260";
    const RULE: &str = "must be a rule name: letters, digits, '.', '-', '_' or '~', at most 256";
    all(&[
        ("hubs = 'demo'", "", "hubs: must be a section (got demo)"),
        ("[hubs]\ndemo = 1", "", "hubs.demo: must be a section (got 1)"),
        ("[hubs.'a/b']", "", &format!("hubs.\"a/b\": {HUB} (got a/b)")),
        ("[hubs.-a]", "", &format!("hubs.-a: {HUB} (got -a)")),
        (
            "[hubs.Demo]\n[hubs.demo]",
            "",
            "hubs.demo: must differ from every other hub's name in more than case (got demo)",
        ),
        ("[hubs.demo]\nweight = 0", "", "hubs.demo.weight: must be a whole number from 1 to 1000 (got 0)"),
        ("[hubs.demo.keys]\nfull = 'hush'", "", "hubs.demo.keys.full: must be a section (got ***)"),
        ("[hubs.demo.keys.'a b']", "", &format!("hubs.demo.keys.\"a b\": {RULE} (got a b)")),
        (KEYS, "primary = 'p'", "hubs.demo.keys.full.rights: must be given (got nothing)"),
        (KEYS, "rights = []", "hubs.demo.keys.full.rights: must name at least one of listen, send, manage (got [])"),
        (KEYS, "rights = 'send'", "hubs.demo.keys.full.rights: must be a list of listen, send, manage (got send)"),
        (
            KEYS,
            "rights = ['own']",
            "hubs.demo.keys.full.rights: must be a list of listen, send, manage (got [\"own\"])",
        ),
        (
            KEYS,
            "rights = ['manage']",
            "hubs.demo.keys.full.rights: must include listen and send where it includes manage (got [\"manage\"])",
        ),
        (KEYS, "rights = ['send']", "hubs.demo.keys.full.primary: must be given, or primary_file (got nothing)"),
        (KEYS, "rights = ['send']\nprimary = ''", "hubs.demo.keys.full.primary: must not be empty (got ***)"),
        (
            KEYS,
            "rights = ['send']\nprimary = 'a b'",
            "hubs.demo.keys.full.primary: must be text without white space (got ***)",
        ),
        (KEYS, "rights = ['send']\nprimary = 5", "hubs.demo.keys.full.primary: must be text in quotes (got ***)"),
        (
            KEYS,
            "rights = ['send']\nprimary = 'a'\nprimary_file = 'key'",
            "hubs.demo.keys.full.primary_file: must not stand beside primary (got key)",
        ),
        (
            KEYS,
            "rights = ['send']\nprimary_file = 'gone'",
            "hubs.demo.keys.full.primary_file: must name a readable file; No such file or directory (os error 2) (got gone)",
        ),
        (
            KEYS,
            "rights = ['send']\nprimary_file = 'empty'",
            "hubs.demo.keys.full.primary_file: must name a file that is not empty (got empty)",
        ),
    ]);
}

#[test]
fn apns() {
    let with = |rest: &str| format!("{APNS}{TOKEN}{rest}");
    const TEN: &str = "must be 10 capital letters or digits";
    all(&[
        (
            &with("endpoint = 'http://localhost:2197'"),
            "",
            &format!("hubs.demo.apns.endpoint: {HTTPS} (got http://localhost:2197)"),
        ),
        (
            &with("endpoint = 'https://u:hush@h'"),
            "",
            &format!("hubs.demo.apns.endpoint: {HTTPS} (got https://u:***@h)"),
        ),
        (
            &with("endpoint = 'https://h/3/device'"),
            "",
            &format!("hubs.demo.apns.endpoint: {HTTPS} (got https://h/3/device)"),
        ),
        (&with("connections = 0"), "", "hubs.demo.apns.connections: must be a whole number from 1 to 1000 (got 0)"),
        (
            &with("rate_per_second = -1"),
            "",
            "hubs.demo.apns.rate_per_second: must be a whole number from 0 to 100000000 (got -1)",
        ),
        (
            &with("cert_file = 'c'"),
            "",
            "hubs.demo.apns.cert_file: must not stand beside key: a key or a certificate (got c)",
        ),
        (
            APNS,
            "key_file = 'key'",
            "hubs.demo.apns.topic: must be given and be a bundle id: letters, digits, '.', '-' or '_', at most 255 (got nothing)",
        ),
        (APNS, "topic = 'a.b'", "hubs.demo.apns.key_file: must be given, or cert_file and cert_key_file (got nothing)"),
        (
            APNS,
            "topic = 'a.b'\nkey = 'k'",
            &format!("hubs.demo.apns.team_id: must be given and {} (got nothing)", &TEN[5..]),
        ),
        (
            APNS,
            "topic = 'a.b'\nkey = 'k'\nteam_id = 'team123456'",
            &format!("hubs.demo.apns.team_id: {TEN} (got team123456)"),
        ),
        (
            APNS,
            "topic = 'a.b'\nkey = 'k'\nteam_id = 'TEAM123456'\nkey_id = 1234567890",
            "hubs.demo.apns.key_id: must be text in quotes (got 1234567890)",
        ),
        (
            APNS,
            "topic = 'a.b'\nteam_id = 'TEAM123456'\nkey_id = 'KEY1234567'",
            "hubs.demo.apns.key: must be given, or key_file (got nothing)",
        ),
        (
            APNS,
            "topic = 'a.b'\ncert_file = 'c'",
            "hubs.demo.apns.cert_key: must be given, or cert_key_file (got nothing)",
        ),
        (APNS, "topic = 'a.b'\ncert_key = 'c'", "hubs.demo.apns.cert_file: must be given and be a path (got nothing)"),
    ]);
}

#[test]
fn the_other_gateways() {
    const CONTACT: &str = "must be a mailto: or https: contact";
    const HOSTS: &str = "must be a list of host, *.domain or host:port";
    const ENDPOINT: &str =
        "must be an https:// URL of one host, without user and query; {tenant_id} stands for the tenant";
    let entra = |rest: &str| format!("{WNS}tenant_id = 't'\nclient_id = 'c'\nclient_secret = 's'\n{rest}");
    let push = |rest: &str| format!("[hubs.demo.web_push]\nvapid_private_key = 'v'\n{rest}");
    all(&[
        ("[hubs.demo.fcm]", "", "hubs.demo.fcm.service_account: must be given, or service_account_file (got nothing)"),
        (WNS, "auth = 'oauth'", "hubs.demo.wns.auth: must be one of entra, live (got oauth)"),
        (WNS, "", "hubs.demo.wns.tenant_id: must be given and be a tenant's id or domain (got nothing)"),
        (WNS, "tenant_id = 'a/b'", "hubs.demo.wns.tenant_id: must be a tenant's id or domain (got a/b)"),
        (WNS, "tenant_id = 'é.com'", "hubs.demo.wns.tenant_id: must be a tenant's id or domain (got é.com)"),
        (WNS, "tenant_id = 't'\nclient_id = 'ä'", "hubs.demo.wns.client_id: must be an application id (got ä)"),
        (
            WNS,
            "auth = 'live'\ntenant_id = 't'",
            "hubs.demo.wns.tenant_id: must not be given with auth = \"live\" (got t)",
        ),
        (
            WNS,
            "auth = 'live'\nclient_id = 'c'",
            "hubs.demo.wns.client_id: must be a package SID: ms-app://S-1-15-2-… (got c)",
        ),
        (
            &entra("token_endpoint = 'http://h/t'"),
            "",
            &format!("hubs.demo.wns.token_endpoint: {ENDPOINT} (got http://h/t)"),
        ),
        (
            &entra("token_endpoint = 'https://h/{x}'"),
            "",
            &format!("hubs.demo.wns.token_endpoint: {ENDPOINT} (got https://h/{{x}})"),
        ),
        (
            &entra("allowed_hosts = ['https://h']"),
            "",
            &format!("hubs.demo.wns.allowed_hosts: {HOSTS} (got [\"https://h\"])"),
        ),
        (
            "[hubs.demo.jobs]\n",
            "allowed_hosts = ['*']",
            &format!("hubs.demo.jobs.allowed_hosts: {HOSTS} (got [\"*\"])"),
        ),
        (
            &push("subject = 'ops@example.com'"),
            "",
            &format!("hubs.demo.web_push.subject: {CONTACT} (got ops@example.com)"),
        ),
        (&push("subject = 'mailto:ops'"), "", &format!("hubs.demo.web_push.subject: {CONTACT} (got mailto:ops)")),
        (
            &push("subject = 'mailto:a@b.c'\nallow_private_networks = 1"),
            "",
            "hubs.demo.web_push.allow_private_networks: must be true or false (got 1)",
        ),
    ]);
}

#[test]
fn the_smaller_services() {
    const BAIDU: &str = "[hubs.demo.baidu]\n";
    const XIAOMI: &str = "[hubs.demo.xiaomi]\n";
    all(&[
        (BAIDU, "", "hubs.demo.baidu.api_key: must be given and be the API key of an app (got nothing)"),
        (BAIDU, "api_key = 'a b'", "hubs.demo.baidu.api_key: must be the API key of an app (got ***)"),
        (BAIDU, "api_key = 'a'", "hubs.demo.baidu.secret_key: must be given, or secret_key_file (got nothing)"),
        (
            BAIDU,
            "api_key = 'a'\nsecret_key = 's'\nendpoint = 'https://h/rest'",
            &format!("hubs.demo.baidu.endpoint: {HTTPS} (got https://h/rest)"),
        ),
        (XIAOMI, "", "hubs.demo.xiaomi.app_secret: must be given, or app_secret_file (got nothing)"),
        (
            XIAOMI,
            "app_secret = 's'\npackage_name = 'a b'",
            "hubs.demo.xiaomi.package_name: must be an app's package name: letters, digits, '.' or '_', at most 255 (got a b)",
        ),
        (
            XIAOMI,
            "app_secret = 's'\nendpoint = 'http://h'",
            &format!("hubs.demo.xiaomi.endpoint: {HTTPS} (got http://h)"),
        ),
    ]);
}

#[test]
fn mobile_and_site() {
    const TABLE: &str = "[mobile.tables.todo]\n";
    const AUTH: &str = "[mobile.auth]\nsigning_key = 's'\naudience = 'a'\nissuer = 'i'\n";
    all(&[
        (
            "[mobile]\n",
            "cors_origins = ['http://h']",
            "mobile.cors_origins: must be a list of host or *.domain (got [\"http://h\"])",
        ),
        (
            "[mobile.api]\n",
            "upstream = 'h:9000'",
            "mobile.api.upstream: must be an http:// or https:// URL of one host, without user and query (got h:9000)",
        ),
        (
            "[mobile.api]\nupstream = 'http://h'\n",
            "access = 'disabled'",
            "mobile.api.access: must be one of anonymous, authenticated (got disabled)",
        ),
        (
            "[mobile.api]\nupstream = 'http://h'\n",
            "timeout_seconds = 0",
            "mobile.api.timeout_seconds: must be a whole number from 1 to 3600 (got 0)",
        ),
        ("[mobile.push]\n", "access = 'authenticated'", "mobile.hub: must name a hub: push is given (got nothing)"),
        (
            "[mobile]\nhub = 'demo'\n[mobile.push]\n",
            "allowed_tags = ['topic:*', '_UserId:*']",
            "mobile.push.allowed_tags: must be a list of tags, or beginnings of tags with * at the end, none of them of _UserId: (got [\"topic:*\", \"_UserId:*\"])",
        ),
        (
            "[mobile]\n",
            "home_page = true\n[site]\ndir = 'public'",
            "mobile.home_page: must be false: the page at / is that of [site] (got true)",
        ),
        (
            "[mobile.tables.'to do']",
            "",
            "mobile.tables.\"to do\": must be a table name: a letter or '_', then letters, digits or '_', at most 64 (got to do)",
        ),
        (
            TABLE,
            "page_size = 5000\nmax_page_size = 100",
            "mobile.tables.todo.page_size: must be at most max_page_size, which is 100 (got 5000)",
        ),
        (
            TABLE,
            "columns = { text = 'varchar' }",
            "mobile.tables.todo.columns.text: must be one of string, number, boolean, date (got varchar)",
        ),
        (
            TABLE,
            "conflict = 'lose'",
            "mobile.tables.todo.conflict: must be one of fail, client_wins, server_wins, merge (got lose)",
        ),
        (
            TABLE,
            "permissions = { read = 'all' }",
            "mobile.tables.todo.permissions.read: must be one of anonymous, authenticated, disabled (got all)",
        ),
        (
            "[mobile.tables.todo.on_change]\n",
            "audience = 'all'",
            "mobile.tables.todo.on_change.template: must hold at least one property (got nothing)",
        ),
        (
            "[mobile.auth]\n",
            "audience = 'a'",
            "mobile.auth.signing_key: must be given, or signing_key_file (got nothing)",
        ),
        (
            "[mobile.auth]\naudience = 'a'\nissuer = 'i'\n",
            "signing_key = '0000'",
            "mobile.auth.signing_key: must not be a key that everybody knows (got ***)",
        ),
        (
            AUTH,
            "allowed_redirects = ['https://a', 'http://b']",
            "mobile.auth.allowed_redirects: must be a list of addresses without query, SCHEME://HOST or SCHEME://HOST/PATH; of http only this machine's (got [\"https://a\", \"http://b\"])",
        ),
        (AUTH, "session_mode = 'both'", "mobile.auth.session_mode: must be one of token, cookie (got both)"),
        (
            AUTH,
            "[mobile.auth.providers.facebook]\nclient_id = 'c'",
            "mobile.auth.providers.facebook.client_secret: must be given, or client_secret_file (got nothing)",
        ),
        (
            AUTH,
            "[mobile.auth.providers.apple]\nclient_id = 'c'\nteam_id = 'T'",
            "mobile.auth.providers.apple.key_id: must be given: team_id and key_id stand together (got nothing)",
        ),
        (
            AUTH,
            "[mobile.auth.providers.google]\nclient_id = 'c'\nteam_id = 'T'",
            "mobile.auth.providers.google.team_id: unknown key; known ones are issuer, client_id, client_secret, client_secret_file, audiences, scopes, ca_file, bearer (got T)",
        ),
        (
            AUTH,
            "[mobile.auth.providers.google]\nclient_id = 'c'\nissuer = 'http://accounts.google.com'",
            "mobile.auth.providers.google.issuer: must be an https:// URL of one host, without user and query (got http://accounts.google.com)",
        ),
        (
            AUTH,
            "session_hours = 48\nsession_max_hours = 24",
            "mobile.auth.session_max_hours: must be at least session_hours, which is 48 (got 24)",
        ),
        (AUTH, "session_hours = 0", "mobile.auth.session_hours: must be a whole number from 1 to 87600 (got 0)"),
        (
            AUTH,
            "[mobile.auth.providers.house]\nclient_id = 'c'",
            "mobile.auth.providers.house.issuer: must be given and be an https:// URL of one host, without user and query (got nothing)",
        ),
        ("[site]\n", "", "site.dir: must be given and be a path (got nothing)"),
    ]);
}
