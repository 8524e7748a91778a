//! What a field of a row holds.

use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

use crate::model::time::Timestamp;

/// The type of a column. A field is of its column's type or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Boolean,
    /// A point in time, in milliseconds: what is stored is what is compared and what is shown (spec 3.3 R3).
    Date,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Text, Self::Number, Self::Boolean, Self::Date];

    /// The number that the store keeps; never changes.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The kind of a stored number.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// The word of the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
        }
    }

    /// The kind that the first value of a new column gives it (spec 2.9). Text that looks like a date stays text, so
    /// that it comes back as it was.
    pub fn of(json: &Json) -> Option<Self> {
        match json {
            Json::String(_) => Some(Self::Text),
            Json::Number(_) => Some(Self::Number),
            Json::Bool(_) => Some(Self::Boolean),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number that is not a whole one of 64 bits ([`Value::number`]).
    Float(f64),
    Text(String),
    Time(Timestamp),
}

/// 2^63, where whole numbers of 64 bits end.
const WHOLE_END: f64 = 9_223_372_036_854_775_808.0;

impl Value {
    /// A number in its one form: whole ones are [`Value::Int`], so that numbers are equal when their values are.
    pub fn number(number: f64) -> Self {
        if number.fract() == 0.0 && (-WHOLE_END..WHOLE_END).contains(&number) {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number within the bounds")]
            return Self::Int(number as i64);
        }
        Self::Float(number)
    }

    /// Takes a field as a client sent it; the error says what the column expects.
    pub fn from_json(kind: Kind, json: &Json) -> Result<Self, &'static str> {
        match (kind, json) {
            (_, Json::Null) => Ok(Self::Null),
            (Kind::Text, Json::String(text)) => Self::text(text),
            (Kind::Text, _) => Err("expects a string"),
            (Kind::Number, Json::Number(number)) => Self::from_number(number).ok_or("expects a number of 64 bits"),
            (Kind::Number, _) => Err("expects a number"),
            (Kind::Boolean, Json::Bool(flag)) => Ok(Self::Bool(*flag)),
            (Kind::Boolean, _) => Err("expects true or false"),
            (Kind::Date, Json::String(text)) => instant(text).map(Self::Time).ok_or(DATE_RULE),
            (Kind::Date, _) => Err(DATE_RULE),
        }
    }

    fn text(text: &str) -> Result<Self, &'static str> {
        // PostgreSQL has no such character in its texts.
        if text.contains('\0') { Err("must not contain U+0000") } else { Ok(Self::Text(text.to_owned())) }
    }

    fn from_number(number: &Number) -> Option<Self> {
        number.as_i64().map(Self::Int).or_else(|| number.as_f64().filter(|n| n.is_finite()).map(Self::number))
    }

    /// As clients get it: dates in UTC with three fraction digits and `Z` (spec 2.1).
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Int(number) => Json::from(*number),
            Self::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Self::Text(text) => Json::String(text.clone()),
            Self::Time(time) => Json::String(time.to_string()),
        }
    }

    /// Whether it is null.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

const DATE_RULE: &str = "expects an ISO 8601 date and time between the years 1 and 9999";

/// Reads a point in time: ISO 8601 with or without time of day, fraction and zone; without a zone it is UTC.
pub fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let whole;
    let text = match text.len() {
        10 => {
            whole = format!("{text}T00:00:00Z");
            whole.as_str()
        }
        _ => text,
    };
    Timestamp::parse(text).filter(|time| (FIRST..=LAST).contains(&time.millis()))
}

/// 0001-01-01T00:00:00.000Z: what .NET calls the smallest date.
const FIRST: i64 = -62_135_596_800_000;
/// 9999-12-31T23:59:59.999Z.
const LAST: i64 = 253_402_300_799_999;

/// Compares an exact number with another one; numbers of both forms are in one order.
pub fn compare_numbers(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        // A float is no whole number of 64 bits: beyond them its sign decides, within them its whole part does.
        (Value::Int(a), Value::Float(b)) => Some(against_fraction(*a, *b)),
        (Value::Float(a), Value::Int(b)) => Some(against_fraction(*b, *a).reverse()),
        _ => None,
    }
}

fn against_fraction(whole: i64, fraction: f64) -> Ordering {
    if fraction >= WHOLE_END {
        return Ordering::Less;
    }
    if fraction < -WHOLE_END {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the bounds just checked")]
    let floor = fraction.floor() as i64;
    if whole <= floor { Ordering::Less } else { Ordering::Greater }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_of_their_columns_type_or_null() {
        for (kind, json, expected) in [
            (Kind::Text, json!("a"), Ok(Value::Text("a".into()))),
            (Kind::Text, json!(5), Err("expects a string")),
            (Kind::Text, json!("a\u{0}"), Err("must not contain U+0000")),
            (Kind::Number, json!(2.0), Ok(Value::Int(2))),
            (Kind::Number, json!(3.5), Ok(Value::Float(3.5))),
            (Kind::Number, json!(i64::MAX), Ok(Value::Int(i64::MAX))),
            (Kind::Number, json!(u64::MAX), Ok(Value::Float(18_446_744_073_709_551_615.0))),
            (Kind::Number, json!("abc"), Err("expects a number")),
            (Kind::Boolean, json!("yes"), Err("expects true or false")),
            (Kind::Boolean, json!(false), Ok(Value::Bool(false))),
            (Kind::Date, json!("not a date"), Err(DATE_RULE)),
            (Kind::Date, json!("1970-01-01T00:00:01Z"), Ok(Value::Time(Timestamp::from_millis(1_000)))),
            (Kind::Date, Json::Null, Ok(Value::Null)),
        ] {
            assert_eq!(Value::from_json(kind, &json), expected, "{json}");
        }
    }

    #[test]
    fn a_date_is_shown_with_three_digits() {
        for (given, shown) in [
            ("2024-01-02T03:04:09.123Z", "2024-01-02T03:04:09.123Z"),
            ("2024-01-02T03:04:09Z", "2024-01-02T03:04:09.000Z"),
            ("2024-01-02T05:04:09.1239999+02:00", "2024-01-02T03:04:09.123Z"),
            ("2024-01-02", "2024-01-02T00:00:00.000Z"),
            ("0001-01-01T00:00:00", "0001-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999Z"),
            ("9999-12-31", "9999-12-31T00:00:00.000Z"),
        ] {
            assert_eq!(Value::from_json(Kind::Date, &json!(given)).unwrap().to_json(), json!(shown));
        }
    }

    #[test]
    fn numbers_of_both_forms_are_in_one_order() {
        let numbers = [-1e300, -9.3e18, -2.5, -2.0, -1.5, 0.0, 0.5, 1.0, 1.5, 9e18, 9.3e18, 1e300].map(Value::number);
        for (at, a) in numbers.iter().enumerate() {
            for (other, b) in numbers.iter().enumerate() {
                assert_eq!(compare_numbers(a, b), Some(at.cmp(&other)), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn kinds_have_numbers() {
        assert!(Kind::ALL.into_iter().all(|kind| Kind::from_code(kind.code()) == Some(kind)));
        assert_eq!((Kind::from_code(4), Kind::from_code(-1)), (None, None));
    }
}
