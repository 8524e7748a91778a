//! What a provider says of somebody.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identity::session::Profile;
use crate::model::time::Timestamp;

/// One thing that a provider says of a user, as `/.auth/me` tells it (`mobile-apps.md` 4.9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub typ: String,
    pub val: String,
}

/// Who signed in, proven.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The provider's own unchanging id of them.
    pub subject: String,
    pub profile: Profile,
    pub tokens: Tokens,
}

/// What a provider gave along: kept sealed, told to its user alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// When the access token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<Timestamp>,
    #[serde(default)]
    pub user_claims: Vec<Claim>,
    /// An app brought them: that the others are of the same user as the one that proved who it is, nobody knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("expires_on", &self.expires_on).finish_non_exhaustive()
    }
}
