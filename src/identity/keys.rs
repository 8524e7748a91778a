//! Access keys: what a rule allows, and whom a shown key stands for.

use super::{
    key_file::{self, KeyFileError},
    secret::Secret,
};
use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};
use std::{fmt, ops::BitOr, path::Path};

/// The namespace's own rule: every right on every hub; its key is the admin key
/// (`specs/notification-hubs.md` 1.6).
pub const NAMESPACE_RULE: &str = "RootManageSharedAccessKey";

/// A set of the three rights that a rule can grant (`specs/notification-hubs.md` 1.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u8);

impl Rights {
    pub const NONE: Self = Self(0);
    pub const LISTEN: Self = Self(1);
    pub const SEND: Self = Self(2);
    pub const MANAGE: Self = Self(4);
    pub const ALL: Self = Self(7);

    const NAMED: [(Self, &str); 3] = [(Self::LISTEN, "listen"), (Self::SEND, "send"), (Self::MANAGE, "manage")];

    /// One right by its name: `listen`, `send` or `manage`, in any case (the Notification Hubs documents write `Listen`).
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(right, _)| right)
    }

    /// Whether every right of `needed` is granted.
    pub fn contains(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// The names of the rights in the set, in the order listen, send, manage.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.into_iter().filter(move |(right, _)| self.contains(*right)).map(|(_, name)| name)
    }

    /// The rule of the field: a key that may manage may also listen and send.
    pub fn is_closed(self) -> bool {
        !self.contains(Self::MANAGE) || self == Self::ALL
    }
}

impl BitOr for Rights {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            write!(f, "{}{name}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

/// One access rule of a hub. Both keys are used as text: base64 is not decoded.
#[derive(Debug, Clone)]
pub struct AccessRule {
    pub name: String,
    pub rights: Rights,
    pub primary: Secret,
    pub secondary: Option<Secret>,
}

impl AccessRule {
    /// Primary, then secondary.
    pub fn keys(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.primary).chain(&self.secondary)
    }

    /// Both keys are always compared, so that time does not tell which one came near.
    fn matches(&self, offered: &str) -> bool {
        self.keys().fold(false, |found, key| found | key.matches(offered))
    }
}

/// The admin key: full rights on the native API, and the key of [`NAMESPACE_RULE`].
#[derive(Debug, Clone)]
pub struct AdminKey(Secret);

/// The admin key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AdminKeyError {
    #[error(transparent)]
    File(#[from] KeyFileError),
    #[error("key file {0}: is empty")]
    Empty(String),
    #[error("the random number generator gives nothing")]
    NoRandomness,
}

impl AdminKey {
    /// A key given as text; empty text is no key (it would let everyone in).
    pub fn from_text(text: Secret) -> Option<Self> {
        (!text.expose().trim().is_empty()).then_some(Self(text))
    }

    /// Reads the key file, or makes it: 32 random bytes in base64url. The second value says whether it was made now.
    pub fn open(path: &Path) -> Result<(Self, bool), AdminKeyError> {
        let file = key_file::open_or_make(path, || {
            let mut bytes = [0; 32];
            rand::fill(&mut bytes).map_err(|_| AdminKeyError::NoRandomness)?;
            Ok::<_, AdminKeyError>(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
        })?;
        let key = Self::from_text(file.text).ok_or_else(|| AdminKeyError::Empty(path.display().to_string()))?;
        Ok((key, file.fresh))
    }

    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// Who is calling, once a key or a token was found good.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The holder of the admin key: everything, everywhere.
    Admin,
    /// The holder of a key of one rule of one hub.
    Hub { hub: String, rule: String, rights: Rights },
}

/// A known caller may not do this. The faces turn it into 403 (native) or 401 (Notification Hubs).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the key belongs to another hub")]
    OtherHub,
    #[error("the rule {rule} grants {granted}; this needs {needed}")]
    MissingRight { rule: String, granted: Rights, needed: Rights },
    #[error("this needs the admin key")]
    NeedsAdmin,
}

impl Caller {
    /// Apps that register their own devices with a hub: all of them together, with no key.
    pub fn apps(hub: &str) -> Self {
        Self::Hub { hub: hub.to_owned(), rule: String::new(), rights: Rights::LISTEN }
    }

