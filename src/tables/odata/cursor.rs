//! Where a list goes on: opaque to clients (spec 2.4), so that no row is lost that others move meanwhile.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::time::Timestamp;

/// Behind which row a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the order of the stamps: behind that one. What is stamped later than `upto`, the table's clock when the list
    /// began, comes with the next pull, so that no list shows a row twice.
    Stamp { after: Timestamp, upto: Timestamp },
    /// In the order of the ids.
    Id(String),
}

/// A place, and how many rows the whole list was counted to have: it is counted once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub place: Place,
    pub count: Option<u64>,
}

impl Cursor {
    /// As it stands in an address.
    pub fn text(&self) -> String {
        let count = self.count.map_or(String::new(), |count| count.to_string());
        URL_SAFE_NO_PAD.encode(match &self.place {
            Place::Stamp { after, upto } => format!("s:{count}:{}:{}", after.millis(), upto.millis()),
            Place::Id(id) => format!("i:{count}:{id}"),
        })
    }

    /// Reads what [`Cursor::text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (kind, rest) = text.split_once(':')?;
        let (count, rest) = rest.split_once(':')?;
        let count = if count.is_empty() { None } else { Some(count.parse().ok()?) };
        let time = |text: &str| text.parse().ok().map(Timestamp::from_millis);
        let place = match kind {
            "s" => {
                let (after, upto) = rest.split_once(':')?;
                Place::Stamp { after: time(after)?, upto: time(upto)? }
            }
            "i" => Place::Id(rest.to_owned()),
            _ => return None,
        };
        Some(Self { place, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let stamp = Timestamp::from_millis;
        for place in [Place::Stamp { after: stamp(5), upto: stamp(1_769_941_800_000) }, Place::Id("a:b é".into())] {
            for count in [None, Some(0), Some(12)] {
                let cursor = Cursor { place: place.clone(), count };
                assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
            }
        }
        for wrong in ["", "x", "czo6", &URL_SAFE_NO_PAD.encode("z::1"), &URL_SAFE_NO_PAD.encode("s:x:1:2")] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
