//! The run form: ascending runs with at least one absent offset between neighbours.
//!
//! The merges take any ascending, disjoint runs, so a list joins in as runs of one.

/// Offsets `first` to `last`, both inclusive, `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u16,
    pub(super) last: u16,
}

impl Run {
    pub(super) fn one(offset: u16) -> Self {
        Self { first: offset, last: offset }
    }

    pub(super) fn len(&self) -> u32 {
        u32::from(self.last - self.first) + 1
    }
}

/// Which run holds `offset`, or where a run that starts there would go.
pub(super) fn position(runs: &[Run], offset: u16) -> Result<usize, usize> {
    let at = runs.partition_point(|run| run.last < offset);
    match runs.get(at) {
        Some(run) if run.first <= offset => Ok(at),
        _ => Err(at),
    }
}

/// True if the offset was absent.
pub(super) fn insert(runs: &mut Vec<Run>, offset: u16) -> bool {
    let Err(at) = position(runs, offset) else { return false };
    let joins_before = at > 0 && runs[at - 1].last + 1 == offset;
    let joins_after = runs.get(at).is_some_and(|run| run.first == offset + 1);
    match (joins_before, joins_after) {
        (true, true) => {
            runs[at - 1].last = runs[at].last;
            runs.remove(at);
        }
        (true, false) => runs[at - 1].last = offset,
        (false, true) => runs[at].first = offset,
        (false, false) => runs.insert(at, Run::one(offset)),
    }
    true
}

/// True if the offset was present.
pub(super) fn remove(runs: &mut Vec<Run>, offset: u16) -> bool {
    let Ok(at) = position(runs, offset) else { return false };
    let Run { first, last } = runs[at];
    match (first == offset, last == offset) {
        (true, true) => {
            runs.remove(at);
        }
        (true, false) => runs[at].first = offset + 1,
        (false, true) => runs[at].last = offset - 1,
        (false, false) => {
            runs[at].first = offset + 1;
            runs.insert(at, Run { first, last: offset - 1 });
        }
    }
    true
}

pub(super) fn unite(a: impl Iterator<Item = Run>, b: impl Iterator<Item = Run>) -> Vec<Run> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    let mut out: Vec<Run> = Vec::with_capacity(a.size_hint().0.max(b.size_hint().0));
    loop {
        let from_a = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => x.first <= y.first,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return out,
        };
        let Some(run) = (if from_a { a.next() } else { b.next() }) else { return out };
        match out.last_mut() {
            Some(open) if u32::from(run.first) <= u32::from(open.last) + 1 => open.last = open.last.max(run.last),
            _ => out.push(run),
        }
    }
}

/// Gives each piece that lies in both, ascending.
pub(super) fn intersect(a: &[Run], b: &[Run], mut piece: impl FnMut(Run)) {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        let both = Run { first: x.first.max(y.first), last: x.last.min(y.last) };
        if both.first <= both.last {
            piece(both);
        }
        if x.last < y.last {
            a.next();
        } else {
            b.next();
        }
    }
}

/// What is left of `a` without `b`.
pub(super) fn subtract(a: &[Run], b: impl Iterator<Item = Run>) -> Vec<Run> {
    let mut b = b.peekable();
    let mut out = Vec::with_capacity(a.len());
    for run in a {
        // One past the last offset may not fit the type at the end of the chunk's range, hence the wider one.
        let mut first = u32::from(run.first);
        while let Some(hole) = b.peek().copied() {
            if hole.first > run.last {
                break;
            }
            if u32::from(hole.first) > first {
                out.push(Run { first: super::iter::offset(first), last: hole.first - 1 });
            }
            first = first.max(u32::from(hole.last) + 1);
            if hole.last > run.last {
                break;
            }
            b.next();
        }
        if first <= u32::from(run.last) {
            out.push(Run { first: super::iter::offset(first), last: run.last });
        }
    }
    out
}
