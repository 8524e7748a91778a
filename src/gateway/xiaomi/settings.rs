//! What a hub must say for its apps to be reached through Xiaomi.

use http::HeaderValue;

use crate::gateway::endpoint::Endpoint;
use crate::model::field::FieldError;

/// Where messages go unless a hub says otherwise (`push-services.md` 5.3).
pub const ENDPOINT: &str = "https://api.xmpush.xiaomi.com";

/// One hub's account with Xiaomi, checked.
#[derive(Clone, Debug)]
pub struct XiaomiSettings {
    pub(super) endpoint: Endpoint,
    /// `key=…`, sensitive.
    pub(super) authorization: HeaderValue,
    pub(super) package_name: Option<Box<str>>,
}

impl XiaomiSettings {
    /// Checks an app's secret. The error's field is `app_secret` or `endpoint`.
    pub fn new(app_secret: &str, endpoint: &str) -> Result<Self, FieldError> {
        let is_word = (1..=255).contains(&app_secret.len()) && app_secret.bytes().all(|b| b.is_ascii_graphic());
        let rule = || FieldError::new("app_secret", "must be 1 to 255 visible ASCII characters");
        if !is_word {
            return Err(rule());
        }
        let mut authorization = HeaderValue::from_str(&format!("key={app_secret}")).map_err(|_| rule())?;
        authorization.set_sensitive(true);
        Ok(Self { endpoint: Endpoint::parse(endpoint)?, authorization, package_name: None })
    }

    /// Names the app that alone shows the messages, unless a payload names others. The error's field is `package_name`.
    pub fn with_package_name(mut self, name: Option<&str>) -> Result<Self, FieldError> {
        let is_name = |name: &str| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_');
            (1..=255).contains(&name.len()) && name.bytes().all(letter)
        };
        if name.is_some_and(|name| !is_name(name)) {
            let rule = "must be an app's package name: letters, digits, '.' or '_', at most 255";
            return Err(FieldError::new("package_name", rule));
        }
        self.package_name = name.map(Into::into);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_their_field_and_the_secret_is_not_shown() {
        let field = |secret: &str, endpoint: &str| XiaomiSettings::new(secret, endpoint).unwrap_err().field;
        for bad in ["", "a b", "a\nb", "ä"] {
            assert_eq!(field(bad, ENDPOINT), "app_secret", "{bad:?}");
        }
        for bad in ["http://h", "https://h/v3", ""] {
            assert_eq!(field("s", bad), "endpoint", "{bad}");
        }
        let good = XiaomiSettings::new("hush", ENDPOINT).unwrap();
        assert!(!format!("{good:?}").contains("hush"));
        assert!(good.authorization.is_sensitive());
        for bad in ["", "com example", "com.example,other"] {
            assert_eq!(good.clone().with_package_name(Some(bad)).unwrap_err().field, "package_name", "{bad}");
        }
        assert!(good.with_package_name(Some("com.example.app")).is_ok());
    }
}
