//! What every request to a table says: its dialect, its table, its caller.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Uri, header};
use serde_json::{Map, Value as Json};

use super::Table;
use super::dialect::{Dialect, VERSION};
use crate::api::App;
use crate::api::mobile::Mobile;
use crate::api::mobile::caller::Caller;
use crate::api::mobile::here::Here;
use crate::api::mobile::refusal::Refused;
use crate::api::request::read_whole;
use crate::config::Access;
use crate::model::field::FieldError;
use crate::model::time::Timestamp;
use crate::tables::definition::Definition;
use crate::tables::row::{RowId, SYSTEM};
use crate::tables::write::Seen;

const FEATURES: HeaderName = HeaderName::from_static("x-zumo-features");
const OPTIONS: HeaderName = HeaderName::from_static("x-zumo-options");
const CLIENT: HeaderName = HeaderName::from_static("x-zumo-version");

/// A request to a table that there is, by somebody whose token, if they show one, is good.
pub(super) struct Ask {
    pub(super) app: Arc<App>,
    pub(super) mobile: Arc<Mobile>,
    pub(super) table: Arc<Table>,
    pub(super) dialect: Dialect,
    caller: Caller,
    pub(super) here: Here,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    /// Of the path, decoded.
    id: Option<String>,
    /// The members of the query, decoded.
    query: Vec<(String, String)>,
}

impl FromRequestParts<Arc<App>> for Ask {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let query: Vec<_> = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let version = query.iter().find(|(name, _)| name.eq_ignore_ascii_case(VERSION));
        let dialect = Dialect::of(&parts.headers, version.map(|(_, version)| version.as_str()))?;
        let brief = |refused: Refused| if dialect.is_v2() { refused } else { refused.brief() };
        let mobile = app.mobile.clone().ok_or_else(Refused::no_route)?;
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|_| brief(Refused::bad("the path must be UTF-8 in percent-encoding")))?;
        let param = |name| params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned());
        let caller = Caller::from_request_parts(parts, app).await.map_err(brief)?;
        let here = Here::from_request_parts(parts, app).await.map_err(brief)?;
        let table = mobile.tables.find(&param("table").unwrap_or_default());
        let table = table.ok_or_else(|| brief(Refused::not_found("The table does not exist")))?;
        let (uri, headers, id) = (parts.uri.clone(), parts.headers.clone(), param("id"));
        Ok(Self { app: app.clone(), mobile, table, dialect, caller, here, uri, headers, id, query })
    }
}

/// What a caller wants to do with a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Read,
    Insert,
    Update,
    Delete,
    Undelete,
}

impl Ask {
    /// Lets the caller do it, or not; answers whose rows the operation is about, where rows belong to users.
    pub(super) fn allow(&self, operation: Operation) -> Result<Option<String>, Refused> {
        let permissions = &self.table.config.permissions;
        let (access, word) = match operation {
            Operation::Read => (permissions.read, "read"),
            Operation::Insert => (permissions.insert, "insert"),
            Operation::Update => (permissions.update, "update"),
            Operation::Delete => (permissions.delete, "delete"),
            Operation::Undelete => (permissions.undelete, "undelete"),
        };
        if access == Access::Disabled {
            return Err(self.no(Refused::disabled(format!("Method {word} is not allowed"))));
        }
        // Without a user there is nobody whose rows they could be.
        if access == Access::Authenticated || self.table.config.per_user {
            self.caller.signed_in().map_err(|refused| self.no(refused))?;
        }
        Ok(self.caller.user().map(|user| user.sub.clone()))
    }

    pub(super) fn definition(&self) -> &Arc<Definition> {
        &self.table.definition
    }

    /// A refusal in the words of the dialect.
    pub(super) fn no(&self, refused: impl Into<Refused>) -> Refused {
        let refused = refused.into();
        if self.dialect.is_v2() { refused } else { refused.brief() }
    }

    /// The members of the query.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether deleted rows are asked for, too.
    pub(super) fn with_deleted(&self) -> bool {
        let option = |(name, value): (&str, &str)| {
            name.eq_ignore_ascii_case("__includedeleted") && value.eq_ignore_ascii_case("true")
        };
        self.pairs().any(option) || self.has_word(&OPTIONS, "include:deleted")
    }

    /// Whether the client wants links without the host (`X-ZUMO-Options`).
    pub(super) fn wants_path(&self) -> bool {
        self.has_word(&OPTIONS, "nextLink=path")
    }

