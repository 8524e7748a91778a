//! A compiled audience: distinct terms in a table, negation only as "without".
use std::collections::HashMap;

use super::{Audience, Expr, Term};

/// The place of a term in [`Program::terms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermId(u32);

impl TermId {
    /// For tables that run beside [`Program::terms`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An audience as it is looked up and evaluated. See [`Scope`](super::Scope) for the next step.
#[derive(Debug, Clone)]
pub struct Program {
    terms: Vec<Term>,
    pub(super) root: Node,
}

/// Negations have been pushed into `All`: a complement is never an operand, so it need never be built.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Term(TermId),
    /// In every one of `within` (the universe when there is none) and in none of `without`.
    All {
        within: Members,
        without: Members,
    },
    /// In at least one.
    Any(Members),
}

/// Operands in no particular order. Terms stand apart because they may be thousands.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    /// Ascending, each once.
    pub(super) terms: Vec<TermId>,
    pub(super) nodes: Vec<Node>,
}

impl Members {
    fn push(&mut self, node: Node) {
        match node {
            Node::Term(id) => self.terms.push(id),
            node => self.nodes.push(node),
        }
    }

    fn finish(mut self) -> Self {
        self.terms.sort_unstable();
        self.terms.dedup();
        self
    }

    /// The only member, if it is a term.
    fn only_term(&self) -> Option<TermId> {
        if self.nodes.is_empty() && self.terms.len() == 1 { self.terms.first().copied() } else { None }
    }
}

impl Program {
    #[must_use]
    pub fn compile(audience: &Audience) -> Self {
        let occurrences = audience.terms().count();
        let mut compiler =
            Compiler { terms: Vec::with_capacity(occurrences), ids: HashMap::with_capacity(occurrences) };
        let root = match audience {
            Audience::Everyone => Node::All { within: Members::default(), without: Members::default() },
            Audience::Expr(expr) => compiler.node(expr),
        };
        Self { terms: compiler.terms, root }
    }

    /// The distinct terms, in the order of their first occurrence. A term's index here is its [`TermId`].
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }
}

struct Compiler<'a> {
    terms: Vec<Term>,
    ids: HashMap<&'a Term, TermId>,
}

impl<'a> Compiler<'a> {
    fn node(&mut self, expr: &'a Expr) -> Node {
        match expr {
            Expr::Term(term) => Node::Term(self.term(term)),
            Expr::Or(_) => {
                let mut members = Members::default();
                self.any(expr, &mut members);
                let members = members.finish();
                members.only_term().map_or(Node::Any(members), Node::Term)
            }
            Expr::And(_) | Expr::Not(_) => {
                let (mut within, mut without) = (Members::default(), Members::default());
                self.all(expr, &mut within, &mut without);
                let (within, without) = (within.finish(), without.finish());
                let alone = without.terms.is_empty() && without.nodes.is_empty();
                match within.only_term() {
                    Some(id) if alone => Node::Term(id),
                    _ => Node::All { within, without },
                }
            }
        }
    }

    /// Sorts what must hold from what must not: `!!a` is a, `!(a || b)` is neither a nor b.
    fn all(&mut self, expr: &'a Expr, within: &mut Members, without: &mut Members) {
        match expr {
            Expr::And(members) => members.iter().for_each(|member| self.all(member, within, without)),
            Expr::Not(inner) => self.none(inner, within, without),
            Expr::Term(_) | Expr::Or(_) => within.push(self.node(expr)),
        }
    }

    fn none(&mut self, expr: &'a Expr, within: &mut Members, without: &mut Members) {
        match expr {
            Expr::Or(members) => members.iter().for_each(|member| self.none(member, within, without)),
            Expr::Not(inner) => self.all(inner, within, without),
            Expr::Term(_) | Expr::And(_) => without.push(self.node(expr)),
        }
    }

    fn any(&mut self, expr: &'a Expr, into: &mut Members) {
        match expr {
            Expr::Or(members) => members.iter().for_each(|member| self.any(member, into)),
            _ => into.push(self.node(expr)),
        }
    }

    fn term(&mut self, term: &'a Term) -> TermId {
        let Self { terms, ids } = self;
        *ids.entry(term).or_insert_with(|| {
            terms.push(term.clone());
            // An expression of four billion terms does not fit a request.
            TermId(u32::try_from(terms.len() - 1).unwrap_or(u32::MAX))
        })
    }
}
