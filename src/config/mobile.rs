//! `[mobile]`, the table and auth API, and `[site]`, static files at `/`.

use super::{
    auth::AuthConfig,
    error::ConfigError,
    hub::{HUB_NAME, is_hub_name},
    section::Section,
    url::{self, ServiceUrl},
};
use crate::model::audience::AudienceLimits;
use crate::model::installation::{OwnTag, OwnTags};
use crate::model::tag::Tag;
use crate::tables::notice::Notice;
use crate::tables::row::is_system;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Debug, Clone, Serialize)]
pub struct MobileConfig {
    /// Where `/push/installations` go; absent = nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    pub dynamic_schema: bool,
    /// Where callers reach the service, when requests do not tell: behind a proxy that changes host or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<ServiceUrl>,
    /// Hosts of the pages that may call, any port: a name, or `*.domain`.
    pub cors_origins: Vec<String>,
    /// Whether the configuration says so, and not the default.
    #[serde(skip)]
    pub names_cors_origins: bool,
    /// A page at `/` that says what runs here.
    pub home_page: bool,
    /// A description of the tables at `/swagger`.
    pub swagger: bool,
    pub push: PushConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiConfig>,
    pub tables: BTreeMap<String, TableConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthConfig>,
}

impl MobileConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&[
            "hub",
            "dynamic_schema",
            "public_url",
            "cors_origins",
            "home_page",
            "swagger",
            "push",
            "api",
            "tables",
            "auth",
        ])?;
        let hub = s.parsed("hub", HUB_NAME, |t| is_hub_name(t).then(|| t.to_owned()))?;
        let dynamic_schema = s.boolean("dynamic_schema", true)?;
        let origins = s.list("cors_origins", "must be a list of host or *.domain", |t| {
            (t == "*" || url::is_host(t.strip_prefix("*.").unwrap_or(t))).then(|| t.to_owned())
        })?;
        let tables = s.section("tables")?.sections()?;
        for (at, table) in tables.iter().enumerate() {
            if tables[..at].iter().any(|earlier| earlier.name().eq_ignore_ascii_case(table.name())) {
                return Err(table.fail_name("must be another name: tables are told apart without regard to case"));
            }
        }
        let tables: BTreeMap<String, TableConfig> = tables
            .iter()
            .map(|table| Ok((table.name().to_owned(), TableConfig::read(table, dynamic_schema)?)))
            .collect::<Result<_, ConfigError>>()?;
        if let (None, Some((name, _))) = (&hub, tables.iter().find(|(_, table)| table.on_change.is_some())) {
            return Err(s.fail("hub", format!("must name a hub: table {name} has on_change")));
        }
        if hub.is_none() && s.has("push") {
            return Err(s.fail("hub", "must name a hub: push is given"));
        }
        Ok(Self {
            hub,
            dynamic_schema,
            public_url: s.parsed("public_url", PLAIN_URL, plain)?,
            names_cors_origins: origins.is_some(),
            cors_origins: origins.unwrap_or_else(|| vec!["localhost".into()]),
            home_page: s.boolean("home_page", false)?,
            swagger: s.boolean("swagger", false)?,
            push: PushConfig::read(&s.section("push")?)?,
            api: s.optional_section("api")?.map(|api| ApiConfig::read(&api)).transpose()?,
            tables,
            auth: s.optional_section("auth")?.map(|auth| AuthConfig::read(&auth)).transpose()?,
        })
    }
}

/// How apps register their devices at `/push/installations`.
#[derive(Debug, Clone, Serialize)]
pub struct PushConfig {
    /// Who may; never [`Access::Disabled`].
    pub access: Access,
    /// Tags that apps may set on their devices; all others are the server's.
    pub allowed_tags: OwnTags,
    /// Requests about one installation, in each process; 0 = no limit.
    pub requests_per_minute: u32,
}

