//! The readers, each with valid samples and with the words that mean something to it. What they must show beside an answer
//! is checked here or, where it is the house's own business, by the room that reads.
pub(super) mod audience;
pub(super) mod batch;
pub(super) mod filter;
pub(super) mod installation;
pub(super) mod template;
pub(super) mod token;
pub(super) mod xml;

fn texts<const N: usize>(samples: [&str; N]) -> Vec<Vec<u8>> {
    samples.map(|sample| sample.as_bytes().to_vec()).to_vec()
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use crate::commands::fuzz::readers;

    #[test]
    fn samples_and_some_inputs_of_each_find_nothing() {
        let all = [
            readers::xml::documents(),
            readers::xml::registrations(),
            readers::xml::jobs(),
            readers::xml::hubs(),
            readers::batch::reader(),
            readers::installation::reader(),
            readers::token::reader(),
            readers::audience::reader(),
            readers::template::reader(),
            readers::filter::reader(),
        ];
        for reader in all {
            for sample in &reader.seeds.samples {
                assert_eq!((reader.read)(sample), Ok(()), "{}", reader.name);
            }
            for seed in 0..300 {
                let input = reader.seeds.input(&mut Rng::with_seed(seed));
                assert_eq!((reader.read)(&input), Ok(()), "{} seed {seed}", reader.name);
            }
        }
    }
}
