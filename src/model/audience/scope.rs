//! A program bounded to the chunks in which it can be true, and its evaluation there.
//!
//! Evaluation narrows one set: it starts as the universe of the chunk and every node takes out what the node does not
//! hold. So nothing outside the universe is ever looked at, `!x` costs what `x` costs, and as soon as the set is
//! empty nothing more is read.
use std::borrow::Cow;
use std::cmp::Reverse;

use super::bound::{ChunkCount, ChunkList};
use super::program::{Members, Node, Program, TermId};
use crate::model::chunk_set::ChunkSet;

/// Where the sets of terms come from.
///
/// A set is asked for only where the term's [`ChunkList`] names the chunk, and possibly again when the term occurs
/// more than once in the expression; one evaluation borrows one set at a time.
pub trait TermSets {
    type Error;

    /// The seqs of `term` within `chunk`, as offsets. They need not lie in the universe.
    ///
    /// # Errors
    /// Whatever reading the set may end in; evaluation stops with it.
    fn set(&mut self, term: TermId, chunk: u32) -> Result<Cow<'_, ChunkSet>, Self::Error>;
}

/// A [`Program`] with what is known of its terms. Made once per evaluation of an audience, used for every chunk.
#[derive(Debug)]
pub struct Scope {
    /// By index of the term.
    lists: Vec<ChunkList>,
    root: Step,
    chunks: ChunkList,
}

/// A [`Node`] in the order in which it is evaluated.
#[derive(Debug)]
enum Step {
    Term(TermId),
    All {
        /// The most selective first.
        within: Vec<Step>,
        without: Union,
    },
    Any(Union),
}

#[derive(Debug)]
struct Union {
    /// Terms by chunk, in each the largest first: of ten thousand users a chunk holds a few.
    places: Vec<Place>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Place {
    chunk: u32,
    count: u32,
    term: TermId,
}

impl Scope {
    /// `universe`: the chunks with live targets of the asked kind and platform. `lists`: for each term of the
    /// program, by its index, the chunks in which it has members; a missing list is an empty one.
    ///
    /// Universe, lists and the sets of the later evaluation must come from one snapshot of the index: a chunk that a
    /// list does not name is not looked at again.
    #[must_use]
    pub fn new(program: &Program, universe: &ChunkList, mut lists: Vec<ChunkList>) -> Self {
        lists.resize_with(program.terms().len(), ChunkList::default);
        let (root, chunks) = step(&program.root, universe, &lists);
        Self { lists, root, chunks }
    }

    /// The chunks in which the expression can be true, ascending, with an upper bound of how often: of `&&` the least
    /// count, of `||` the sum, of `!` the universe.
    #[must_use]
    pub fn chunks(&self) -> &[ChunkCount] {
        self.chunks.as_slice()
    }

    /// No more targets than these are meant.
    #[must_use]
    pub fn at_most(&self) -> u64 {
        self.chunks.total()
    }

    /// The members of `universe`, which is that of `chunk`, for which the expression is true.
    ///
    /// # Errors
    /// That of `sets`.
    pub fn evaluate<S: TermSets + ?Sized>(
        &self,
        chunk: u32,
        universe: &ChunkSet,
        sets: &mut S,
    ) -> Result<ChunkSet, S::Error> {
        let mut rest = Cow::Borrowed(universe);
        self.narrow(&self.root, chunk, &mut rest, sets)?;
        Ok(rest.into_owned())
    }

    /// Takes out of `rest` what `step` does not hold.
    fn narrow<S: TermSets + ?Sized>(
        &self,
        step: &Step,
        chunk: u32,
        rest: &mut Cow<'_, ChunkSet>,
        sets: &mut S,
    ) -> Result<(), S::Error> {
        match step {
            Step::Term(term) => {
                if self.occurs(*term, chunk) {
                    keep(rest, sets.set(*term, chunk)?.as_ref());
                } else {
                    *rest = Cow::Owned(ChunkSet::new());
                }
            }
            Step::All { within, without } => {
                for step in within {
                    if rest.is_empty() {
                        return Ok(());
                    }
                    self.narrow(step, chunk, rest, sets)?;
                }
                self.take_out_any(without, chunk, rest, sets)?;
            }
            // What is in none of the members goes: rest − (rest − a − b − …). It needs no union, stops when all of
            // `rest` is found, and later members see only what earlier ones left.
            Step::Any(union) => {
                let mut missed = Cow::Borrowed(rest.as_ref());
                self.take_out_any(union, chunk, &mut missed, sets)?;
                match missed {
                    Cow::Borrowed(_) => *rest = Cow::Owned(ChunkSet::new()),
                    Cow::Owned(missed) => drop_members(rest, &missed),
                }
            }
        }
        Ok(())
    }

