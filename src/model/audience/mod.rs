//! Audiences: boolean expressions over tags, and which seqs they mean.
//!
//! A text becomes an [`Audience`] (`parse`), a tree as the user wrote it. A [`Program`] (`program`) is the same
//! compiled: a table of distinct terms and nodes that name them by index, so that a term is looked up once however
//! often it occurs. With each term's [`ChunkList`] (`bound`) it becomes a [`Scope`] (`scope`): the chunks in which the
//! expression can be true, and its evaluation there, chunk by chunk.
//!
//! Grammar (`notification-hubs.md` 3.3); blanks are free between tokens, `!` binds before `&&` before `||`:
//!
//! ```text
//! expression = and *( "||" and )
//! and        = not *( "&&" not )
//! not        = "!" not / "(" expression ")" / term
//! term       = tag / ( "$UserId:" / "$InstallationId:" ) ( "{" 1*( any but "}" ) "}" / 1*( tag character / "=" ) )
//! ```
mod bound;
mod error;
mod parse;
mod program;
mod scope;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use bound::{ChunkCount, ChunkList};
pub use error::{AudienceError, AudienceFault};
pub use program::{Program, TermId};
pub use scope::{Scope, TermSets};

use super::tag::{Tag, is_tag_char};

/// How large an expression may be. A configuration's `[limits]` fill it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudienceLimits {
    /// Terms, each occurrence counted.
    pub terms: usize,
    /// Parentheses and `!` around one term. It also bounds every recursion over the tree, so it stays small.
    pub depth: usize,
    /// Characters of a tag.
    pub tag_length: usize,
}

impl Default for AudienceLimits {
    fn default() -> Self {
        Self { terms: 10_000, depth: 64, tag_length: Tag::MAX_LENGTH }
    }
}

/// Whom a broadcast is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Audience {
    /// The empty expression.
    #[default]
    Everyone,
    Expr(Expr),
}

/// An expression. As parsed, `And` and `Or` have at least two members, none of their own kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    Term(Term),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

/// What an index is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Term {
    Tag(Tag),
    /// Targets of the installations of this user id.
    User(Arc<str>),
    /// Targets of the installation with this id.
    Installation(Arc<str>),
}

impl Audience {
    /// Reads an expression; a blank text is everyone.
    ///
    /// # Errors
    /// [`AudienceError`] with the character at fault and what was expected there.
    pub fn parse(text: &str, limits: &AudienceLimits) -> Result<Self, AudienceError> {
        parse::parse(text, limits)
    }

    /// The terms, from left to right, repeats included.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        let mut open: Vec<&Expr> = match self {
            Self::Everyone => Vec::new(),
            Self::Expr(expr) => vec![expr],
        };
        std::iter::from_fn(move || {
            loop {
                match open.pop()? {
                    Expr::Term(term) => return Some(term),
                    Expr::Not(inner) => open.push(inner),
                    Expr::And(members) | Expr::Or(members) => open.extend(members.iter().rev()),
                }
            }
        })
    }

    /// Whether it names a user anywhere, negated or not. Such a broadcast skips targets whose user changed after the
    /// plan.
    #[must_use]
    pub fn names_user(&self) -> bool {
        self.terms().any(|term| matches!(term, Term::User(_)))
    }
}

/// The canonical text: parsing it gives the same tree again. Only tags that are valid in an expression keep this
/// promise, so not every [`Tag::from_template_name`].
impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => Ok(()),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term(term) => term.fmt(f),
            Self::Not(inner) => {
                f.write_str("!")?;
                grouped(inner, matches!(**inner, Self::And(_) | Self::Or(_)), f)
            }
            Self::And(members) => joined(members, " && ", |member| matches!(member, Self::And(_) | Self::Or(_)), f),
            Self::Or(members) => joined(members, " || ", |member| matches!(member, Self::Or(_)), f),
        }
    }
}

fn joined(
    members: &[Expr],
    operator: &str,
    in_parentheses: impl Fn(&Expr) -> bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            f.write_str(operator)?;
        }
        grouped(member, in_parentheses(member), f)?;
    }
    Ok(())
}

fn grouped(expr: &Expr, in_parentheses: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if in_parentheses { write!(f, "({expr})") } else { fmt::Display::fmt(expr, f) }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::User(id) => write!(f, "$UserId:{{{id}}}"),
            Self::Installation(id) => write!(f, "$InstallationId:{{{id}}}"),
        }
    }
}

/// What may stand in an id that is written without braces.
fn is_bare_id_char(character: char) -> bool {
    is_tag_char(character) || character == '='
}
