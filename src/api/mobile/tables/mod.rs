//! `/tables`: the apps' rows (`mobile-apps.md` sections 2 and 3).
//!
//! - [`ask`]: what every request here says: its dialect, its table, its caller.
//! - [`dialect`]: which generation of the client libraries speaks. It decides the shape and the status of answers alone.
//! - [`list`], [`links`]: GET of a table.
//! - [`rows`]: one row: read, insert, change, delete, undelete.
//! - [`answer`]: rows as clients read them, and what is refused.
//! - [`change`]: broadcasts when rows change.
//!
//! The rules of queries, stamps and conflicts are in [`crate::tables`].

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::routing::get;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value as Json};
use tokio::sync::Notify;

use super::super::Route;
use crate::config::{ColumnType, ConfigError, Conflict as ConfiguredConflict, MobileConfig, TableConfig};
use crate::store::{Store, StoreError, TableError};
use crate::tables::definition::{Conflict, Definition, OWNER};
use crate::tables::value::Kind;

mod answer;
mod ask;
mod change;
mod dialect;
mod links;
mod list;
mod rows;

pub use change::work;

pub(super) fn routes() -> Vec<Route> {
    let one = get(rows::read).patch(rows::merge).put(rows::replace).delete(rows::delete).post(rows::undelete);
    vec![
        ("/tables/{table}", get(list::list).post(rows::insert).patch(rows::merge_by_body)),
        ("/tables/{table}/{id}", one),
    ]
}

/// Nothing here is to be kept by a cache (OBS 10).
pub(super) fn uncached(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::EXPIRES, HeaderValue::from_static("0"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

/// A table, as configured.
#[derive(Debug)]
pub(super) struct Table {
    config: TableConfig,
    definition: Arc<Definition>,
}

/// The tables of a configuration.
#[derive(Debug, Default)]
pub struct Tables {
    /// By the name in small letters.
    by_key: BTreeMap<String, Arc<Table>>,
    /// A row changed whose table tells of it.
    changed: Notify,
}

impl Tables {
    /// The tables that a configuration asks for; in the store they are made where they are missing.
    pub async fn open(config: &MobileConfig, store: &dyn Store) -> Result<Self, OpenError> {
        let mut by_key = BTreeMap::new();
        for (name, table) in &config.tables {
            let definition = Arc::new(definition(name, table));
            let key = |key: &str| format!("mobile.tables.{name}.{key}");
            let refused = |at: &str, rule: String, got: String| ConfigError { key: key(at), rule, got };
            let seed = match &table.seed_file {
                None => Vec::new(),
                Some(file) => read_seed(file).map_err(|why| {
                    refused(
                        "seed_file",
                        format!("must hold a JSON array of objects; {why}"),
                        file.display().to_string(),
                    )
                })?,
            };
            match store.tables().open_table(&definition, seed).await {
                Ok(()) => {}
                Err(TableError::Store(error)) => return Err(error.into()),
                Err(TableError::Field(error)) => {
                    let file = table.seed_file.as_ref().map(|file| file.display().to_string());
                    let rule = format!("must hold rows for this table; {error}");
                    return Err(refused("seed_file", rule, file.unwrap_or_default()).into());
                }
                Err(error) => {
                    let key = format!("mobile.tables.{name}");
                    let rule = format!("must go with the table that is there; {error}");
                    return Err(ConfigError { key, rule, got: "a section".to_owned() }.into());
                }
            }
            by_key.insert(definition.key(), Arc::new(Table { config: table.clone(), definition }));
        }
        Ok(Self { by_key, changed: Notify::new() })
    }

    fn find(&self, name: &str) -> Option<Arc<Table>> {
        self.by_key.get(&name.to_ascii_lowercase()).cloned()
    }
}

/// The tables could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn read_seed(file: &std::path::Path) -> Result<Vec<Map<String, Json>>, String> {
    let text = std::fs::read(file).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

fn definition(name: &str, table: &TableConfig) -> Definition {
    let kind = |of: ColumnType| match of {
        ColumnType::String => Kind::Text,
        ColumnType::Number => Kind::Number,
        ColumnType::Boolean => Kind::Boolean,
        ColumnType::Date => Kind::Date,
    };
    let mut columns: Vec<_> = table.columns.iter().map(|(name, of)| (name.clone(), kind(*of))).collect();
    if table.per_user && !columns.iter().any(|(name, _)| name.eq_ignore_ascii_case(OWNER)) {
        columns.push((OWNER.to_owned(), Kind::Text));
    }
    Definition {
        name: name.to_owned(),
        soft_delete: table.soft_delete,
        per_user: table.per_user,
        dynamic_schema: table.dynamic_schema,
        auto_increment: table.auto_increment,
        conflict: match table.conflict {
            ConfiguredConflict::Fail => Conflict::Fail,
            ConfiguredConflict::ClientWins => Conflict::ClientWins,
            ConfiguredConflict::ServerWins => Conflict::ServerWins,
            ConfiguredConflict::Merge => Conflict::Merge,
        },
        columns,
        notice: table.on_change.as_ref().map(|change| change.notice.clone()),
    }
}