    /// Takes out of `rest` what `step` holds.
    fn take_out<S: TermSets + ?Sized>(
        &self,
        step: &Step,
        chunk: u32,
        rest: &mut Cow<'_, ChunkSet>,
        sets: &mut S,
    ) -> Result<(), S::Error> {
        match step {
            Step::Term(term) => {
                if self.occurs(*term, chunk) {
                    drop_members(rest, sets.set(*term, chunk)?.as_ref());
                }
            }
            Step::All { .. } => {
                let mut held = Cow::Borrowed(rest.as_ref());
                self.narrow(step, chunk, &mut held, sets)?;
                match held {
                    Cow::Borrowed(_) => *rest = Cow::Owned(ChunkSet::new()),
                    Cow::Owned(held) => drop_members(rest, &held),
                }
            }
            Step::Any(union) => self.take_out_any(union, chunk, rest, sets)?,
        }
        Ok(())
    }

    fn take_out_any<S: TermSets + ?Sized>(
        &self,
        union: &Union,
        chunk: u32,
        rest: &mut Cow<'_, ChunkSet>,
        sets: &mut S,
    ) -> Result<(), S::Error> {
        let here = union.places.partition_point(|place| place.chunk < chunk);
        for place in union.places[here..].iter().take_while(|place| place.chunk == chunk) {
            if rest.is_empty() {
                return Ok(());
            }
            drop_members(rest, sets.set(place.term, chunk)?.as_ref());
        }
        for step in &union.steps {
            if rest.is_empty() {
                return Ok(());
            }
            self.take_out(step, chunk, rest, sets)?;
        }
        Ok(())
    }

    fn occurs(&self, term: TermId, chunk: u32) -> bool {
        listed(term, &self.lists).count(chunk) > 0
    }
}

/// The untouched universe is borrowed: the first step makes the only new set.
fn keep(rest: &mut Cow<'_, ChunkSet>, set: &ChunkSet) {
    match rest {
        Cow::Borrowed(all) => *rest = Cow::Owned(all.and(set)),
        Cow::Owned(rest) => rest.intersect_with(set),
    }
}

fn drop_members(rest: &mut Cow<'_, ChunkSet>, set: &ChunkSet) {
    match rest {
        Cow::Borrowed(all) => *rest = Cow::Owned(all.and_not(set)),
        Cow::Owned(rest) => rest.subtract(set),
    }
}

/// A node's step and where it can be true.
fn step(node: &Node, universe: &ChunkList, lists: &[ChunkList]) -> (Step, ChunkList) {
    match node {
        Node::Term(id) => (Step::Term(*id), listed(*id, lists).meet(universe)),
        Node::All { within, without } => {
            let terms = within.terms.iter().map(|id| (Step::Term(*id), listed(*id, lists).meet(universe)));
            let nodes = within.nodes.iter().map(|node| step(node, universe, lists));
            let mut within: Vec<_> = terms.chain(nodes).collect();
            within.sort_by_cached_key(|(_, bound)| bound.total());
            let bound = within.iter().fold(None, |all: Option<ChunkList>, (_, bound)| match all {
                None => Some(bound.clone()),
                Some(all) => Some(all.meet(bound)),
            });
            let within = within.into_iter().map(|(step, _)| step).collect();
            let (without, _) = union(without, universe, lists);
            (Step::All { within, without }, bound.unwrap_or_else(|| universe.clone()))
        }
        Node::Any(members) => {
            let (union, bound) = union(members, universe, lists);
            (Step::Any(union), bound)
        }
    }
}

fn union(members: &Members, universe: &ChunkList, lists: &[ChunkList]) -> (Union, ChunkList) {
    let (steps, bounds): (Vec<_>, Vec<_>) = members.nodes.iter().map(|node| step(node, universe, lists)).unzip();
    let mut places: Vec<Place> = Vec::new();
    for &term in &members.terms {
        let entries = listed(term, lists).as_slice().iter();
        places.extend(entries.map(|&ChunkCount { chunk, count }| Place { chunk, count, term }));
    }
    places.sort_unstable_by_key(|place| (place.chunk, Reverse(place.count)));
    let of_terms = places.iter().map(|place| (place.chunk, place.count));
    let of_steps = bounds.iter().flat_map(ChunkList::as_slice).map(|entry| (entry.chunk, entry.count));
    let bound = of_terms.chain(of_steps).collect::<ChunkList>().meet(universe);
    (Union { places, steps }, bound)
}

/// Never out of bounds: [`Scope::new`] fills the table up.
fn listed(id: TermId, lists: &[ChunkList]) -> &ChunkList {
    &lists[id.index()]
}
