//! The stored format, version 1. The first byte names version and form, the rest is the form's content; numbers are
//! little-endian, counts follow from the length.
//!
//! | first byte | then |
//! |---|---|
//! | `0x11` list | strictly ascending `u16` offsets |
//! | `0x12` bits | 2,048 bytes; offset `o` is bit `o % 8` (from the lowest) of byte `o / 8` |
//! | `0x13` runs | `u16` pairs (first, last), both inclusive, ascending, with a gap between neighbours |
//!
//! Encoding always writes the smallest; equally small, bits before list before runs. So equal sets have equal bytes.
//! Decoding takes any well-formed content, smallest or not (checking would cost more than decoding), and refuses the rest.
use super::iter::Runs;
use super::run::Run;
use super::words::{self, WORDS};
use super::{CHUNK_SIZE, ChunkSet, Form, LAST};

const LIST: u8 = 0x11;
const BITS: u8 = 0x12;
const RUNS: u8 = 0x13;

const BITS_BYTES: usize = WORDS * 8;

/// Why offsets or bytes are not a chunk set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkSetError {
    #[error("an encoded chunk set has at least one byte")]
    Empty,
    #[error("unknown form 0x{0:02x} of an encoded chunk set")]
    UnknownForm(u8),
    /// Bytes after the first.
    #[error("{bytes} bytes are no whole {form}")]
    WrongLength { form: &'static str, bytes: usize },
    #[error("offset {0} is beyond the chunk (below {CHUNK_SIZE})")]
    OutOfRange(u16),
    #[error("offset {offset} does not come after {previous}")]
    NotAscending { previous: u16, offset: u16 },
    #[error("run {first} to {last} ends before it starts")]
    ReversedRun { first: u16, last: u16 },
    /// They overlap, are out of order, or belong together as one run.
    #[error("no gap between a run up to {last} and the next from {first}")]
    TouchingRuns { last: u16, first: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Bits,
    Runs,
}

impl ChunkSet {
    /// The set in the stored format.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// Appends the set in the stored format.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let (kind, bytes) = self.smallest();
        out.reserve(1 + bytes);
        match kind {
            Kind::List => {
                out.push(LIST);
                match &self.form {
                    Form::List(list) => out.extend(list.iter().flat_map(|offset| offset.to_le_bytes())),
                    _ => out.extend(self.iter().flat_map(u16::to_le_bytes)),
                }
            }
            Kind::Runs => {
                out.push(RUNS);
                for run in Runs::new(self) {
                    out.extend_from_slice(&run.first.to_le_bytes());
                    out.extend_from_slice(&run.last.to_le_bytes());
                }
            }
            Kind::Bits => {
                out.push(BITS);
                match &self.form {
                    Form::Bits(words) => out.extend(words.iter().flat_map(|word| word.to_le_bytes())),
                    form => {
                        let mut words = words::empty();
                        form.paint(&mut words);
                        out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
                    }
                }
            }
        }
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`ChunkSetError`] for anything that is not well-formed.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChunkSetError> {
        let (&form, content) = bytes.split_first().ok_or(ChunkSetError::Empty)?;
        match form {
            LIST => decode_list(content),
            BITS => decode_bits(content),
            RUNS => decode_runs(content),
            other => Err(ChunkSetError::UnknownForm(other)),
        }
    }

    /// Switches to the form that [`encode`](Self::encode) would write.
    pub fn optimize(&mut self) {
        let (kind, _) = self.smallest();
        self.change_form(kind);
    }

    pub(super) fn change_form(&mut self, kind: Kind) {
        match (kind, &self.form) {
            (Kind::List, Form::List(_)) | (Kind::Bits, Form::Bits(_)) | (Kind::Runs, Form::Runs(_)) => {}
            (Kind::List, _) => self.form = Form::List(self.iter().collect()),
            (Kind::Runs, _) => self.form = Form::Runs(Runs::new(self).collect()),
            (Kind::Bits, _) => self.make_bits(),
        }
    }

    /// The smallest form and the bytes of its content.
    fn smallest(&self) -> (Kind, usize) {
        let list = self.len as usize * 2;
        let runs = 4 * match &self.form {
            Form::List(list) => list.len() - list.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count(),
            Form::Bits(words) => words::run_count(words) as usize,
            Form::Runs(runs) => runs.len(),
        };
        if BITS_BYTES <= list.min(runs) {
            (Kind::Bits, BITS_BYTES)
        } else if list <= runs {
            (Kind::List, list)
        } else {
            (Kind::Runs, runs)
        }
    }
}

fn decode_list(content: &[u8]) -> Result<ChunkSet, ChunkSetError> {
    let (pairs, []) = content.as_chunks() else {
        return Err(ChunkSetError::WrongLength { form: "list of offsets", bytes: content.len() });
    };
    if pairs.len() > CHUNK_SIZE as usize {
        return Err(ChunkSetError::WrongLength { form: "list of offsets", bytes: content.len() });
    }
    ChunkSet::from_sorted(pairs.iter().map(|&pair| u16::from_le_bytes(pair)).collect())
}

fn decode_bits(content: &[u8]) -> Result<ChunkSet, ChunkSetError> {
    if content.len() != BITS_BYTES {
        return Err(ChunkSetError::WrongLength { form: "bitset", bytes: content.len() });
    }
    let mut words = words::empty();
    for (word, bytes) in words.iter_mut().zip(content.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Ok(ChunkSet { len: words::count(&words), form: Form::Bits(words) })
}

fn decode_runs(content: &[u8]) -> Result<ChunkSet, ChunkSetError> {
    let (pairs, []) = content.as_chunks::<4>() else {
        return Err(ChunkSetError::WrongLength { form: "list of runs", bytes: content.len() });
    };
    let mut runs: Vec<Run> = Vec::with_capacity(pairs.len().min(CHUNK_SIZE as usize / 2));
    for &[a, b, c, d] in pairs {
        let run = Run { first: u16::from_le_bytes([a, b]), last: u16::from_le_bytes([c, d]) };
        if run.last > LAST {
            return Err(ChunkSetError::OutOfRange(run.last));
        }
        if run.first > run.last {
            return Err(ChunkSetError::ReversedRun { first: run.first, last: run.last });
        }
        if let Some(previous) = runs.last().filter(|previous| run.first <= previous.last + 1) {
            return Err(ChunkSetError::TouchingRuns { last: previous.last, first: run.first });
        }
        runs.push(run);
    }
    Ok(ChunkSet::of_runs(runs))
}
