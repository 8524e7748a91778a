//! The XML of toasts, tiles and badges: told from other payloads, and written for the portable notification.

use quick_xml::events::{BytesText, Event};
use quick_xml::{Reader, Writer};

use crate::model::broadcast::Notification;
use crate::model::field::FieldError;

/// What a payload is to WNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Toast,
    Tile,
    Badge,
    /// Anything else: the app reads it.
    Raw,
}

impl Kind {
    /// `X-WNS-Type`.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Toast => "wns/toast",
            Self::Tile => "wns/tile",
            Self::Badge => "wns/badge",
            Self::Raw => "wns/raw",
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Raw => "application/octet-stream",
            _ => "text/xml",
        }
    }

    /// The kind of an `X-WNS-Type`.
    pub fn from_header(value: &str) -> Option<Self> {
        let all = [Self::Toast, Self::Tile, Self::Badge, Self::Raw];
        all.into_iter().find(|kind| kind.header().eq_ignore_ascii_case(value))
    }

    /// By the root element in capitals or not, of a document that begins with it.
    pub fn of_root(document: &str) -> Self {
        let name = document.trim_start().strip_prefix('<').unwrap_or_default();
        let name = name.split(|c: char| c.is_whitespace() || matches!(c, '/' | '>')).next().unwrap_or_default();
        let known = [("toast", Self::Toast), ("tile", Self::Tile), ("badge", Self::Badge)];
        known.into_iter().find(|(root, _)| root.eq_ignore_ascii_case(name)).map_or(Self::Raw, |(_, kind)| kind)
    }

    /// By the root element. The error says why what begins like one of WNS' documents is none.
    pub fn of(payload: &[u8]) -> Result<Self, &'static str> {
        let Ok(text) = std::str::from_utf8(payload) else { return Ok(Self::Raw) };
        let payload = text.trim_start_matches('\u{feff}');
        let kind = root(payload).unwrap_or(Self::Raw);
        if kind == Self::Raw || is_well_formed(payload) {
            Ok(kind)
        } else {
            Err("must be well-formed XML when its root is toast, tile or badge")
        }
    }
}

fn root(payload: &str) -> Option<Kind> {
    let mut reader = Reader::from_str(payload);
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) | Event::Empty(element) => {
                return match element.name().as_ref() {
                    "toast" => Some(Kind::Toast),
                    "tile" => Some(Kind::Tile),
                    "badge" => Some(Kind::Badge),
                    _ => None,
                };
            }
            Event::Text(text) if !text.trim().is_empty() => return None,
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn is_well_formed(payload: &str) -> bool {
    let mut reader = Reader::from_str(payload);
    let (mut depth, mut roots) = (0_usize, 0_usize);
    loop {
        let Ok(event) = reader.read_event() else { return false };
        let attributes_fit =
            |element: &quick_xml::events::BytesStart<'_>| element.attributes().all(|found| found.is_ok());
        match event {
            Event::Start(element) => {
                roots += usize::from(depth == 0);
                depth += 1;
                if !attributes_fit(&element) {
                    return false;
                }
            }
            Event::Empty(element) => {
                roots += usize::from(depth == 0);
                if !attributes_fit(&element) {
                    return false;
                }
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof => return depth == 0 && roots == 1,
            _ => {}
        }
    }
}

/// The portable form in WNS' own. With a title or a body it is a generic toast whose data is what the app gets when the
/// toast is clicked: the `launch` attribute, a JSON object. Data alone is a raw notification of that object.
pub fn render(notification: &Notification) -> Result<Vec<u8>, FieldError> {
    let Notification { title, body, data } = notification;
    let launch = || {
        serde_json::to_string(data)
            .map_err(|error| FieldError::new("notification.data", format!("cannot be written as JSON: {error}")))
    };
    if title.is_none() && body.is_none() {
        return if data.is_empty() {
            Err(FieldError::new("notification", "must have title, body or data"))
        } else {
            launch().map(String::into_bytes)
        };
    }
    let lines = [("notification.title", title), ("notification.body", body)];
    let mut texts = Vec::with_capacity(2);
    for (field, text) in lines {
        texts.extend(text.as_deref().map(|text| carried(field, text)).transpose()?);
    }
    let launch = if data.is_empty() { None } else { Some(launch()?) };
    if let Some(launch) = &launch {
        carried("notification.data", launch)?;
    }
    write(launch.as_deref(), &texts)
        .map_err(|error| FieldError::new("notification", format!("cannot be written as XML: {error}")))
}

fn write(launch: Option<&str>, texts: &[&str]) -> std::io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    let toast = writer.create_element("toast");
    let toast = match launch {
        Some(launch) => toast.with_attribute(("launch", launch)),
        None => toast,
    };
    toast.write_inner_content(|toast| {
        let visual = toast.create_element("visual").write_inner_content(|visual| {
            let binding = visual.create_element("binding").with_attribute(("template", "ToastGeneric"));
            binding.write_inner_content(|binding| {
                for text in texts {
                    binding.create_element("text").write_text_content(BytesText::new(text))?;
                }
                Ok(())
            })?;
            Ok(())
        });
        visual.map(|_| ())
    })?;
    Ok(writer.into_inner())
}

