//! Real answers against the shapes that the description gives them, so that shapes written by hand cannot drift.
//!
//! The checker is stricter than the standard wants: a member that the shape does not name is a fault too, and so is a
//! keyword that it does not know. An object without named members is anything.

use serde_json::{Map, Value};

/// The description, and what was seen of it.
pub struct Described {
    description: Value,
    /// Method, path and status of each answer that was checked.
    pub seen: std::collections::BTreeSet<(String, String, String)>,
}

impl Described {
    pub fn new(description: Value) -> Self {
        Self { description, seen: std::collections::BTreeSet::new() }
    }

    /// Checks an answer of an operation: that its status is described, and each of its documents.
    pub fn check(&mut self, method: &str, path: &str, status: u16, documents: &[Value]) {
        let method = method.to_ascii_lowercase();
        let place = format!("{method} {path} {status}");
        let responses = &self.description["paths"][path][&method]["responses"];
        let response = &responses[status.to_string()];
        assert!(response.is_object(), "{place} is not described: {responses}");
        let content = response["content"].as_object();
        let schema = content.and_then(|content| content.values().next()).map(|content| &content["schema"]);
        match schema {
            None => assert!(documents.is_empty(), "{place} is described without a body: {documents:?}"),
            Some(schema) => {
                assert!(!documents.is_empty(), "{place} is described with a body");
                for document in documents {
                    if let Err(fault) = self.matches(schema, document, "$") {
                        panic!("{place}: {fault}\n{document:#}");
                    }
                }
            }
        }
        self.seen.insert((method, path.to_owned(), status.to_string()));
    }

    fn matches(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = schema.as_object().ok_or_else(|| format!("{at}: the shape is no object: {schema}"))?;
        for (keyword, wanted) in schema {
            match keyword.as_str() {
                "$ref" => {
                    let name = wanted.as_str().unwrap_or_default().trim_start_matches('#');
                    let named = self.description.pointer(name).ok_or_else(|| format!("{at}: there is no {name}"))?;
                    self.matches(named, value, at)?;
                }
                "type" => is_of_type(wanted, value, at)?,
                "enum" if !wanted.as_array().is_some_and(|words| words.contains(value)) => {
                    return Err(format!("{at}: {value} is none of {wanted}"));
                }
                "oneOf" => {
                    let tried: Vec<_> = list(wanted).iter().map(|schema| self.matches(schema, value, at)).collect();
                    if tried.iter().filter(|tried| tried.is_ok()).count() != 1 {
                        return Err(format!("{at}: not exactly one shape fits: {tried:?}"));
                    }
                }
                "required" => {
                    let object = value.as_object();
                    let has = |name: &str| object.is_none_or(|object| object.contains_key(name));
                    let missing = list(wanted).iter().find(|name| !name.as_str().is_some_and(has));
                    missing.map_or(Ok(()), |name| Err(format!("{at}: {name} is missing")))?;
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.matches(wanted, item, &format!("{at}[{index}]"))?;
                    }
                }
                "properties" => self.members(wanted, schema.get("additionalProperties"), value, at)?,
                "additionalProperties" if !schema.contains_key("properties") && wanted.is_object() => {
                    for (name, value) in value.as_object().into_iter().flatten() {
                        self.matches(wanted, value, &format!("{at}.{name}"))?;
                    }
                }
                "format" => is_of_format(wanted, value, at)?,
                "minimum" if value.as_f64().zip(wanted.as_f64()).is_some_and(|(value, least)| value < least) => {
                    return Err(format!("{at}: {value} is below {wanted}"));
                }
                "enum"
                | "additionalProperties"
                | "propertyNames"
                | "minimum"
                | "maximum"
                | "description"
                | "examples"
                | "default"
                | "title"
                | "minLength"
                | "maxLength"
                | "minItems"
                | "writeOnly" => {}
                unknown => return Err(format!("{at}: the checker does not know {unknown}")),
            }
        }
        Ok(())
    }

    fn members(&self, named: &Value, rest: Option<&Value>, value: &Value, at: &str) -> Result<(), String> {
        let none = Map::new();
        let named = named.as_object().unwrap_or(&none);
        for (name, value) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            let schema = named.get(name).or(rest.filter(|rest| rest.is_object()));
            self.matches(schema.ok_or_else(|| format!("{at} is not described"))?, value, &at)?;
        }
        Ok(())
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_of_type(wanted: &Value, value: &Value, at: &str) -> Result<(), String> {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |word: &Value| word == kind || word == "number" && kind == "integer";
    match fits(wanted) || list(wanted).iter().any(fits) {
        true => Ok(()),
        false => Err(format!("{at}: {value} is no {wanted}")),
    }
}

fn is_of_format(wanted: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(text) = value.as_str() else { return Ok(()) };
    let fits = match wanted.as_str() {
        Some("date-time") => is_time(text),
        Some("uuid") => fanfare::model::id::BroadcastId::parse(text).is_some(),
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("{at}: {text:?} is no {wanted}")) }
}

/// RFC 3339 in UTC, in form.
fn is_time(text: &str) -> bool {
    let form = text.replace(|letter: char| letter.is_ascii_digit(), "0");
    let fraction = form.strip_prefix("0000-00-00T00:00:00").and_then(|rest| rest.strip_suffix('Z'));
    fraction.is_some_and(|fraction| {
        fraction.is_empty() || fraction.strip_prefix('.').is_some_and(|digits| digits.trim_matches('0').is_empty())
    })
}

#[test]
fn the_checker_finds_faults() {
    let description = serde_json::json!({
        "paths": {"/a": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/shape"}}}}}}}},
        "shape": {
            "type": "object", "required": ["n"],
            "properties": {
                "n": {"type": ["integer", "null"], "minimum": 1}, "w": {"enum": ["x"]},
                "at": {"type": "string", "format": "date-time"}, "l": {"items": {"type": "string"}},
            },
        },
    });
    let described = Described::new(description);
    let shape = serde_json::json!({"$ref": "#/shape"});
    let check = |text: &str| described.matches(&shape, &serde_json::from_str(text).unwrap(), "$");
    assert_eq!(check(r#"{"n":1,"w":"x","at":"2027-01-01T09:00:00Z","l":["a"]}"#), Ok(()));
    assert_eq!(check(r#"{"n":1,"at":"9999-12-31T23:59:59.9999999Z"}"#), Ok(()));
    assert_eq!(check(r#"{"n":null}"#), Ok(()));
    for (text, fault) in [
        ("[]", "is no"),
        ("{}", "\"n\" is missing"),
        (r#"{"n":"1"}"#, "$.n"),
        (r#"{"n":0}"#, "below 1"),
        (r#"{"n":1,"w":"y"}"#, "none of"),
        (r#"{"n":1,"at":"soon"}"#, "date-time"),
        (r#"{"n":1,"l":["a",2]}"#, "$.l[1]"),
        (r#"{"n":1,"more":2}"#, "$.more is not described"),
    ] {
        let found = check(text).unwrap_err();
        assert!(found.contains(fault), "{text}: {found}");
    }
}
