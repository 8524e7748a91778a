//! An entry for fuzzers: any bytes as what this face alone reads, and what must hold of all that it takes. The error says
//! what did not.

use http::{HeaderMap, HeaderValue, header};

use super::xml::Xml;
use super::{description, direct, messages, multipart, notification};
use crate::directory::settings::HubSettings;
use crate::model::audience::AudienceLimits;
use crate::model::broadcast::MOST_HANDLES;
use crate::model::time::Timestamp;

/// Formats whose handles differ in kind.
const FORMATS: [&str; 5] = ["apple", "fcmv1", "windows", "browser", "adm"];

/// A hub's description: what is taken reads back as it was written.
pub fn exercise_description(body: &[u8]) -> Result<(), String> {
    let read = |body: &[u8], current: Option<&HubSettings>| {
        let element = description::of_body(body).map_err(|error| error.to_string())?;
        let packed = description::certificate(&element).map_err(|error| error.to_string())?;
        let opened = packed.map(|packed| packed.open()).transpose().map_err(|error| error.to_string())?;
        description::read(&element, opened.as_ref(), current).map_err(|error| error.to_string())
    };
    let write = |settings: &HubSettings| {
        let mut xml = Xml::new();
        description::write(&mut xml, settings, true);
        xml.into_string()
    };
    let Ok(settings) = read(body, None) else { return Ok(()) };
    let written = write(&settings);
    let again = read(written.as_bytes(), Some(&settings)).map_err(|error| format!("{error}: {written}"))?;
    let rewritten = write(&again);
    if rewritten == written { Ok(()) } else { Err(format!("{written} reads as {rewritten}")) }
}

/// A batch of direct sends: the first line is its content type, the rest its body; in every format.
pub fn exercise_batch(bytes: &[u8]) -> Result<(), String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, body) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let Ok(content_type) = HeaderValue::from_bytes(line) else { return Ok(()) };
    if let Ok(boundary) = content_type.to_str().map_or(Ok(String::new()), multipart::boundary)
        && let Ok(parts) = multipart::parts(body, &boundary)
        && parts.iter().map(|part| part.body.len()).sum::<usize>() > body.len()
    {
        return Err("the parts are longer than their body".to_owned());
    }
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
    let Ok((payload, devices)) = messages::batched(&headers, body) else { return Ok(()) };
    for format in FORMATS {
        headers.insert("servicebusnotification-format", HeaderValue::from_static(format));
        let Ok(handles) = direct::many(&headers, devices) else { continue };
        let count = handles.len();
        if !(1..=MOST_HANDLES).contains(&count) {
            return Err(format!("{count} handles"));
        }
        if messages::check_length(payload).is_err() {
            continue;
        }
        let (now, limits) = (Timestamp::from_millis(0), AudienceLimits::default());
        let Ok(asked) = notification::read(&headers, payload, Some(handles), None, now, &limits) else { continue };
        if asked.request.content.handles().map(<[_]>::len) != Some(count) {
            return Err(format!("of {count} handles the broadcast has others"));
        }
    }
    Ok(())
}