/// XML 1.0 has no way to write most control characters, not even escaped (section 2.2).
fn carried<'a>(field: &'static str, text: &'a str) -> Result<&'a str, FieldError> {
    let fits = |c: char| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    if text.chars().all(fits) {
        Ok(text)
    } else {
        Err(FieldError::new(field, "must not hold control characters, which XML cannot carry"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(title: Option<&str>, body: Option<&str>, data: &[(&str, &str)]) -> Notification {
        let data = data.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Notification { title: title.map(str::to_owned), body: body.map(str::to_owned), data }
    }

    #[test]
    fn the_root_tells_the_kind() {
        for (payload, kind) in [
            ("<toast/>", Kind::Toast),
            ("<?xml version=\"1.0\"?>\n<!-- x --><tile><visual/></tile>", Kind::Tile),
            ("\u{feff}<badge value=\"7\"/>", Kind::Badge),
            ("<toasts/>", Kind::Raw),
            ("{\"toast\":1}", Kind::Raw),
            ("text <toast/>", Kind::Raw),
            ("", Kind::Raw),
        ] {
            assert_eq!(Kind::of(payload.as_bytes()), Ok(kind), "{payload}");
        }
        for bad in ["<toast>", "<toast></tile>", "<toast/><toast/>", "<toast a='1' a='2'/>", "<toast a=1/>"] {
            assert!(Kind::of(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_toast_is_escaped_and_carries_its_data() {
        let toast = render(&notification(Some("A <b> & \"c\""), Some("World"), &[("k", "v'<")])).unwrap();
        let text = String::from_utf8(toast.clone()).unwrap();
        assert_eq!(Kind::of(&toast), Ok(Kind::Toast));
        assert!(text.contains("<text>A &lt;b&gt; &amp; &quot;c&quot;</text><text>World</text>"), "{text}");
        assert!(text.contains("launch=\"{&quot;k&quot;:&quot;v&apos;&lt;&quot;}\""), "{text}");
        assert!(text.contains("<visual><binding template=\"ToastGeneric\">"), "{text}");
    }

    #[test]
    fn data_alone_is_raw() {
        let raw = render(&notification(None, None, &[("k", "v")])).unwrap();
        assert_eq!((Kind::of(&raw), raw.as_slice()), (Ok(Kind::Raw), &br#"{"k":"v"}"#[..]));
    }

    #[test]
    fn errors_name_their_field() {
        let field = |notification| render(&notification).unwrap_err().field;
        assert_eq!(field(notification(None, None, &[])), "notification");
        assert_eq!(field(notification(Some("\u{1}"), None, &[])), "notification.title");
        assert_eq!(field(notification(None, Some("\u{ffff}"), &[])), "notification.body");
        assert_eq!(field(notification(Some("t"), None, &[("k", "\u{fffe}")])), "notification.data");
    }
}
