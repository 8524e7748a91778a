//! Inputs for readers of text: valid samples that were taken apart at their brackets, quotes and tags and put together
//! wrongly, and now and then noise alone.
//!
//! An input follows from its generator's seed. Most are small; some grow up to [`LONGEST`], which is where a reader that
//! takes more than linear time is found out.
use std::ops::Range;

use fastrand::Rng;

use super::{bytes, pick, spoil};

/// The longest body that the service takes.
pub(super) const LONGEST: usize = 4 << 20;
/// How far an input is looked at for its parts.
const LOOKED_AT: usize = 1 << 16;
/// Changes to one input.
const MOST_CHANGES: usize = 12;

/// What inputs are made of.
#[derive(Debug)]
pub(super) struct Seeds {
    /// Valid ones.
    pub samples: Vec<Vec<u8>>,
    /// Texts that mean something to the reader.
    pub words: &'static [&'static str],
}

impl Seeds {
    pub(super) fn input(&self, rng: &mut Rng) -> Vec<u8> {
        let room = pick(rng, &[1 << 10, 1 << 10, 1 << 12, 1 << 12, 1 << 14, 1 << 16]);
        let room = if rng.u32(0..60) == 0 { LONGEST } else { room };
        let mut input = match rng.u32(0..24) {
            0 => bytes(rng, room.min(1 << 16)),
            1 => self.soup(rng),
            _ => self.samples[rng.usize(..self.samples.len())].clone(),
        };
        for _ in 0..rng.usize(0..MOST_CHANGES) {
            self.change(rng, &mut input, room);
        }
        if room == LONGEST {
            self.repeat(rng, &mut input, room);
        }
        input.truncate(room.max(1 << 10));
        input
    }

    /// Words in any order.
    fn soup(&self, rng: &mut Rng) -> Vec<u8> {
        (0..rng.usize(1..60)).flat_map(|_| self.word(rng).as_bytes()).copied().collect()
    }

    fn word(&self, rng: &mut Rng) -> &'static str {
        self.words[rng.usize(..self.words.len())]
    }

    fn change(&self, rng: &mut Rng, input: &mut Vec<u8>, room: usize) {
        if input.len() >= room {
            return;
        }
        let parts = parts(input);
        let part = part(rng, &parts, input.len());
        let other = self::part(rng, &parts, input.len());
        match rng.u32(0..11) {
            0 => drop(input.splice(part, [])),
            1 => {
                let copied = input[other].to_vec();
                drop(input.splice(part.end..part.end, copied));
            }
            2 => {
                let copied = input[other].to_vec();
                drop(input.splice(part, copied));
            }
            3 => {
                let sample = &self.samples[rng.usize(..self.samples.len())];
                let taken = self::part(rng, &self::parts(sample), sample.len());
                drop(input.splice(part, sample[taken].iter().copied()));
            }
            4 => nest(rng, input, &parts, room),
            5 => {
                let most = pick(rng, &[1 << 8, 1 << 11, 1 << 15]);
                self.repeat(rng, input, room.min(most));
            }
            6 | 7 => drop(input.splice(part.start..part.start, self.word(rng).bytes())),
            8 => drop(input.splice(part, self.word(rng).bytes())),
            9 => {
                let (letter, length) = (pick(rng, b"a0 \t\n\r\"'<&>$({[\\\0\xff-"), rng.usize(0..room));
                drop(input.splice(part, std::iter::repeat_n(letter, length)));
            }
            _ => spoil(rng, input),
        }
    }

    /// A part again and again, up to that many bytes more; its words now and then numbered, so that each time it is another.
    fn repeat(&self, rng: &mut Rng, input: &mut Vec<u8>, room: usize) {
        let part = part(rng, &parts(input), input.len());
        let unit = match rng.u32(0..4) {
            0 => self.word(rng).as_bytes().to_vec(),
            _ => input[part.clone()].to_vec(),
        };
        if unit.is_empty() {
            return;
        }
        let numbered = rng.bool();
        let name = unit.iter().position(u8::is_ascii_alphabetic).unwrap_or(unit.len());
        let length = rng.usize(0..=room.saturating_sub(input.len()));
        let mut more = Vec::with_capacity(length + unit.len() + 16);
        let mut number = 0_u64;
        while more.len() < length {
            more.extend_from_slice(&unit[..name]);
            if numbered {
                more.extend_from_slice(format!("n{number}").as_bytes());
            }
            more.extend_from_slice(&unit[name..]);
            number += 1;
        }
        drop(input.splice(part.end..part.end, more));
    }
}