impl PushConfig {
    fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["access", "allowed_tags", "requests_per_minute"])?;
        let rule = "must be a list of tags, or beginnings of tags with * at the end, none of them of _UserId:";
        let tags = s.list("allowed_tags", rule, OwnTag::parse)?.unwrap_or_default();
        Ok(Self {
            access: user_or_anybody(s, "access")?,
            allowed_tags: tags.into_iter().collect(),
            requests_per_minute: s.integer("requests_per_minute", 60, 0..=1_000_000)?,
        })
    }
}

/// Who may use something that is switched off in another way.
fn user_or_anybody(s: &Section<'_>, key: &str) -> Result<Access, ConfigError> {
    let words = [("anonymous", Access::Anonymous), ("authenticated", Access::Authenticated)];
    s.choice(key, Access::Anonymous, &words)
}

#[derive(Debug, Clone, Serialize)]
pub struct ApiConfig {
    /// `/api/{name}` goes to `{upstream}/{name}`.
    pub upstream: ServiceUrl,
    /// Whose requests go there; never [`Access::Disabled`].
    pub access: Access,
    /// How long the upstream may take to begin its answer, and then with each next piece of it.
    pub timeout_seconds: u32,
    /// PEM roots that are trusted besides the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl ApiConfig {
    fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["upstream", "access", "timeout_seconds", "ca_file"])?;
        Ok(Self {
            upstream: s.required("upstream", PLAIN_URL, plain)?,
            access: user_or_anybody(s, "access")?,
            timeout_seconds: s.integer("timeout_seconds", 230, 1..=3_600)?,
            ca_file: s.path("ca_file")?,
        })
    }
}

const PLAIN_URL: &str = "must be an http:// or https:// URL of one host, without user and query";

fn plain(text: &str) -> Option<ServiceUrl> {
    ServiceUrl::parse(text).filter(|url| matches!(url.scheme(), "http" | "https") && url.is_plain())
}

#[derive(Debug, Clone, Serialize)]
pub struct TableConfig {
    pub soft_delete: bool,
    /// Rows belong to the user who wrote them.
    pub per_user: bool,
    pub page_size: u32,
    pub max_page_size: u32,
    pub dynamic_schema: bool,
    /// Integer ids made by the server.
    pub auto_increment: bool,
    pub conflict: Conflict,
    /// Rows for an empty table, a JSON array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_file: Option<PathBuf>,
    pub columns: BTreeMap<String, ColumnType>,
    pub permissions: Permissions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_change: Option<OnChange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    Fail,
    ClientWins,
    ServerWins,
    Merge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    String,
    Number,
    Boolean,
    Date,
}

impl TableConfig {
    fn read(s: &Section<'_>, dynamic_schema: bool) -> Result<Self, ConfigError> {
        if !is_identifier(s.name()) {
            return Err(s.fail_name("must be a table name: a letter or '_', then letters, digits or '_', at most 64"));
        }
        s.only(&[
            "soft_delete",
            "per_user",
            "page_size",
            "max_page_size",
            "columns",
            "dynamic_schema",
            "auto_increment",
            "seed_file",
            "conflict",
            "permissions",
            "on_change",
        ])?;
        let page_size = s.integer("page_size", 50, 1..=100_000)?;
        let max_page_size = s.integer("max_page_size", 1000.max(page_size), 1..=100_000)?;
        if page_size > max_page_size {
            return Err(s.fail("page_size", format!("must be at most max_page_size, which is {max_page_size}")));
        }
        Ok(Self {
            soft_delete: s.boolean("soft_delete", false)?,
            per_user: s.boolean("per_user", false)?,
            page_size,
            max_page_size,
            dynamic_schema: s.boolean("dynamic_schema", dynamic_schema)?,
            auto_increment: s.boolean("auto_increment", false)?,
            conflict: s.choice(
                "conflict",
                Conflict::Fail,
                &[
                    ("fail", Conflict::Fail),
                    ("client_wins", Conflict::ClientWins),
                    ("server_wins", Conflict::ServerWins),
                    ("merge", Conflict::Merge),
                ],
            )?,
            seed_file: s.path("seed_file")?,
            columns: columns(&s.section("columns")?)?,
            permissions: Permissions::read(&s.section("permissions")?)?,
            on_change: s.optional_section("on_change")?.map(|c| OnChange::read(&c)).transpose()?,
        })
    }
}

