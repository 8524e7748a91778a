//! Two sets in, one out: intersection, union, difference.
//!
//! The result takes the form that falls out of the operands most cheaply: what meets a list becomes a list, two bit
//! sets work word by word, runs stay runs while they are few. The in-place variants are the hot ones: an
//! expression is evaluated by narrowing one set again and again.
use super::iter::Runs;
use super::run::{self, Run};
use super::words::{self, Words};
use super::{CHUNK_SIZE, ChunkSet, Form};

/// So few members are put in or taken out one by one: cheaper than any merge.
const FEW: usize = 8;
/// Runs and a list together are merged up to this length; beyond it, bits are painted in less time than the runs
/// that the list cuts out can be written.
const PIECES: usize = 64;
/// Two lists that are longer together meet by painting one as bits: a merge waits three times as long for each
/// member, as every step depends on the one before.
const PAINT: usize = 64;
/// Two lists up to this length together unite to a list, longer ones to bits.
const MERGE: usize = 256;
/// From this ratio of lengths on, the longer list is walked by leaps instead.
const SKEW: usize = 16;

impl ChunkSet {
    /// Members of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (&self.form, &other.form) {
            (Form::List(a), Form::List(b)) if b.len() < a.len() => filtered(b, &self.form, true),
            (Form::List(a), _) => filtered(a, &other.form, true),
            (_, Form::List(b)) => filtered(b, &self.form, true),
            (Form::Bits(a), Form::Bits(b)) => {
                let (words, len) = words::combine(a, b, |a, b| a & b);
                Self::of_fewer_bits(words, len)
            }
            (Form::Runs(a), Form::Runs(b)) => {
                let mut runs = Vec::with_capacity(a.len().max(b.len()));
                run::intersect(a, b, |piece| runs.push(piece));
                Self::of_runs(runs)
            }
            (Form::Bits(a), Form::Runs(b)) | (Form::Runs(b), Form::Bits(a)) => {
                let mut words = a.clone();
                remove_gaps(&mut words, b);
                let len = words::count(&words);
                Self::of_fewer_bits(words, len)
            }
        }
    }

    /// Members of either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        if let (Form::Bits(a), Form::Bits(b)) = (&self.form, &other.form) {
            let (words, len) = words::combine(a, b, |a, b| a | b);
            return Self { len, form: Form::Bits(words) };
        }
        let (mut out, added) = if self.len < other.len { (other.clone(), self) } else { (self.clone(), other) };
        out.union_with(added);
        out
    }

    /// Members of `self` that are not members of `other`.
    #[must_use]
    pub fn and_not(&self, other: &Self) -> Self {
        match (&self.form, &other.form) {
            (Form::List(a), _) => filtered(a, &other.form, false),
            (Form::Bits(a), Form::Bits(b)) => {
                let (words, len) = words::combine(a, b, |a, b| a & !b);
                Self::of_fewer_bits(words, len)
            }
            _ => {
                let mut out = self.clone();
                out.subtract(other);
                out
            }
        }
    }

    /// Keeps the members that are in `other` too.
    pub fn intersect_with(&mut self, other: &Self) {
        match (&mut self.form, &other.form) {
            (Form::List(list), form) => {
                retain(list, form, true);
                self.len = super::iter::small(list.len());
            }
            (Form::Bits(a), Form::Bits(b)) => {
                self.len = words::combine_into(a, b, |a, b| a & b);
                self.leave_sparse_bits();
            }
            (Form::Bits(a), Form::Runs(b)) => {
                remove_gaps(a, b);
                self.len = words::count(a);
                self.leave_sparse_bits();
            }
            _ => *self = self.and(other),
        }
    }

    /// Adds the members of `other`.
    pub fn union_with(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        match (&mut self.form, &other.form) {
            (Form::Bits(a), Form::Bits(b)) => self.len = words::combine_into(a, b, |a, b| a | b),
            (Form::Bits(a), Form::Runs(b)) => {
                b.iter().for_each(|&run| words::insert_run(a, run));
                self.len = words::count(a);
            }
            (Form::Bits(a), Form::List(b)) => {
                self.len += super::iter::small(b.iter().filter(|&&offset| words::insert(a, offset)).count());
            }
            (_, Form::List(b)) if b.len() <= FEW => self.extend(b.iter().copied()),
            (Form::List(a), Form::List(b)) if a.len() + b.len() <= MERGE => *self = Self::of_list(merged(a, b)),
            (Form::List(a), Form::Runs(b)) if a.len() + b.len() <= PIECES => {
                *self = Self::of_runs(run::unite(Runs::List(a), b.iter().copied()));
            }
            (Form::Runs(a), Form::List(b)) if a.len() + b.len() <= PIECES => {
                *self = Self::of_runs(run::unite(a.iter().copied(), Runs::List(b)));
            }
            (Form::Runs(a), Form::Runs(b)) => {
                *self = Self::of_runs(run::unite(a.iter().copied(), b.iter().copied()));
            }
            (_, form) => {
                let mut words = std::mem::take(self).into_words();
                form.paint(&mut words);
                *self = Self { len: words::count(&words), form: Form::Bits(words) };
            }
        }
    }

    /// Takes the members of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        match (&mut self.form, &other.form) {
            (Form::List(list), form) => {
                retain(list, form, false);
                self.len = super::iter::small(list.len());
            }
            (Form::Bits(a), Form::Bits(b)) => {
                self.len = words::combine_into(a, b, |a, b| a & !b);
                self.leave_sparse_bits();
            }
            (Form::Bits(a), Form::Runs(b)) => {
                b.iter().for_each(|&run| words::remove_run(a, run));
                self.len = words::count(a);
                self.leave_sparse_bits();
            }
            (Form::Bits(a), Form::List(b)) => {
                self.len -= super::iter::small(b.iter().filter(|&&offset| words::remove(a, offset)).count());
                self.leave_sparse_bits();
            }
            (Form::Runs(_), Form::List(b)) if b.len() <= FEW => {
                for &offset in b {
                    self.remove(offset);
                }
            }
            (Form::Runs(a), Form::List(b)) if a.len() + b.len() <= PIECES => {
                *self = Self::of_runs(run::subtract(a, b.iter().copied().map(Run::one)));
            }
            (Form::Runs(a), Form::Runs(b)) => *self = Self::of_runs(run::subtract(a, b.iter().copied())),
            (Form::Runs(_), Form::List(_)) => {
                self.make_bits();
                self.subtract(other);
            }
            (Form::Runs(_), Form::Bits(b)) => {
                let mut words = std::mem::take(self).into_words();
                let len = words::combine_into(&mut words, b, |a, b| a & !b);
                *self = Self::of_fewer_bits(words, len);
            }
        }
    }

    /// Cardinality of the intersection, without building it.
    #[must_use]
    pub fn and_len(&self, other: &Self) -> u32 {
        match (&self.form, &other.form) {
            (Form::List(a), Form::List(b)) if b.len() < a.len() => members_in(b, &self.form),
            (Form::List(a), form) => members_in(a, form),
            (form, Form::List(b)) => members_in(b, form),
            (Form::Bits(a), Form::Bits(b)) => words::and_count(a, b),
            (Form::Bits(a), Form::Runs(b)) | (Form::Runs(b), Form::Bits(a)) => {
                b.iter().map(|&run| words::count_run(a, run)).sum()
            }
            (Form::Runs(a), Form::Runs(b)) => {
                let mut len = 0;
                run::intersect(a, b, |piece| len += piece.len());
                len
            }
        }
    }

    /// Whether every member is a member of `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.len <= other.len && self.and_len(other) == self.len
    }
}