    /// Whether the request is a step of a synchronisation of the older clients.
    pub(super) fn is_offline(&self) -> bool {
        self.has_word(&FEATURES, "OL")
    }

    /// Android's library says its own version and no more; it cannot read a link beside a count (2.4).
    pub(super) fn is_android(&self) -> bool {
        let client = self.headers.get(CLIENT).and_then(|value| value.to_str().ok());
        client.is_some_and(|client| !client.starts_with("ZUMO/"))
    }

    fn has_word(&self, header: &HeaderName, word: &str) -> bool {
        let values = self.headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
    }

    /// The id that the path names.
    pub(super) fn id(&self) -> Result<RowId, Refused> {
        let text = self.id.as_deref().unwrap_or_default();
        RowId::of_path(self.definition(), text).ok_or_else(|| self.no(no_row()))
    }

    /// The version that the caller has seen (2.7): `"VERSION"`, also one that a proxy weakened, or `*`.
    pub(super) fn if_match(&self) -> Option<Seen> {
        let text = self.headers.get(header::IF_MATCH)?.to_str().unwrap_or_default();
        Some(seen(text))
    }

    /// When the caller has seen the row. What is no date says nothing (RFC 9110 13.1.4).
    pub(super) fn unmodified_since(&self) -> Option<Seen> {
        self.date(&header::IF_UNMODIFIED_SINCE).map(Seen::At)
    }

    /// A header that is a date.
    pub(super) fn date(&self, name: &HeaderName) -> Option<Timestamp> {
        let text = self.headers.get(name)?.to_str().ok()?;
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(Timestamp::from_millis(date.timestamp().as_millisecond()))
    }
}

/// 404 of a row.
pub(super) fn no_row() -> Refused {
    Refused::not_found("The item does not exist")
}

fn seen(text: &str) -> Seen {
    let bare = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.unwrap_or(text).to_owned()
    };
    let text = text.trim();
    if text == "*" {
        return Seen::Any;
    }
    let version = bare(text.strip_prefix("W/").unwrap_or(text)).replace("\\\"", "\"");
    Seen::Version(version.strip_prefix("W/").map_or(version.clone(), bare))
}

/// A request with an item.
pub(super) struct AskWith {
    pub(super) ask: Ask,
    pub(super) item: Map<String, Json>,
}

/// Reads the item of a request, once the caller may write it.
pub(super) struct Body(Request);

impl FromRequest<Arc<App>> for Body {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Self::Rejection> {
        Ok(Self(request))
    }
}

impl Body {
    /// A JSON object; without a content type it is taken for one (OBS 32).
    pub(super) async fn item(self, ask: Ask) -> Result<AskWith, Refused> {
        let kind = self.0.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
        let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("application/json")) {
            let status = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(ask.no(Refused::new(status, "Content-Type must be application/json")));
        }
        let bytes = read_whole(self.0, ask.app.limits.body_bytes, ask.app.patience).await;
        let bytes = bytes.map_err(|error| ask.no(error))?;
        let item = serde_json::from_slice(&bytes).map_err(|error| {
            let error = FieldError::json("body", "must be a JSON object", &error);
            ask.no(error)
        })?;
        check_once(&item).map_err(|error| ask.no(error))?;
        Ok(AskWith { ask, item })
    }
}

/// Of `id` and `ID` nobody knows which is meant; columns are looked at where they are written.
fn check_once(item: &Map<String, Json>) -> Result<(), FieldError> {
    let times = |own: &&str| item.keys().filter(|name| name.eq_ignore_ascii_case(own)).count();
    let rule = "must be given once; names are matched without regard to case";
    SYSTEM.into_iter().find(|own| times(own) > 1).map_or(Ok(()), |own| Err(FieldError::new(own, rule)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_version_that_was_seen() {
        let version = || Seen::Version("MQ==".to_owned());
        for (text, expected) in [
            (r#""MQ==""#, version()),
            (r#" "MQ==" "#, version()),
            ("MQ==", version()),
            (r#"W/"MQ==""#, version()),
            (r#""W/\"MQ==\"""#, version()),
            (r#""a\"b""#, Seen::Version("a\"b".to_owned())),
            ("*", Seen::Any),
        ] {
            assert_eq!(seen(text), expected, "{text}");
        }
    }
}
