//! A stream of bytes as lines of a bounded length. A line that is too long is skipped without being kept.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(Bytes),
    TooLong,
}

/// Cuts pieces into lines.
pub(super) struct Lines<S> {
    pieces: S,
    longest: usize,
    /// Of the piece that came last: what was not handed out.
    piece: Bytes,
    /// The beginning of the present line, from pieces before.
    begun: BytesMut,
    /// The present line is too long; its rest is skipped.
    skipping: bool,
    /// Lines handed out.
    number: u64,
    ended: bool,
}

impl<S, E> Lines<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// Lines of at most `longest` bytes.
    pub(super) fn new(pieces: S, longest: usize) -> Self {
        let (piece, begun) = (Bytes::new(), BytesMut::new());
        Self { pieces, longest, piece, begun, skipping: false, number: 0, ended: false }
    }

    /// The next line with its number, from 1. A last line without an end counts when the stream ended well; when it
    /// broke, that line is half of one and is left out.
    pub(super) async fn next(&mut self) -> Option<(u64, Line)> {
        loop {
            if let Some(end) = self.piece.iter().position(|byte| *byte == b'\n') {
                let last = self.piece.split_to(end);
                self.piece.advance(1);
                return Some(self.complete(last));
            }
            let part = std::mem::take(&mut self.piece);
            self.begin(&part);
            if self.ended {
                return None;
            }
            match self.pieces.next().await {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(_)) => {
                    self.ended = true;
                    return None;
                }
                None => {
                    self.ended = true;
                    if self.skipping || !self.begun.is_empty() {
                        return Some(self.complete(Bytes::new()));
                    }
                    return None;
                }
            }
        }
    }

    fn begin(&mut self, part: &[u8]) {
        if self.skipping || self.begun.len() + part.len() > self.longest + 1 {
            self.skipping = true;
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    /// Most lines lie in one piece and are handed out without a copy.
    fn complete(&mut self, last: Bytes) -> (u64, Line) {
        self.number += 1;
        let skipped = std::mem::take(&mut self.skipping);
        let mut text = if self.begun.is_empty() {
            last
        } else {
            self.begun.extend_from_slice(&last);
            self.begun.split().freeze()
        };
        if text.ends_with(b"\r") {
            text.truncate(text.len() - 1);
        }
        let line = if skipped || text.len() > self.longest { Line::TooLong } else { Line::Text(text) };
        (self.number, line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]], longest: usize, breaks: bool) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut items: Vec<Result<Bytes, ()>> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        items.extend(breaks.then_some(Err(())));
        let mut lines = Lines::new(stream::iter(items), longest);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut all = Vec::new();
            while let Some((number, line)) = lines.next().await {
                all.push((number, if let Line::Text(text) = line { Some(text.to_vec()) } else { None }));
            }
            all
        })
    }

    fn texts(lines: Vec<(u64, Option<Vec<u8>>)>) -> Vec<String> {
        lines.into_iter().map(|(_, text)| text.map_or("?".into(), |text| String::from_utf8(text).unwrap())).collect()
    }

    #[test]
    fn lines_may_lie_across_pieces_and_end_in_any_way() {
        assert_eq!(texts(all(&[b"a\nb", b"c\r\n", b"\n", b"d"], 9, false)), ["a", "bc", "", "d"]);
        assert_eq!(texts(all(&[b"a\nb"], 9, true)), ["a"]);
        assert_eq!(texts(all(&[b"a\n"], 9, false)), ["a"]);
        assert!(all(&[], 9, false).is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        assert_eq!(texts(all(&[b"12345\n123456\n1\n"], 5, false)), ["12345", "?", "1"]);
        assert_eq!(texts(all(&[b"123", b"456", b"789", b"\nok"], 5, false)), ["?", "ok"]);
        assert_eq!(texts(all(&[b"12345\r\n", b"1234567"], 5, false)), ["12345", "?"]);
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            text in proptest::collection::vec(proptest::sample::select(vec![b'a', b'b', b'\n', b'\r']), 0..60),
            cuts in proptest::collection::vec(0_usize..60, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            prop_assert_eq!(all(&pieces, 5, false), all(&[&text[..]], 5, false));
        }
    }
}
