//! The functions of `$filter` that SQLite lacks, or has for ASCII alone. PostgreSQL's own mean the same
//! (`store/tables/condition.rs`).

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result, ffi};

use crate::model::time::Timestamp;
use crate::tables::typed::LONGEST_MADE;

/// Makes them known to a connection.
pub(in crate::store::sqlite) fn add_functions(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let texts = |name: &str, arguments, body: fn(&Context<'_>) -> Result<Option<rusqlite::types::Value>>| {
        connection.create_scalar_function(name, arguments, flags, body)
    };
    texts("fanfare_contains", 2, |c| two(c, |s, p| flag(s.contains(p))))?;
    texts("fanfare_startswith", 2, |c| two(c, |s, p| flag(s.starts_with(p))))?;
    texts("fanfare_endswith", 2, |c| two(c, |s, p| flag(s.ends_with(p))))?;
    texts("fanfare_indexof", 2, |c| two(c, |s, p| count(s.find(p).map(|at| s[..at].chars().count()))))?;
    texts("fanfare_concat", 2, concat)?;
    texts("fanfare_length", 1, |c| one(c, |s| count(Some(s.chars().count()))))?;
    texts("fanfare_tolower", 1, |c| one(c, |s| s.chars().map(lower).collect::<String>().into()))?;
    texts("fanfare_toupper", 1, |c| one(c, |s| s.chars().map(upper).collect::<String>().into()))?;
    texts("fanfare_trim", 1, |c| one(c, |s| s.trim_matches(' ').to_owned().into()))?;
    texts("fanfare_replace", 3, replace)?;
    texts("fanfare_substring", 2, substring)?;
    texts("fanfare_substring", 3, substring)?;
    texts("fanfare_floor", 1, |c| number(c, f64::floor))?;
    texts("fanfare_ceiling", 1, |c| number(c, f64::ceil))?;
    texts("fanfare_round", 1, |c| number(c, f64::round))?;
    texts("fanfare_mod", 2, |c| {
        let (a, b) = (real(c, 0)?, real(c, 1)?);
        Ok(a.zip(b).filter(|(_, b)| *b != 0.0).map(|(a, b)| (a % b).into()))
    })?;
    texts("fanfare_year", 1, |c| part(c, |t| i64::from(t.year())))?;
    texts("fanfare_month", 1, |c| part(c, |t| i64::from(t.month())))?;
    texts("fanfare_day", 1, |c| part(c, |t| i64::from(t.day())))?;
    texts("fanfare_hour", 1, |c| part(c, |t| i64::from(t.hour())))?;
    texts("fanfare_minute", 1, |c| part(c, |t| i64::from(t.minute())))?;
    texts("fanfare_second", 1, |c| part(c, |t| i64::from(t.second())))
}

type Made = Option<rusqlite::types::Value>;

fn flag(flag: bool) -> rusqlite::types::Value {
    i64::from(flag).into()
}

/// A place in characters, -1 for none.
fn count(at: Option<usize>) -> rusqlite::types::Value {
    at.map_or(-1.0, |at| at as f64).into()
}

/// A character in the other case, where that is one character: so does PostgreSQL.
fn lower(c: char) -> char {
    let mut made = c.to_lowercase();
    made.next().filter(|_| made.next().is_none()).unwrap_or(c)
}

fn upper(c: char) -> char {
    let mut made = c.to_uppercase();
    made.next().filter(|_| made.next().is_none()).unwrap_or(c)
}

fn text<'a>(c: &'a Context<'_>, at: usize) -> Result<Option<&'a str>> {
    match c.get_raw(at) {
        ValueRef::Null => Ok(None),
        value => Ok(Some(value.as_str()?)),
    }
}

fn real(c: &Context<'_>, at: usize) -> Result<Option<f64>> {
    c.get(at)
}

fn one(c: &Context<'_>, body: impl FnOnce(&str) -> rusqlite::types::Value) -> Result<Made> {
    Ok(text(c, 0)?.map(body))
}

fn two(c: &Context<'_>, body: impl FnOnce(&str, &str) -> rusqlite::types::Value) -> Result<Made> {
    Ok(text(c, 0)?.zip(text(c, 1)?).map(|(a, b)| body(a, b)))
}

fn concat(c: &Context<'_>) -> Result<Made> {
    let (Some(a), Some(b)) = (text(c, 0)?, text(c, 1)?) else { return Ok(None) };
    bounded(a.len() + b.len())?;
    Ok(Some(format!("{a}{b}").into()))
}

/// An empty text is nowhere.
fn replace(c: &Context<'_>) -> Result<Made> {
    let (Some(text), Some(from), Some(to)) = (text(c, 0)?, text(c, 1)?, text(c, 2)?) else { return Ok(None) };
    if from.is_empty() {
        return Ok(Some(text.to_owned().into()));
    }
    let times = text.matches(from).count();
    bounded((text.len() - times * from.len()).saturating_add(times.saturating_mul(to.len())))?;
    Ok(Some(text.replace(from, to).into()))
}

/// An error where a text of that many bytes is one too long to be made. Its code stays as it is without words alone.
fn bounded(bytes: usize) -> Result<()> {
    let too_big = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None);
    if bytes > LONGEST_MADE { Err(too_big()) } else { Ok(()) }
}

fn number(c: &Context<'_>, body: fn(f64) -> f64) -> Result<Made> {
    Ok(real(c, 0)?.map(|number| body(number).into()))
}

fn substring(c: &Context<'_>) -> Result<Made> {
    let Some(text) = text(c, 0)? else { return Ok(None) };
    // Null is 0, as in PostgreSQL's GREATEST.
    #[expect(clippy::cast_possible_truncation, reason = "held within the bounds")]
    let place = |number: Option<f64>| number.unwrap_or(0.0).clamp(0.0, 1e9) as usize;
    let from = place(real(c, 1)?);
    let most = if c.len() == 3 { place(real(c, 2)?) } else { usize::MAX };
    Ok(Some(text.chars().skip(from).take(most).collect::<String>().into()))
}

fn part(c: &Context<'_>, body: fn(jiff::civil::DateTime) -> i64) -> Result<Made> {
    let millis: Option<i64> = c.get(0)?;
    let time = millis.and_then(|millis| Timestamp::from_millis(millis).civil());
    Ok(time.map(|time| (body(time) as f64).into()))
}
