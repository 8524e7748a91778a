//! The hub of a run: its accounts with the simulated services, as the configuration states them and as the API takes them.
//! The two differ in one thing: the file names a secret's file (`key_file`), the API takes its text (`key`).
use std::path::Path;

use anyhow::Context;

use crate::{devices::Platform, gateways::fleet::Credentials};

/// Which accounts the hub has.
#[derive(Clone, Copy, Debug)]
pub struct Accounts<'a> {
    pub credentials: &'a Credentials,
    pub platforms: &'a [Platform],
    /// To APNs.
    pub connections: u32,
    /// `rate_per_second` of the FCM account; 0 = unpaced.
    pub fcm_rate: u32,
}

/// A setting's value.
enum Value<'a> {
    Flag(bool),
    Text(&'a str),
    Texts(&'a [String]),
    Number(u32),
    /// The text in this file.
    File(&'a Path),
}

impl<'a> Accounts<'a> {
    fn settings(&self, platform: Platform) -> Vec<(&'static str, Value<'a>)> {
        use Value::{File, Flag, Number, Text, Texts};
        let Credentials { apns, fcm, wns, web_push, ca_file, .. } = self.credentials;
        let mut settings = match platform {
            Platform::Apns => vec![
                ("endpoint", Text(&apns.endpoint)),
                ("topic", Text(&apns.topic)),
                ("team_id", Text(&apns.team_id)),
                ("key_id", Text(&apns.key_id)),
                ("key", File(&apns.key_file)),
                ("connections", Number(self.connections)),
            ],
            Platform::Fcm => vec![
                ("endpoint", Text(&fcm.endpoint)),
                ("service_account", File(&fcm.service_account_file)),
                ("rate_per_second", Number(self.fcm_rate)),
            ],
            Platform::Wns => vec![
                ("auth", Text("entra")),
                ("tenant_id", Text(&wns.tenant_id)),
                ("client_id", Text(&wns.client_id)),
                ("client_secret", File(&wns.client_secret_file)),
                ("token_endpoint", Text(&wns.token_endpoint)),
                ("allowed_hosts", Texts(&wns.allowed_hosts)),
            ],
            Platform::WebPush => vec![
                ("subject", Text(&web_push.subject)),
                ("vapid_private_key", File(&web_push.vapid_private_key_file)),
                ("allow_private_networks", Flag(web_push.allow_private_networks)),
            ],
        };
        settings.push(("ca", File(ca_file)));
        settings
    }

    /// `[hubs.HUB.…]` of the configuration.
    ///
    /// # Errors
    /// When a path cannot be written down.
    pub fn configuration(&self, hub: &str) -> anyhow::Result<String> {
        let mut text = String::new();
        for platform in self.platforms {
            text += &format!("\n[hubs.{hub}.{platform}]\n");
            for (name, value) in self.settings(*platform) {
                let (suffix, value) = match value {
                    Value::Flag(flag) => ("", flag.into()),
                    Value::Text(text) => ("", text.into()),
                    Value::Texts(texts) => ("", texts.to_vec().into()),
                    Value::Number(number) => ("", i64::from(number).into()),
                    Value::File(path) => {
                        ("_file", path.to_str().map(toml::Value::from).context("a path that is no UTF-8")?)
                    }
                };
                text += &format!("{name}{suffix} = {value}\n");
            }
        }
        Ok(text)
    }

    /// The body of `PUT /v1/hubs/HUB`.
    ///
    /// # Errors
    /// When a credential's file cannot be read.
    pub fn document(&self) -> anyhow::Result<serde_json::Value> {
        let mut hub = serde_json::Map::new();
        for platform in self.platforms {
            let mut account = serde_json::Map::new();
            for (name, value) in self.settings(*platform) {
                let value = match value {
                    Value::Flag(flag) => flag.into(),
                    Value::Text(text) => text.into(),
                    Value::Texts(texts) => texts.into(),
                    Value::Number(number) => number.into(),
                    Value::File(path) => {
                        std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?.into()
                    }
                };
                account.insert(name.to_owned(), value);
            }
            hub.insert(platform.label().to_owned(), account.into());
        }
        Ok(hub.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::{Fleet, FleetConfig};

    #[tokio::test]
    async fn the_api_takes_the_texts_of_what_the_configuration_names() {
        let dir = tempfile::tempdir().unwrap();
        let fleet = Fleet::start(FleetConfig::on_free_ports(), dir.path()).await.unwrap();
        let accounts =
            Accounts { credentials: &fleet.credentials, platforms: &Platform::ALL, connections: 3, fcm_rate: 100 };
        let (document, text) = (accounts.document().unwrap(), accounts.configuration("demo").unwrap());
        let configured: toml::Value = toml::from_str(&text).unwrap();
        for platform in Platform::ALL {
            let (shown, stated) = (&document[platform.label()], &configured["hubs"]["demo"][platform.label()]);
            for (name, value) in stated.as_table().unwrap() {
                let same = match name.strip_suffix("_file") {
                    Some(secret) => {
                        let text = std::fs::read_to_string(value.as_str().unwrap()).unwrap();
                        !text.is_empty() && shown[secret] == text
                    }
                    None => serde_json::to_value(value).unwrap() == shown[name],
                };
                assert!(same, "{platform} {name}");
            }
            assert_eq!(shown.as_object().unwrap().len(), stated.as_table().unwrap().len());
        }
        assert_eq!(document["fcm"]["rate_per_second"], 100);
        let one = Accounts { platforms: &[Platform::Wns], ..accounts };
        assert_eq!(one.document().unwrap().as_object().unwrap().keys().collect::<Vec<_>>(), ["wns"]);
    }
}
