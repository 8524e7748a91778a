//! Bounds and evaluation against a plain seq-by-seq reading of the tree.
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::model::audience::{Audience, AudienceLimits, ChunkList, Expr, Program, Scope, Term, TermId, TermSets};
use crate::model::chunk_set::{CHUNK_BITS, CHUNK_SIZE, ChunkSet};
use crate::model::tag::Tag;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

type Seqs = BTreeSet<u32>;

/// A tiny index that counts what it is asked for.
struct Index {
    universe: Seqs,
    tags: Vec<(Term, Seqs)>,
    asked: Vec<(Term, u32)>,
}

impl Index {
    fn new(universe: impl IntoIterator<Item = u32>, tags: &[(&str, &[u32])]) -> Self {
        let tags = tags.iter().map(|(name, seqs)| (tag(name), seqs.iter().copied().collect())).collect();
        Self { universe: universe.into_iter().collect(), tags, asked: Vec::new() }
    }

    fn seqs(&self, term: &Term) -> Seqs {
        self.tags.iter().find(|(name, _)| name == term).map(|(_, seqs)| seqs.clone()).unwrap_or_default()
    }

    fn scope(&self, program: &Program) -> Scope {
        Scope::new(program, &list(&self.universe), program.terms().iter().map(|term| list(&self.seqs(term))).collect())
    }

    /// The seqs that the audience means, and the scope that found them.
    fn evaluate(&mut self, text: &str) -> (Seqs, Scope) {
        let audience = Audience::parse(text, &AudienceLimits::default()).unwrap();
        self.evaluate_audience(&audience)
    }

    fn evaluate_audience(&mut self, audience: &Audience) -> (Seqs, Scope) {
        let program = Program::compile(audience);
        let scope = self.scope(&program);
        let mut found = Seqs::new();
        self.asked.clear();
        for place in scope.chunks().to_vec() {
            let universe = set(&self.universe, place.chunk);
            let Ok(members) = scope.evaluate(place.chunk, &universe, &mut Asked(self, &program));
            assert!(members.len() <= place.count, "{} in chunk {} of {audience}", members.len(), place.chunk);
            found.extend(members.iter().map(|offset| place.chunk << CHUNK_BITS | u32::from(offset)));
        }
        (found, scope)
    }
}

struct Asked<'a>(&'a mut Index, &'a Program);

impl TermSets for Asked<'_> {
    type Error = Infallible;

    fn set(&mut self, id: TermId, chunk: u32) -> Result<Cow<'_, ChunkSet>, Infallible> {
        let term = &self.1.terms()[id.index()];
        let set = set(&self.0.seqs(term), chunk);
        assert!(!set.is_empty(), "{term} was asked for in chunk {chunk}, where its list has nothing");
        self.0.asked.push((term.clone(), chunk));
        Ok(Cow::Owned(set))
    }
}

fn tag(name: &str) -> Term {
    Term::Tag(Tag::parse(name, 120).unwrap())
}

fn list(seqs: &Seqs) -> ChunkList {
    seqs.iter().map(|seq| (seq >> CHUNK_BITS, 1)).collect()
}

fn set(seqs: &Seqs, chunk: u32) -> ChunkSet {
    let first = chunk << CHUNK_BITS;
    seqs.range(first..first + CHUNK_SIZE).map(|seq| u16::try_from(seq - first).unwrap()).collect()
}

fn holds(expr: &Expr, seq: u32, index: &Index) -> bool {
    match expr {
        Expr::Term(term) => index.seqs(term).contains(&seq),
        Expr::Not(inner) => !holds(inner, seq, index),
        Expr::And(members) => members.iter().all(|member| holds(member, seq, index)),
        Expr::Or(members) => members.iter().any(|member| holds(member, seq, index)),
    }
}

fn trees() -> impl Strategy<Value = Expr> {
    let leaf = (0..NAMES.len()).prop_map(|n| Expr::Term(tag(NAMES[n])));
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            2 => inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            2 => vec(inner.clone(), 1..5).prop_map(Expr::And),
            2 => vec(inner, 1..5).prop_map(Expr::Or),
        ]
    })
}

