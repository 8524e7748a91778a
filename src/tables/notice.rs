//! Whom a change of a row is news to (`[mobile.tables.*.on_change]`).

use super::row::Row;
use super::schema::Schema;
use super::value::Value;
use crate::model::audience::{Audience, AudienceLimits};
use crate::model::field::FieldError;
use crate::model::tag::Tag;

/// An audience in which `{{field}}` stands for the changed row's field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The name of a column, or `id`.
    Field(String),
}

impl Notice {
    /// Reads an audience with fields in it; the innermost pair of braces counts, so that `$UserId:{{{userId}}}` is a
    /// brace, a field and a brace. What it would be with a value in each place must be an audience.
    pub fn parse(text: &str, limits: &AudienceLimits) -> Result<Self, FieldError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(end) = rest.find("}}") {
            let Some(begin) = rest[..end].rfind("{{") else {
                parts.push(Part::Text(rest[..end + 2].to_owned()));
                rest = &rest[end + 2..];
                continue;
            };
            let name = rest[begin + 2..end].trim();
            if !super::schema::is_identifier(name) {
                let rule = "must hold the name of a column between {{ and }}";
                return Err(FieldError::new("audience", rule));
            }
            parts.push(Part::Text(rest[..begin].to_owned()));
            parts.push(Part::Field(name.to_owned()));
            rest = &rest[end + 2..];
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        let notice = Self(parts);
        let sample = notice.filled(|_| Some("a".to_owned())).unwrap_or_default();
        Audience::parse(&sample, limits).map_err(|error| FieldError::new("audience", error.to_string()))?;
        Ok(notice)
    }

    /// The audiences that a change is news to: that of the row before and that of the row after. None where a field is
    /// null, is not there, or cannot stand in a tag.
    pub fn audiences(&self, schema: &Schema, before: Option<&Row>, after: Option<&Row>) -> Vec<String> {
        let of = |row: &Row| self.filled(|name| in_tag(name, schema, row));
        let mut audiences: Vec<_> = before.into_iter().chain(after).filter_map(of).collect();
        audiences.dedup();
        audiences
    }

    fn filled(&self, value: impl Fn(&str) -> Option<String>) -> Option<String> {
        let texts = self.0.iter().map(|part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Field(name) => value(name),
        });
        texts.collect()
    }
}

/// A field's value, where it can stand in a tag.
fn in_tag(name: &str, schema: &Schema, row: &Row) -> Option<String> {
    let text = match name {
        "id" => row.id.to_string(),
        _ => match row.fields.get(schema.find(name)?)? {
            Value::Text(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Float(_) | Value::Time(_) => return None,
        },
    };
    Tag::parse(&text, Tag::MAX_LENGTH).is_ok().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;
    use crate::tables::row::RowId;
    use crate::tables::value::Kind;

    fn limits() -> AudienceLimits {
        AudienceLimits { terms: 100, depth: 10, tag_length: 120 }
    }

    fn row(owner: Value) -> Row {
        let at = Timestamp::from_millis(1);
        Row { id: RowId::Text("r-1".into()), created: at, updated: at, deleted: false, fields: vec![owner] }
    }

    #[test]
    fn the_innermost_braces_are_a_field() {
        let mut schema = Schema::default();
        schema.add("userId", Kind::Text);
        let owned = |text: &str| row(Value::Text(text.into()));
        for (notice, row, expected) in [
            ("$UserId:{{{userId}}}", owned("sid:1"), Some("$UserId:{sid:1}")),
            ("list && row:{{id}} && !user:{{USERID}}", owned("u"), Some("list && row:r-1 && !user:u")),
            ("everybody", owned("u"), Some("everybody")),
            ("$UserId:{{{userId}}}", owned("a b"), None),
            ("$UserId:{{{userId}}}", owned("a}||b"), None),
            ("$UserId:{{{userId}}}", row(Value::Null), None),
            ("x:{{other}}", owned("u"), None),
        ] {
            let notice = Notice::parse(notice, &limits()).unwrap();
            let audiences = notice.audiences(&schema, None, Some(&row));
            assert_eq!(audiences.first().map(String::as_str), expected);
        }
    }

    #[test]
    fn a_row_that_moves_is_news_on_both_sides() {
        let mut schema = Schema::default();
        schema.add("list", Kind::Text);
        let notice = Notice::parse("list:{{list}}", &limits()).unwrap();
        let (before, after) = (row(Value::Text("a".into())), row(Value::Text("b".into())));
        assert_eq!(notice.audiences(&schema, Some(&before), Some(&after)), ["list:a", "list:b"]);
        assert_eq!(notice.audiences(&schema, Some(&before), Some(&before)), ["list:a"]);
    }

    #[test]
    fn what_could_never_be_an_audience_is_refused() {
        for wrong in ["a && ", "{{a b}}", "{{}}", "x:{{a}} ||", "(a"] {
            assert!(Notice::parse(wrong, &limits()).is_err(), "{wrong}");
        }
    }
}
