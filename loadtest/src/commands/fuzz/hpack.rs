//! Header compression: two decoders agree on spoiled blocks, and what the engine encodes reads as it was.
use fanfare::gateway::http2::hpack::{Decoder, Encoder, Field, Indexing, decoder::Text};
use fastrand::Rng;

use super::{bytes, pick, spoil};
use crate::http2::hpack::Decoder as Other;

const BLOCKS: usize = 20;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

pub(super) fn round(rng: &mut Rng) -> Result<(), String> {
    let (mut encoder, mut decoder, mut other) = (Encoder::default(), Decoder::default(), Other::new(4_096));
    for _ in 0..rng.usize(1..BLOCKS) {
        if rng.u32(0..4) == 0 {
            encoder.resize(pick(rng, &[0, 40, 100, 1_000, 4_096, 100_000]));
        }
        let mut block = Vec::new();
        encoder.begin(&mut block);
        let written = fields(rng);
        for (name, value) in &written {
            let indexing = pick(rng, &[Indexing::Kept, Indexing::Never]);
            encoder.field(Field { name, value, indexing }, &mut block);
        }
        let spoiled = rng.u32(0..8) == 0;
        if spoiled {
            spoil(rng, &mut block);
        }
        let (ours, theirs) = (read(&mut decoder, &block), read_by_other(&mut other, &block));
        if decoder.table_size() > 4_096 {
            return Err(format!("a table of {} bytes", decoder.table_size()));
        }
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours != theirs => return Err(format!("{ours:?} is not {theirs:?}")),
            (Some(ours), Some(_)) if !spoiled && ours != written => return Err(format!("{ours:?} is not {written:?}")),
            (Some(_), Some(_)) if !spoiled => {}
            (None, Some(_)) | (Some(_), None) => return Err(format!("one decoder takes {block:02x?}")),
            (None, None) if !spoiled => return Err(format!("it cannot read its own {block:02x?}")),
            // The tables are no longer the encoder's.
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn fields(rng: &mut Rng) -> Fields {
    let names: [&[u8]; 7] = [b":status", b":path", b"authorization", b"x-a", b"x-b", b"apns-id", b"retry-after"];
    let count = rng.usize(0..8);
    let field = |rng: &mut Rng| {
        let value = if rng.bool() { vec![b'v'; pick(rng, &[0, 1, 126, 127, 128, 900, 3_000])] } else { bytes(rng, 30) };
        (pick(rng, &names).to_vec(), value)
    };
    (0..count).map(|_| field(rng)).collect()
}

/// None: the block, or one of its texts, breaks the rules.
fn read(decoder: &mut Decoder, block: &[u8]) -> Option<Fields> {
    let mut fields = Some(Fields::new());
    let text = |text: Text<'_>| text.read().ok().map(std::borrow::Cow::into_owned);
    let read = decoder.decode(block, |name, value| match (&mut fields, text(name), text(value)) {
        (Some(fields), Some(name), Some(value)) => fields.push((name, value)),
        _ => fields = None,
    });
    read.ok().and(fields)
}

fn read_by_other(decoder: &mut Other, block: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    decoder.decode(block, |name, value| fields.push((name.to_vec(), value.to_vec()))).ok().map(|()| fields)
}
