//! An entry for fuzzers and property tests: any bytes as a template.

use super::compiled::Form;
use super::{Compiled, LONGEST_RENDERED, Mode, Properties, TemplateContent, Values};

/// Takes bytes for a template's body, and the same for every property and a header, and checks what must hold of all: an
/// answer, of bounded length, that is well-formed where there is one. The error says what did not.
pub fn exercise(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let content = TemplateContent {
        body: text.clone(),
        headers: [("x-any".to_owned(), text.chars().take(256).collect())].into(),
        expiry: None,
    };
    let Ok(compiled) = Compiled::new(&content, Mode::Lenient) else {
        return match Compiled::new(&content, Mode::Strict) {
            Ok(_) => Err("what is refused leniently was taken strictly".to_owned()),
            Err(_) => Ok(()),
        };
    };
    let properties = compiled.names().map(|name| (name.to_owned(), text.clone())).collect();
    let values = Values { properties: &Properties::new(&properties), variables: None };
    let Ok(rendered) = compiled.render(&values) else { return Ok(()) };
    if rendered.body.len() > LONGEST_RENDERED {
        return Err("the result is longer than it may be".to_owned());
    }
    if rendered.headers.iter().any(|(_, value)| value.contains(char::is_control)) {
        return Err("a header holds a control character".to_owned());
    }
    match compiled.form {
        Form::Json { .. } => serde_json::from_str::<serde_json::Value>(&rendered.body)
            .map(drop)
            .map_err(|error| format!("the result is no JSON: {error}: {}", rendered.body)),
        Form::Xml(_) => super::xml::compile(&rendered.body, Mode::Lenient)
            .map(drop)
            .map_err(|error| format!("the result is no XML: {error}: {}", rendered.body)),
    }
}