/// The members of an ascending list that are (or are not) in `form`.
fn filtered(list: &[u16], form: &Form, wanted: bool) -> ChunkSet {
    let mut out = list.to_vec();
    retain(&mut out, form, wanted);
    ChunkSet::of_list(out)
}

fn retain(list: &mut Vec<u16>, form: &Form, wanted: bool) {
    put(list.len(), form, Retain { list, wanted });
}

fn members_in(list: &[u16], form: &Form) -> u32 {
    put(list.len(), form, Tally(list))
}

/// Ascending offsets that are to be asked for one by one. A trait, as every form must get a loop of its own: one that
/// matched the form at each step would take twice as long.
trait Questions {
    type Answer;

    fn ask(self, contains: impl FnMut(u16) -> bool) -> Self::Answer;
}

struct Retain<'a> {
    list: &'a mut Vec<u16>,
    wanted: bool,
}

impl Questions for Retain<'_> {
    type Answer = ();

    fn ask(self, mut contains: impl FnMut(u16) -> bool) {
        // No branch depends on membership: it is a coin toss, and a wrong guess costs more than the rest of a step.
        let mut kept = 0;
        for at in 0..self.list.len() {
            let offset = self.list[at];
            self.list[kept] = offset;
            kept += usize::from(contains(offset) == self.wanted);
        }
        self.list.truncate(kept);
    }
}

