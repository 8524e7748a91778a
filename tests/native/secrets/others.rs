//! FCM and WNS beside APNs: what they are told and what they grant is as secret.

use loadtest::gateways::{ApnsSim, FcmConfig, FcmSim, Simulated, Token, WnsConfig, WnsSim};
use serde_json::json;

use super::Secrets;
use crate::client::Client;
use crate::world::{finished_at, until_at};

const HUB: &str = "/v1/hubs/others";
const PHONE: &str = "fZyXwVutsrq:APA91bAnotherTokenThatNobodyMaySee";
const WRONG: &str = "a wrong secret that nobody may see";

/// The simulated services, under the authority of a simulated APNs.
pub(super) struct Others {
    fcm: FcmSim,
    wns: WnsSim,
    config: WnsConfig,
    ca: String,
}

impl Others {
    pub(super) async fn start(apns: &ApnsSim) -> Self {
        let config = WnsConfig { keep_requests: true, ..WnsConfig::default() };
        let fcm = FcmConfig { keep_requests: true, ..FcmConfig::default() };
        Self {
            fcm: FcmSim::start_under(fcm, apns.authority()).await.unwrap(),
            wns: WnsSim::start_under(config.clone(), apns.authority()).await.unwrap(),
            config,
            ca: apns.authority().ca_pem(),
        }
    }

    fn channel(&self) -> String {
        self.wns.channel(&Token::new(&[0xc5; 16]))
    }

    /// Makes a hub, registers, sends with a wrong secret and then with the right one.
    pub(super) async fn send(&self, admin: &Client, secrets: &mut Secrets) {
        let account: serde_json::Value = serde_json::from_str(&self.fcm.account().json()).unwrap();
        secrets.add_pem("a service account's key", account["private_key"].as_str().unwrap());
        secrets.add("a client secret", &self.config.client_secret);
        secrets.add("a wrong client secret", WRONG);
        secrets.add("an FCM token", PHONE);
        secrets.add("the secret part of a channel", self.channel().split("token=").nth(1).unwrap());
        let mut settings = json!({
            "fcm": {"service_account": account, "endpoint": self.fcm.endpoint(), "ca": self.ca},
            "wns": {
                "tenant_id": self.config.tenant_id, "client_id": self.config.client_id, "client_secret": WRONG,
                "token_endpoint": self.wns.entra_endpoint(), "allowed_hosts": [self.wns.allowed_host()], "ca": self.ca,
            },
        });
        secrets.add_rules(&admin.put(HUB, &settings).await.expect(201).json());
        for (id, platform, channel) in [("phone", "fcmv1", PHONE.to_owned()), ("desk", "wns", self.channel())] {
            let document = json!({"platform": platform, "pushChannel": channel, "tags": ["all"]});
            admin.put(&format!("{HUB}/installations/{id}"), &document).await.expect(201);
        }
        let body = json!({"audience": "all", "notification": {"title": "x"}});
        let path = format!("{HUB}/broadcasts");
        let id = admin.post(&path, &body).await.expect(202).json()["id"].as_str().unwrap().to_owned();
        let waiting = |progress: &serde_json::Value| progress["waiting"][0]["reason"] == "invalid_client";
        until_at(admin, &format!("{path}/{id}"), waiting).await;
        settings["wns"]["client_secret"] = self.config.client_secret.as_str().into();
        admin.put(HUB, &settings).await.expect(200);
        let over = finished_at(admin, &format!("{path}/{id}")).await;
        assert_eq!(over["counters"]["delivered"], 2, "{over}");
    }

    /// What was granted, as the services saw it come back.
    pub(super) fn add_granted(&self, secrets: &mut Secrets) {
        let services: [(&str, &dyn Simulated); 2] =
            [("an FCM access token", &self.fcm), ("a WNS access token", &self.wns)];
        for (name, service) in services {
            let receipts = service.receipts();
            let requests: Vec<_> = (0..receipts.len()).filter_map(|order| receipts.full(order)).collect();
            assert!(!requests.is_empty(), "{name} was never shown");
            for request in requests {
                let authorization = request.header("authorization").unwrap();
                secrets.add(name, authorization.split_once(' ').unwrap().1);
            }
        }
    }
}
