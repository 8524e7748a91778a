//! What strangers send: it is refused with a reason or does nothing, and is never a failure of the service.

use super::engines::on_both;
use super::*;

mod bodies;
mod filters;
mod headers;
mod ids;

/// No bad input is our fault, and what is refused says why.
fn judged(answer: &Answer, what: &str) {
    let what: String = what.chars().take(120).collect();
    assert!(answer.status < 500, "{what}: {answer:?}");
    if (400..500).contains(&answer.status) && ![409, 410, 412].contains(&answer.status) {
        assert!(answer.json()["error"].as_str().is_some_and(|text| text.len() > 5), "{what}: {answer:?}");
    }
}

fn deep(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

/// Texts that mean something to a database, a shell, a browser, a formatter or a parser.
const TEXTS: &[&str] = &[
    "'; DROP TABLE app_todoitem; --",
    "\"; DROP TABLE app_todoitem; --",
    "' OR '1'='1",
    "x' UNION SELECT key, id FROM data_table --",
    "$1",
    "$2::text",
    "?",
    "?1",
    ":name",
    "@name",
    "%s%n%x",
    "{0}",
    "{{userId}}",
    "${jndi:ldap://x}",
    "../../etc/passwd",
    "..",
    ".",
    "<script>alert(1)</script>",
    "\u{202e}\u{feff}",
    "\u{fffd}\u{ffff}",
    "💡é\u{301}",
    "a\tb",
    "a\r\nx-evil: 1",
    "\0",
    "NULL",
    "null",
    "undefined",
    "NaN",
    "-0",
    "1e999",
    "0x10",
    "id",
    "rowid",
    "ctid",
    "xmin",
    "tableoid",
    "sqlite_master",
    "pg_catalog.pg_user",
    "pg_sleep(10)",
    "randomblob(1000000000)",
    "load_extension('x')",
    "/* */",
    "\\",
    "'",
    "''",
    "\"",
    "`",
    "",
    " ",
];