struct Tally<'a>(&'a [u16]);

impl Questions for Tally<'_> {
    type Answer = u32;

    fn ask(self, mut contains: impl FnMut(u16) -> bool) -> u32 {
        self.0.iter().map(|&offset| u32::from(contains(offset))).sum()
    }
}

/// Puts `count` questions to a form in the way that suits it.
fn put<Q: Questions>(count: usize, form: &Form, questions: Q) -> Q::Answer {
    match form {
        Form::Bits(words) => questions.ask(|offset| words::contains(words, offset)),
        Form::List(list) if list.len() + count > PAINT && list.len() / SKEW <= count => {
            let mut words = [0; words::WORDS];
            form.paint(&mut words);
            questions.ask(|offset| words::contains(&words, offset))
        }
        Form::List(list) => {
            let mut rest = &list[..];
            questions.ask(|offset| {
                rest = skip(rest, |&member| member < offset);
                rest.first() == Some(&offset)
            })
        }
        Form::Runs(runs) => {
            let mut rest = &runs[..];
            questions.ask(|offset| {
                rest = skip(rest, |run| run.last < offset);
                rest.first().is_some_and(|run| run.first <= offset)
            })
        }
    }
}

fn merged(a: &[u16], b: &[u16]) -> Vec<u16> {
    let mut out = vec![0; a.len() + b.len()];
    let (mut a_at, mut b_at, mut len) = (0, 0, 0);
    while a_at < a.len() && b_at < b.len() {
        let (x, y) = (a[a_at], b[b_at]);
        out[len] = x.min(y);
        len += 1;
        a_at += usize::from(x <= y);
        b_at += usize::from(y <= x);
    }
    out.truncate(len);
    out.extend_from_slice(&a[a_at..]);
    out.extend_from_slice(&b[b_at..]);
    out
}

/// Clears what lies between the runs.
fn remove_gaps(words: &mut Words, runs: &[Run]) {
    let mut next = 0;
    for run in runs {
        if run.first > next {
            words::remove_run(words, Run { first: next, last: run.first - 1 });
        }
        next = run.last + 1;
    }
    if u32::from(next) < CHUNK_SIZE {
        words::remove_run(words, Run { first: next, last: super::LAST });
    }
}

/// Drops the head that is `before`, by steps that double: short ways cost one look, long ones a logarithm.
fn skip<T>(slice: &[T], before: impl Fn(&T) -> bool) -> &[T] {
    let mut step = 1;
    let mut low = 0;
    while slice.get(low + step - 1).is_some_and(&before) {
        low += step;
        step *= 2;
    }
    let high = (low + step).min(slice.len());
    &slice[low + slice[low..high].partition_point(before)..]
}
