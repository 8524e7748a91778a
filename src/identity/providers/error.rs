//! Why a sign-in through a provider does not come about.

use crate::model::field::FieldError;

/// What is refused, and by whom. Nothing here holds a token, a code or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The request lacks what this provider needs.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// What was shown proves nothing; another sign-in may.
    #[error("{0}")]
    Refused(&'static str),
    /// The provider sent the browser back with this word (RFC 6749 section 4.1.2.1).
    #[error("the provider says {0}")]
    Said(String),
    /// The provider takes a token no longer that it gave itself.
    #[error("the provider has ended this sign-in")]
    Ended,
    /// The provider was not reached, or gave no answer that can be read; it may later.
    #[error("the sign-in provider cannot be asked: {0}")]
    Away(&'static str),
    /// It is not asked just now: too many callers have it asked, or it was away a moment ago.
    #[error("the sign-in provider cannot be asked: {0}")]
    Spared(&'static str),
}
