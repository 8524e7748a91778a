//! The configured tables as OpenAPI 2.0 describes them, in the shape that tools of the field know (OBS 191): six
//! operations a table, the version in a required header, users by `X-ZUMO-AUTH`.

use serde_json::{Map, Value, json};

use super::super::here::Here;
use crate::config::{Access, ColumnType, MobileConfig, TableConfig};

/// The generation of the protocol that is described.
const VERSION: &str = "2.0.0";

/// What an operation takes and gives besides the version.
struct Operation {
    /// Before the table's name it is the operation's id.
    word: &'static str,
    method: &'static str,
    of_item: bool,
    summary: &'static str,
    takes_item: bool,
    success: &'static str,
    /// Further statuses that answer with an item.
    conflicts: &'static [&'static str],
    access: fn(&TableConfig) -> Access,
}

const OPERATIONS: [Operation; 6] = [
    Operation {
        word: "Query",
        method: "get",
        of_item: false,
        summary: "Reads rows",
        takes_item: false,
        success: "200",
        conflicts: &[],
        access: |table| table.permissions.read,
    },
    Operation {
        word: "Insert",
        method: "post",
        of_item: false,
        summary: "Inserts a row",
        takes_item: true,
        success: "201",
        conflicts: &["409"],
        access: |table| table.permissions.insert,
    },
    Operation {
        word: "Find",
        method: "get",
        of_item: true,
        summary: "Reads one row",
        takes_item: false,
        success: "200",
        conflicts: &[],
        access: |table| table.permissions.read,
    },
    Operation {
        word: "Undelete",
        method: "post",
        of_item: true,
        summary: "Brings a deleted row back",
        takes_item: false,
        success: "201",
        conflicts: &["409", "412"],
        access: |table| table.permissions.undelete,
    },
    Operation {
        word: "Update",
        method: "patch",
        of_item: true,
        summary: "Changes a row",
        takes_item: true,
        success: "200",
        conflicts: &["409", "412"],
        access: |table| table.permissions.update,
    },
    Operation {
        word: "Delete",
        method: "delete",
        of_item: true,
        summary: "Deletes a row",
        takes_item: false,
        success: "200",
        conflicts: &["409", "412"],
        access: |table| table.permissions.delete,
    },
];

/// Parameters of a query: name, type and what it is.
const QUERY: [(&str, &str, &str); 6] = [
    ("$filter", "string", "Which rows (OData)"),
    ("$orderby", "string", "In which order"),
    ("$skip", "integer", "How many rows to leave out"),
    ("$top", "integer", "How many rows at most"),
    ("$select", "string", "Which columns"),
    ("$inlinecount", "string", "allpages: with the count of all rows"),
];

/// The description, for callers that came by this address.
pub(super) fn describe(config: &MobileConfig, here: &Here) -> Value {
    let (scheme, rest) = here.0.split_once("://").unwrap_or(("https", &here.0));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut definitions = Map::new();
    definitions.insert(
        "errorType".to_owned(),
        json!({"type": "object", "properties": {
            "error": {"type": "string", "description": "What is wrong"},
            "stack": {"type": "string", "description": "Never sent by this server"},
        }}),
    );
    let mut paths = Map::new();
    for (name, table) in &config.tables {
        definitions.insert(name.clone(), definition(table));
        let of = |of_item: bool| {
            let of_path = OPERATIONS.iter().filter(|operation| operation.of_item == of_item);
            of_path.map(|it| (it.method.to_owned(), operation(it, name, table))).collect::<Map<_, _>>()
        };
        paths.insert(format!("/tables/{name}"), of(false).into());
        paths.insert(format!("/tables/{name}/{{id}}"), of(true).into());
    }
    let tags: Vec<Value> =
        config.tables.keys().map(|name| json!({"name": name, "description": format!("The table {name}")})).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": "Fanfare", "version": VERSION},
        "host": host,
        "basePath": format!("/{path}"),
        "schemes": [scheme],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "tags": tags,
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {"EasyAuth": {"type": "apiKey", "in": "header", "name": "x-zumo-auth"}},
    })
}