    /// May this caller do on `hub` what needs `needed`? Hub names compare without regard to ASCII case.
    pub fn authorise(&self, on: &str, needed: Rights) -> Result<(), Denied> {
        match self {
            Self::Admin => Ok(()),
            Self::Hub { hub, .. } if !hub.eq_ignore_ascii_case(on) => Err(Denied::OtherHub),
            Self::Hub { rights, .. } if rights.contains(needed) => Ok(()),
            Self::Hub { rule, rights, .. } => {
                Err(Denied::MissingRight { rule: rule.clone(), granted: *rights, needed })
            }
        }
    }

    /// Making hubs, listing them all, reading access keys back.
    pub fn authorise_admin(&self) -> Result<(), Denied> {
        match self {
            Self::Admin => Ok(()),
            Self::Hub { .. } => Err(Denied::NeedsAdmin),
        }
    }
}

/// Whom does the key of `Authorization: Bearer KEY` stand for, on a request that names `hub`? `None`: nobody known.
///
/// All keys are compared whatever matched before, in constant time each. Where two rules of a hub share a key the one
/// with more rights counts, so that the order of rules means nothing.
pub fn bearer(offered: &str, admin: &AdminKey, hub: &str, rules: &[AccessRule]) -> Option<Caller> {
    let is_admin = admin.secret().matches(offered);
    let rule = rules
        .iter()
        .filter(|rule| rule.matches(offered))
        .max_by_key(|rule| rule.rights.names().count())
        .map(|rule| Caller::Hub { hub: hub.to_owned(), rule: rule.name.clone(), rights: rule.rights });
    if is_admin { Some(Caller::Admin) } else { rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, rights: Rights, primary: &str, secondary: Option<&str>) -> AccessRule {
        AccessRule { name: name.into(), rights, primary: Secret::new(primary), secondary: secondary.map(Secret::new) }
    }

    fn hub_caller(rights: Rights) -> Caller {
        Caller::Hub { hub: "demo".into(), rule: "r".into(), rights }
    }

    #[test]
    fn a_bearer_key_names_its_caller() {
        let admin = AdminKey::from_text(Secret::new("root")).unwrap();
        let rules = [
            rule("listen", Rights::LISTEN, "l1", Some("l2")),
            rule("full", Rights::ALL, "f1", None),
            rule("twin", Rights::SEND, "f1", None),
        ];
        let expected = |name: &str, rights| Some(Caller::Hub { hub: "demo".into(), rule: name.into(), rights });
        for (offered, caller) in [
            ("root", Some(Caller::Admin)),
            ("l1", expected("listen", Rights::LISTEN)),
            ("l2", expected("listen", Rights::LISTEN)),
            ("f1", expected("full", Rights::ALL)),
            ("L1", None),
            ("l", None),
            ("", None),
        ] {
            assert_eq!(bearer(offered, &admin, "demo", &rules), caller, "{offered}");
        }
    }

    #[test]
    fn a_caller_may_what_its_rights_say() {
        let listener = hub_caller(Rights::LISTEN);
        assert_eq!(listener.authorise("DEMO", Rights::LISTEN), Ok(()));
        assert_eq!(listener.authorise("other", Rights::LISTEN), Err(Denied::OtherHub));
        let denied = listener.authorise("demo", Rights::SEND | Rights::MANAGE).unwrap_err();
        assert_eq!(denied.to_string(), "the rule r grants listen; this needs send, manage");
        assert_eq!(hub_caller(Rights::ALL).authorise_admin(), Err(Denied::NeedsAdmin));
        assert_eq!(Caller::Admin.authorise("any", Rights::ALL).and(Caller::Admin.authorise_admin()), Ok(()));
    }

    #[test]
    fn rights_have_names() {
        assert_eq!(Rights::parse("Listen"), Some(Rights::LISTEN));
        assert_eq!(Rights::parse("own"), None);
        assert_eq!(serde_json::to_string(&Rights::ALL).unwrap(), r#"["listen","send","manage"]"#);
        assert_eq!(format!("{:?}", Rights::SEND), r#"{"send"}"#);
        assert!(Rights::ALL.is_closed() && (Rights::LISTEN | Rights::SEND).is_closed() && Rights::NONE.is_closed());
        assert!(!(Rights::MANAGE | Rights::SEND).is_closed());
    }

    #[test]
    fn the_admin_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/admin.key");
        let (key, fresh) = AdminKey::open(&path).unwrap();
        assert!(fresh);
        assert_eq!(URL_SAFE_NO_PAD.decode(key.secret().expose()).unwrap().len(), 32);
        let (again, fresh) = AdminKey::open(&path).unwrap();
        assert!(!fresh && again.secret().matches(key.secret().expose()));
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(AdminKey::open(&path), Err(AdminKeyError::Empty(_))));
    }
}