/// What stands around a part within a larger one, many times.
fn nest(rng: &mut Rng, input: &mut Vec<u8>, parts: &[Range<usize>], room: usize) {
    let inner = part(rng, parts, input.len());
    let around: Vec<_> = parts.iter().filter(|part| part.start < inner.start && part.end > inner.end).collect();
    if around.is_empty() {
        return;
    }
    let outer = around[rng.usize(..around.len())].clone();
    let (before, after) = (input[outer.start..inner.start].to_vec(), input[inner.end..outer.end].to_vec());
    let room = room.saturating_sub(input.len()) / (before.len() + after.len()).max(1);
    let times = pick(rng, &[1, 2, 10, 40, 70, 1_000, usize::MAX]).min(room);
    drop(input.splice(inner.end..inner.end, after.repeat(times)));
    drop(input.splice(inner.start..inner.start, before.repeat(times)));
}

/// One of the parts, or an empty one anywhere.
fn part(rng: &mut Rng, parts: &[Range<usize>], length: usize) -> Range<usize> {
    match parts {
        [] => {
            let at = rng.usize(0..=length);
            at..at
        }
        parts => parts[rng.usize(..parts.len())].clone(),
    }
}

/// Words, lines, what stands in brackets or quotes, tags, and elements with all that is in them.
fn parts(input: &[u8]) -> Vec<Range<usize>> {
    let text = &input[..input.len().min(LOOKED_AT)];
    let mut parts = Vec::new();
    let mut open: Vec<(u8, usize)> = Vec::new();
    let mut elements: Vec<usize> = Vec::new();
    let (mut word, mut line, mut tag) = (None, 0, None);
    for (at, byte) in text.iter().copied().enumerate() {
        match word {
            None if byte.is_ascii_alphanumeric() => word = Some(at),
            Some(start) if !byte.is_ascii_alphanumeric() => {
                parts.push(start..at);
                word = None;
            }
            _ => {}
        }
        match byte {
            b'\n' => {
                parts.push(line..at + 1);
                line = at + 1;
            }
            b'<' => tag = Some(at),
            b'>' => {
                let Some(start) = tag.take() else { continue };
                parts.push(start..at + 1);
                match (text.get(start + 1), text[at - 1]) {
                    (Some(b'/'), _) => parts.extend(elements.pop().map(|start| start..at + 1)),
                    (Some(b'?' | b'!'), _) | (_, b'/') => {}
                    _ => elements.push(start),
                }
            }
            b'(' | b'[' | b'{' => open.push((byte, at)),
            b')' | b']' | b'}' => {
                let start = open.pop().map(|(_, start)| start);
                parts.extend(start.into_iter().flat_map(|start| [start..at + 1, start + 1..at]));
            }
            b'"' | b'\'' => match open.last() {
                Some((quote, start)) if *quote == byte => {
                    parts.push(*start..at + 1);
                    open.pop();
                }
                _ => open.push((byte, at)),
            },
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_belongs_together() {
        let text = "<a b=\"1\"><c/>x</a> f(y, [z])\n";
        let found: Vec<&str> = parts(text.as_bytes()).into_iter().map(|part| &text[part]).collect();
        for part in ["<a b=\"1\">", "<c/>", "<a b=\"1\"><c/>x</a>", "\"1\"", "[z]", "(y, [z])", "y, [z]", text] {
            assert!(found.contains(&part), "{part}: {found:?}");
        }
    }

    #[test]
    fn inputs_follow_from_their_seed_and_stay_within_the_bound() {
        let seeds = Seeds { samples: vec![b"<a><b>c</b></a>".to_vec()], words: &["<d>", "&"] };
        let input = |seed| seeds.input(&mut Rng::with_seed(seed));
        let inputs: Vec<_> = (0..600).map(input).collect();
        assert_eq!(inputs, (0..600).map(input).collect::<Vec<_>>());
        let longest = inputs.iter().map(Vec::len).max().unwrap();
        assert!((1 << 20..=LONGEST).contains(&longest), "{longest}");
    }
}
