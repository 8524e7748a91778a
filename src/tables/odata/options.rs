//! The options of a list (spec 2.2). Names go without case; what none of them is, is the app's own and stays in links.

use super::cursor::Cursor;
use super::expr::Expr;
use super::parser::parse;
use crate::model::field::FieldError;

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub column: String,
    pub descending: bool,
}

/// A list as its query asks for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListOptions {
    pub filter: Option<Expr>,
    pub order: Vec<Order>,
    pub select: Option<Vec<String>>,
    /// What `$top` says; whether it is a number is the dialect's business.
    pub top: Option<String>,
    pub skip: Option<String>,
    /// `$inlinecount=allpages`.
    pub inline_count: bool,
    /// `$count=true`.
    pub count: bool,
    /// `__includeDeleted=true`.
    pub deleted: bool,
    /// Where an earlier page ended.
    pub after: Option<Cursor>,
}

/// The option that carries a cursor; ours alone.
pub const AFTER: &str = "__after";

const MOST_KEYS: usize = 32;

impl ListOptions {
    /// Reads the options among the decoded members of a query.
    pub fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, FieldError> {
        let mut options = Self::default();
        for (name, value) in pairs {
            match name.to_ascii_lowercase().as_str() {
                "$filter" if value.trim().is_empty() => {}
                "$filter" => {
                    options.filter = Some(parse(value).map_err(|error| FieldError::new("$filter", error.to_string()))?);
                }
                "$orderby" => options.order = order(value)?,
                "$select" if value.trim().is_empty() => {}
                "$select" => options.select = Some(select(value)?),
                "$top" => options.top = Some(value.to_owned()),
                "$skip" => options.skip = Some(value.to_owned()),
                "$inlinecount" => options.inline_count = flag("$inlinecount", value, "allpages", "none")?,
                "$count" => options.count = flag("$count", value, "true", "false")?,
                "__includedeleted" => options.deleted = value.eq_ignore_ascii_case("true"),
                "$expand" => return Err(FieldError::new("$expand", "is not supported: rows hold no other rows")),
                AFTER => {
                    let rule = "must be as an earlier page gave it";
                    options.after = Some(Cursor::parse(value).ok_or_else(|| FieldError::new(AFTER, rule))?);
                }
                _ => {}
            }
        }
        Ok(options)
    }

    /// Whether the list is in the order of the stamps alone: how every client pulls (spec 3.1).
    pub fn is_by_stamp(&self) -> bool {
        matches!(&self.order[..], [key] if !key.descending && key.column.eq_ignore_ascii_case("updatedAt"))
    }
}

fn flag(name: &'static str, value: &str, yes: &'static str, no: &'static str) -> Result<bool, FieldError> {
    match value {
        _ if value.eq_ignore_ascii_case(yes) => Ok(true),
        _ if value.eq_ignore_ascii_case(no) || value.is_empty() => Ok(false),
        _ => Err(FieldError::new(name, format!("must be {yes} or {no}"))),
    }
}

fn names(option: &'static str, value: &str) -> Result<Vec<String>, FieldError> {
    let names: Vec<_> = value.split(',').map(|name| name.trim().to_owned()).collect();
    if names.len() > 1_024 || names.iter().any(String::is_empty) {
        return Err(FieldError::new(option, "must be names of columns with commas between them"));
    }
    Ok(names)
}

fn select(value: &str) -> Result<Vec<String>, FieldError> {
    let mut names = names("$select", value)?;
    let all = names.clone();
    let mut at = 0;
    names.retain(|name| {
        at += 1;
        !all[..at - 1].iter().any(|earlier| earlier.eq_ignore_ascii_case(name))
    });
    Ok(names)
}

fn order(value: &str) -> Result<Vec<Order>, FieldError> {
    if value.trim().is_empty() {
        return Ok(Vec::new());
    }
    let keys = names("$orderby", value)?;
    if keys.len() > MOST_KEYS {
        return Err(FieldError::new("$orderby", format!("must have at most {MOST_KEYS} keys")));
    }
    keys.iter()
        .map(|key| {
            let mut words = key.split_whitespace();
            let column = words.next().unwrap_or_default().to_owned();
            let descending = match (words.next(), words.next()) {
                (None, _) => false,
                (Some(word), None) if word.eq_ignore_ascii_case("asc") => false,
                (Some(word), None) if word.eq_ignore_ascii_case("desc") => true,
                _ => {
                    return Err(FieldError::new(
                        "$orderby",
                        "must be NAME, NAME asc or NAME desc, with commas between",
                    ));
                }
            };
            Ok(Order { column, descending })
        })
        .collect()
}