fn operation(it: &Operation, name: &str, table: &TableConfig) -> Value {
    let item = json!({"$ref": format!("#/definitions/{name}")});
    let mut parameters = Vec::new();
    if it.of_item {
        let about = "The row's id";
        parameters.push(json!({"name": "id", "in": "path", "required": true, "type": "string", "description": about}));
    }
    if it.takes_item {
        let about = "The row";
        parameters.push(json!({"name": "body", "in": "body", "required": true, "schema": item, "description": about}));
    }
    if it.word == "Query" {
        let query = |(name, kind, about): &(&str, &str, &str)| json!({"name": name, "in": "query", "required": false, "type": kind, "description": about});
        parameters.extend(QUERY.iter().map(query));
    }
    parameters.push(json!({
        "name": "zumo-api-version", "in": "header", "required": true, "type": "string", "default": VERSION,
        "description": "The generation of the protocol",
    }));
    let given = if it.word == "Query" { json!({"type": "array", "items": item}) } else { item.clone() };
    let mut responses = Map::new();
    responses.insert(it.success.to_owned(), json!({"description": "Done", "schema": given}));
    for status in it.conflicts {
        let about = "The row has another version than the caller has seen, or is there already";
        responses.insert((*status).to_owned(), json!({"description": about, "schema": item}));
    }
    let error = json!({"$ref": "#/definitions/errorType"});
    for (status, about) in [
        ("400", "Something in the request breaks a rule"),
        ("404", "There is no such table or row"),
        ("405", "The operation is switched off for this table"),
        ("500", "A fault of the service"),
    ] {
        responses.insert(status.to_owned(), json!({"description": about, "schema": error}));
    }
    let security = if needs_user((it.access)(table), table) { json!([{"EasyAuth": []}]) } else { json!([]) };
    json!({
        "tags": [name],
        "operationId": format!("{}{}", it.word, with_capital(name)),
        "summary": format!("{} of {name}", it.summary),
        "parameters": parameters,
        "responses": responses,
        "security": security,
    })
}

/// Rows that belong to users are nobody's without one.
fn needs_user(access: Access, table: &TableConfig) -> bool {
    access == Access::Authenticated || (access == Access::Anonymous && table.per_user)
}

/// The names of tables are ASCII.
fn with_capital(name: &str) -> String {
    let (first, rest) = name.split_at_checked(1).unwrap_or_default();
    first.to_ascii_uppercase() + rest
}

fn definition(table: &TableConfig) -> Value {
    let stamp = || json!({"type": "string", "format": "date-time", "readOnly": true});
    let id = if table.auto_increment { json!({"type": "integer"}) } else { json!({"type": "string"}) };
    let mut properties = Map::new();
    properties.insert("id".to_owned(), id);
    properties.insert("createdAt".to_owned(), stamp());
    properties.insert("updatedAt".to_owned(), stamp());
    properties.insert("version".to_owned(), json!({"type": "string", "readOnly": true}));
    if table.soft_delete {
        properties.insert("deleted".to_owned(), json!({"type": "boolean"}));
    }
    for (name, column) in &table.columns {
        let kind = match column {
            ColumnType::String => json!({"type": "string"}),
            ColumnType::Number => json!({"type": "number"}),
            ColumnType::Boolean => json!({"type": "boolean"}),
            ColumnType::Date => json!({"type": "string", "format": "date-time"}),
        };
        properties.insert(name.clone(), kind);
    }
    if table.per_user {
        properties.insert(crate::tables::definition::OWNER.to_owned(), json!({"type": "string", "readOnly": true}));
    }
    json!({"type": "object", "properties": properties})
}

/// A description for readers. What stands in it are names of tables and columns, which hold letters, digits and `_` alone.
pub(super) fn as_html(described: &Value) -> String {
    let mut html = String::from("<p>For programs: <a href=\"/swagger\">/swagger</a></p>\n");
    let objects = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (name, definition) in objects(&described["definitions"]).iter().filter(|(name, _)| *name != "errorType") {
        let rows = objects(&described["paths"]).into_iter().filter(|(path, _)| {
            path.strip_prefix("/tables/").and_then(|rest| rest.split('/').next()) == Some(name.as_str())
        });
        let mut operations = String::new();
        for (path, methods) in rows {
            for (method, it) in objects(&methods) {
                let user = if it["security"].as_array().is_some_and(|ways| !ways.is_empty()) { "yes" } else { "no" };
                operations.push_str(&format!(
                    "<tr><td>{}</td><td><code>{path}</code></td><td>{}</td><td>{user}</td></tr>\n",
                    method.to_ascii_uppercase(),
                    it["summary"].as_str().unwrap_or_default(),
                ));
            }
        }
        let columns: String = objects(&definition["properties"])
            .into_iter()
            .map(|(column, of)| {
                let kind = of["format"].as_str().or(of["type"].as_str()).unwrap_or_default();
                format!("<tr><td>{column}</td><td>{kind}</td></tr>\n")
            })
            .collect();
        html.push_str(&format!(
            "<section><h2>{name}</h2>\n<table><caption>Operations</caption><thead><tr><th scope=\"col\">Method</th>\
             <th scope=\"col\">Path</th><th scope=\"col\">What it does</th><th scope=\"col\">Needs a user</th></tr></thead>\
             <tbody>\n{operations}</tbody></table>\n<table><caption>Columns</caption><thead><tr><th scope=\"col\">Name</th>\
             <th scope=\"col\">Type</th></tr></thead><tbody>\n{columns}</tbody></table></section>\n"
        ));
    }
    html
}
