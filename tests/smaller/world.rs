//! A whole service whose hub `demo` reaches the simulated smaller services.

use std::ffi::OsString;

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use loadtest::gateways::{
    AdmConfig, AdmSim, Authority, BaiduConfig, BaiduSim, Receipts, Script, Simulated, XiaomiConfig, XiaomiSim,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bench::token;
use crate::client::Client;

const ADMIN: &str = "the-admin-key";
pub(crate) const HUB: &str = "/v1/hubs/demo";

/// The platforms, each with the member of its account that is its secret.
pub(crate) const ALL: [(&str, &str); 3] = [("adm", "client_secret"), ("baidu", "secret_key"), ("xiaomi", "app_secret")];

pub(crate) struct World {
    _folder: tempfile::TempDir,
    running: Running,
    pub(crate) admin: Client,
    adm: AdmSim,
    baidu: BaiduSim,
    xiaomi: XiaomiSim,
    /// What PUT takes of each platform.
    pub(crate) accounts: Value,
}

impl World {
    /// With a script for each service. `configured`: the hub is one of the configuration's.
    pub(crate) async fn start([adm, baidu, xiaomi]: [Script; 3], configured: bool) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new().unwrap());
        let adm_config = AdmConfig { script: adm, keep_requests: true, ..AdmConfig::default() };
        let adm = AdmSim::start_under(adm_config.clone(), &authority).await.unwrap();
        let baidu_config = BaiduConfig { script: baidu, keep_requests: true, ..BaiduConfig::default() };
        let baidu = BaiduSim::start_under(baidu_config.clone(), &authority).await.unwrap();
        let xiaomi_config = XiaomiConfig { script: xiaomi, keep_requests: true, ..XiaomiConfig::default() };
        let xiaomi = XiaomiSim::start_under(xiaomi_config.clone(), &authority).await.unwrap();
        let accounts = json!({
            "adm": {
                "client_id": adm_config.client_id, "client_secret": adm_config.client_secret,
                "endpoint": adm.endpoint(), "token_endpoint": adm.token_endpoint(),
            },
            "baidu": {
                "api_key": baidu_config.api_key, "secret_key": baidu_config.secret_key, "endpoint": baidu.endpoint(),
            },
            "xiaomi": {
                "app_secret": xiaomi_config.app_secret, "package_name": xiaomi_config.package_name,
                "endpoint": xiaomi.endpoint(),
            },
        });
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(folder.path().join("ca.pem"), authority.ca_pem()).unwrap();
        let mut environment = vec![
            ("STORE__URL".to_owned(), format!("sqlite:{}", path("fanfare.db"))),
            ("SECRETS__KEY_FILE".to_owned(), path("secret.key")),
            ("ADMIN__KEY".to_owned(), ADMIN.to_owned()),
        ];
        for (platform, account) in accounts.as_object().unwrap().iter().filter(|_| configured) {
            let of = |member: &str| format!("HUBS__DEMO__{}__{}", platform.to_uppercase(), member.to_uppercase());
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            environment.extend(account.as_object().unwrap().iter().map(|(member, value)| (of(member), text(value))));
            environment.push((of("ca_file"), path("ca.pem")));
        }
        let environment = environment
            .into_iter()
            .map(|(name, value)| -> (OsString, OsString) { (format!("FANFARE__{name}").into(), value.into()) });
        let settings = Config::load_with(None, environment).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running =
            Running::start(&settings, Options { listener: Some(listener), ..Options::default() }).await.unwrap();
        let admin = Client::bearer(running.address(), ADMIN);
        let mut accounts = accounts;
        for account in accounts.as_object_mut().unwrap().values_mut() {
            account["ca"] = authority.ca_pem().into();
        }
        Self { _folder: folder, running, admin, adm, baidu, xiaomi, accounts }
    }

    /// The same with the hub made through the API.
    pub(crate) async fn with_hub(scripts: [Script; 3]) -> Self {
        let world = Self::start(scripts, false).await;
        world.admin.put(HUB, &world.accounts).await.expect(201);
        world
    }

    /// With the key of the hub's own rule that may do everything.
    pub(crate) async fn full(&self) -> Client {
        let hub = self.admin.get(HUB).await.expect(200).json();
        let key = hub["keys"]["DefaultFullSharedAccessSignature"]["primary"].as_str().unwrap();
        Client::bearer(self.running.address(), key)
    }

    pub(crate) fn receipts(&self, platform: &str) -> &Receipts {
        match platform {
            "adm" => self.adm.receipts(),
            "baidu" => self.baidu.receipts(),
            _ => self.xiaomi.receipts(),
        }
    }

    /// The form that Baidu or Xiaomi was sent last.
    pub(crate) fn last_form(&self, platform: &str) -> std::collections::BTreeMap<String, String> {
        let receipts = self.receipts(platform);
        let body = receipts.full(receipts.len() - 1).unwrap().body;
        form_urlencoded::parse(&body).into_owned().collect()
    }

    pub(crate) async fn register(&self, platform: &str, device: u64) {
        let document = json!({"platform": platform, "tags": ["all"], "pushChannel": channel(platform, device)});
        self.admin.put(&format!("{HUB}/installations/{platform}-{device}"), &document).await.expect(201);
    }

    /// Sends and follows to the end.
    pub(crate) async fn send(&self, content: Value) -> Value {
        let accepted = self.admin.post(&format!("{HUB}/broadcasts"), &content).await.expect(202).json();
        self.finished(accepted["id"].as_str().unwrap()).await
    }

    pub(crate) async fn finished(&self, id: &str) -> Value {
        let path = format!("{HUB}/broadcasts/{id}");
        self.admin.follow(&path, |progress| !progress["finished_at"].is_null()).await
    }
}

/// How a platform calls a device.
pub(crate) fn channel(platform: &str, device: u64) -> String {
    let user = if platform == "baidu" { "1042-" } else { "" };
    format!("{user}{}", token(device))
}

/// For each service that device 1 is dead.
pub(crate) fn one_is_dead() -> [Script; 3] {
    use loadtest::gateways::script::Act;
    let dead = |status, reason| Script::new().token(&crate::bench::prefix(1), Act::refuse(status, reason));
    [dead(400, "Unregistered"), dead(400, "30608"), dead(200, "bad_regids")]
}

pub(crate) fn all_is_well() -> [Script; 3] {
    [Script::new(), Script::new(), Script::new()]
}
