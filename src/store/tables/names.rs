//! What tables and columns are called in the database.

use super::Entry;
use crate::tables::schema::Column;

/// The longest name that PostgreSQL tells apart, in bytes.
const LONGEST: usize = 63;

/// The prefix keeps an app's table from meeting one of Fanfare's.
pub(in crate::store) fn table(entry: &Entry) -> String {
    bounded("app_", &entry.key, entry.number)
}

/// The prefix keeps an app's column from meeting one of ours or of the database's.
pub(in crate::store) fn column(column: &Column) -> String {
    bounded("c_", &column.name.to_ascii_lowercase(), i64::from(column.number))
}

fn bounded(prefix: &str, name: &str, number: i64) -> String {
    let whole = format!("{prefix}{name}");
    if whole.len() <= LONGEST {
        return whole;
    }
    // Checked names are ASCII.
    let end = format!("_{number}");
    format!("{}{end}", whole.get(..LONGEST - end.len()).unwrap_or(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::value::Kind;

    #[test]
    fn long_names_are_told_apart_by_their_numbers() {
        let named = |name: &str, number| column(&Column { number, name: name.to_owned(), kind: Kind::Text });
        assert_eq!(named("Text", 0), "c_text");
        let (a, b) = (named(&format!("{}a", "x".repeat(100)), 3), named(&format!("{}b", "x".repeat(100)), 14));
        assert!(a.len() == 63 && b.len() == 63 && a.ends_with("_3") && b.ends_with("_14") && a != b);
    }
}