/// Seqs of five chunks, few enough that chunks are often empty and tags often meet.
fn seqs(most: usize) -> impl Strategy<Value = Seqs> {
    let seq = (0..5u32, prop_oneof![0..12u32, CHUNK_SIZE - 4..CHUNK_SIZE]);
    btree_set(seq.prop_map(|(chunk, offset)| chunk << CHUNK_BITS | offset), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn evaluation_agrees_with_a_plain_reading(tree in trees(), universe in seqs(60), tags in vec(seqs(40), NAMES.len())) {
        let tags = NAMES.iter().map(|name| tag(name)).zip(tags).collect();
        let mut index = Index { universe, tags, asked: Vec::new() };
        let owed: Seqs = index.universe.iter().copied().filter(|&seq| holds(&tree, seq, &index)).collect();
        let (found, scope) = index.evaluate_audience(&Audience::Expr(tree));
        prop_assert!(found.len() as u64 <= scope.at_most());
        prop_assert_eq!(found, owed);
    }
}

/// First seq of a chunk, plus `offset`.
fn at(chunk: u32, offset: u32) -> u32 {
    chunk * CHUNK_SIZE + offset
}

#[test]
fn bounds_follow_the_operators() {
    let universe = (0..4).flat_map(|chunk| (0..10).map(move |offset| at(chunk, offset)));
    let a = [at(0, 0), at(0, 1), at(1, 0), at(9, 0)];
    let b = [at(1, 1), at(1, 2), at(2, 0)];
    let mut index = Index::new(universe, &[("a", &a), ("b", &b)]);
    let mut bound = |text: &str| -> Vec<(u32, u32)> {
        index.evaluate(text).1.chunks().iter().map(|place| (place.chunk, place.count)).collect()
    };
    assert_eq!(bound("a"), [(0, 2), (1, 1)]);
    assert_eq!(bound("a && b"), [(1, 1)]);
    assert_eq!(bound("a || b"), [(0, 2), (1, 3), (2, 1)]);
    assert_eq!(bound("a && !b"), [(0, 2), (1, 1)]);
    assert_eq!(bound("!a"), [(0, 10), (1, 10), (2, 10), (3, 10)]);
    assert_eq!(bound(""), bound("!a"));
    assert_eq!(bound("a || !a"), bound("!a"));
    assert_eq!(bound("a && unknown"), []);
}

#[test]
fn the_smallest_is_read_first_and_nothing_after_an_empty_set() {
    let many: Vec<u32> = (0..100).collect();
    let mut index = Index::new(0..100, &[("many", &many), ("few", &[1, 2]), ("other", &[3, 4, 5])]);
    let (found, _) = index.evaluate("many && !other && other && few");
    assert!(found.is_empty());
    assert_eq!(index.asked, [(tag("few"), 0), (tag("other"), 0)]);
    index.evaluate("few || other || many");
    assert_eq!(index.asked, [(tag("many"), 0)], "the largest covers the rest");
    index.evaluate("few && !!few && (few || few)");
    assert_eq!(index.asked, [(tag("few"), 0)], "a repeat is read once");
}

#[test]
fn terms_are_numbered_once_in_their_order() {
    let audience = Audience::parse("b && (a || !b) && $UserId:{b} && a", &AudienceLimits::default()).unwrap();
    let terms: Vec<_> = Program::compile(&audience).terms().iter().map(Term::to_string).collect();
    assert_eq!(terms, ["b", "a", "$UserId:{b}"]);
}

#[test]
fn ten_thousand_users_cost_one_look_each() {
    let seqs: Vec<u32> = (0..10_000).map(|n| n * 37).collect();
    let users = (0..10_000).map(|n| Term::User(format!("u{n}").into()));
    let audience = Audience::Expr(Expr::Or(users.map(Expr::Term).collect()));
    let program = Program::compile(&audience);
    let universe: ChunkList = (0..=at(0, 370_000) >> CHUNK_BITS).map(|chunk| (chunk, CHUNK_SIZE)).collect();
    let lists = seqs.iter().map(|seq| [(seq >> CHUNK_BITS, 1)].into_iter().collect()).collect();
    let scope = Scope::new(&program, &universe, lists);
    assert_eq!(scope.at_most(), 10_000);

    struct Users<'a>(&'a [u32], u32);
    impl TermSets for Users<'_> {
        type Error = Infallible;
        fn set(&mut self, term: TermId, chunk: u32) -> Result<Cow<'_, ChunkSet>, Infallible> {
            self.1 += 1;
            let seq = self.0[term.index()];
            assert_eq!(seq >> CHUNK_BITS, chunk);
            Ok(Cow::Owned(ChunkSet::from_iter([u16::try_from(seq % CHUNK_SIZE).unwrap()])))
        }
    }
    let mut users = Users(&seqs, 0);
    let mut found = Vec::new();
    for place in scope.chunks() {
        let Ok(members) = scope.evaluate(place.chunk, &ChunkSet::full(), &mut users);
        found.extend(members.iter().map(|offset| at(place.chunk, offset.into())));
    }
    assert_eq!(found, seqs);
    assert_eq!(users.1, 10_000);
}

#[test]
fn an_error_of_the_sets_ends_the_evaluation() {
    struct Broken;
    impl TermSets for Broken {
        type Error = &'static str;
        fn set(&mut self, _: TermId, _: u32) -> Result<Cow<'_, ChunkSet>, &'static str> {
            Err("unreadable")
        }
    }
    let index = Index::new(0..10, &[("a", &[1])]);
    let program = Program::compile(&Audience::parse("!(a && a)", &AudienceLimits::default()).unwrap());
    assert_eq!(index.scope(&program).evaluate(0, &ChunkSet::full(), &mut Broken), Err("unreadable"));
}