fn columns(s: &Section<'_>) -> Result<BTreeMap<String, ColumnType>, ConfigError> {
    let types = [
        ("string", ColumnType::String),
        ("number", ColumnType::Number),
        ("boolean", ColumnType::Boolean),
        ("date", ColumnType::Date),
    ];
    s.keys()
        .map(|name| {
            if !is_identifier(name) {
                let rule = "must be a column name: a letter or '_', then letters, digits or '_', at most 64";
                return Err(ConfigError::new(s.dotted(name), rule, name));
            }
            if is_system(name) {
                let rule = "must not be id, createdAt, updatedAt, version or deleted, which every table has";
                return Err(ConfigError::new(s.dotted(name), rule, name));
            }
            if s.keys().any(|other| other != name && other.eq_ignore_ascii_case(name)) {
                let rule = "must be another name: columns are told apart without regard to case";
                return Err(ConfigError::new(s.dotted(name), rule, name));
            }
            Ok((name.clone(), s.choice(name, ColumnType::String, &types)?))
        })
        .collect()
}

fn is_identifier(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Who may do what with a table.
#[derive(Debug, Clone, Serialize)]
pub struct Permissions {
    pub read: Access,
    pub insert: Access,
    pub update: Access,
    pub delete: Access,
    pub undelete: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    Anonymous,
    Authenticated,
    /// 405 for everybody.
    Disabled,
}

impl Permissions {
    fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["read", "insert", "update", "delete", "undelete"])?;
        let words = [
            ("anonymous", Access::Anonymous),
            ("authenticated", Access::Authenticated),
            ("disabled", Access::Disabled),
        ];
        let access = |key| s.choice(key, Access::Anonymous, &words);
        Ok(Self {
            read: access("read")?,
            insert: access("insert")?,
            update: access("update")?,
            delete: access("delete")?,
            undelete: access("undelete")?,
        })
    }
}

/// What an audience may be; the bounds of requests do not hold for what the configuration says.
const LIMITS: AudienceLimits = AudienceLimits { terms: 10_000, depth: 64, tag_length: Tag::MAX_LENGTH };

/// A broadcast when rows of a table change.
#[derive(Debug, Clone, Serialize)]
pub struct OnChange {
    /// `{{field}}` is the changed row's; a field that the row does not have (`userId` without `per_user`) sends nothing.
    pub audience: String,
    /// The audience, parsed.
    #[serde(skip)]
    pub notice: Notice,
    /// Changes meanwhile are collapsed into one.
    pub min_interval_seconds: u32,
    pub template: BTreeMap<String, String>,
}

impl OnChange {
    fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["audience", "template", "min_interval_seconds"])?;
        let audience = s.required("audience", "must be an audience", |t| Some(t.to_owned()))?;
        let notice = Notice::parse(&audience, &LIMITS).map_err(|error| s.fail("audience", error.rule.clone()))?;
        let template = s.section("template")?;
        if template.keys().next().is_none() {
            return Err(s.fail("template", "must hold at least one property"));
        }
        Ok(Self {
            audience,
            notice,
            min_interval_seconds: s.integer("min_interval_seconds", 5, 0..=86_400)?,
            template: template
                .keys()
                .map(|name| Ok((name.clone(), template.text(name)?.unwrap_or_default())))
                .collect::<Result<_, ConfigError>>()?,
        })
    }
}

/// Static files at `/`.
#[derive(Debug, Clone, Serialize)]
pub struct SiteConfig {
    pub dir: PathBuf,
}

impl SiteConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["dir"])?;
        Ok(Self { dir: s.required_path("dir")? })
    }
}
