//! From text to tree, with a stack of its own: neither depth nor length of an expression touches the call stack.
use std::sync::Arc;

use super::error::{AudienceError, AudienceFault};
use super::{Audience, AudienceLimits, Expr, Tag, Term, is_bare_id_char, is_tag_char};

/// The keywords of the system terms, matched without regard to case. Their ids are not.
const USER: &str = "$UserId:";
const INSTALLATION: &str = "$InstallationId:";

pub(super) fn parse(text: &str, limits: &AudienceLimits) -> Result<Audience, AudienceError> {
    let mut parser = Parser { text, at: 0, limits, terms: 0, depth: 0 };
    if parser.peek().is_none() {
        return Ok(Audience::Everyone);
    }
    parser.expression().map(Audience::Expr)
}

struct Parser<'a> {
    text: &'a str,
    /// Byte offset of the next token, blanks not yet skipped.
    at: usize,
    limits: &'a AudienceLimits,
    terms: usize,
    /// Parentheses and negations that are open.
    depth: usize,
}

/// What was read since a `(`, or since the start.
#[derive(Default)]
struct Group {
    /// Finished members of the disjunction.
    or: Vec<Expr>,
    /// Finished members of the conjunction that is open.
    and: Vec<Expr>,
    /// Negations in front of the operand that comes next.
    nots: usize,
    /// Byte offset of the `(`.
    opened: usize,
}

impl Group {
    fn close(mut self) -> Expr {
        self.close_and();
        one_or_many(&mut self.or, Expr::Or)
    }

    fn close_and(&mut self) {
        match one_or_many(&mut self.and, Expr::And) {
            Expr::Or(members) => self.or.extend(members),
            member => self.or.push(member),
        }
    }

    /// Takes an operand; gives back how many negations it used up.
    fn operand(&mut self, operand: Expr) -> usize {
        let nots = std::mem::take(&mut self.nots);
        match (0..nots).fold(operand, |inner, _| Expr::Not(Box::new(inner))) {
            Expr::And(members) => self.and.extend(members),
            member => self.and.push(member),
        }
        nots
    }
}

/// Empties `members`. A single one leaves the buffer for the next: most conjunctions have one member.
fn one_or_many(members: &mut Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    if members.len() == 1
        && let Some(only) = members.pop()
    {
        return only;
    }
    many(std::mem::take(members))
}

impl Parser<'_> {
    fn expression(&mut self) -> Result<Expr, AudienceError> {
        let mut outer: Vec<Group> = Vec::new();
        let mut group = Group::default();
        loop {
            let operand = match self.peek() {
                Some('!') => {
                    self.deeper()?;
                    group.nots += 1;
                    continue;
                }
                Some('(') => {
                    let opened = self.at;
                    self.deeper()?;
                    outer.push(std::mem::replace(&mut group, Group { opened, ..Group::default() }));
                    continue;
                }
                _ => Expr::Term(self.term()?),
            };
            self.depth -= group.operand(operand);

            while self.peek() == Some(')')
                && let Some(enclosing) = outer.pop()
            {
                self.at += 1;
                let inner = std::mem::replace(&mut group, enclosing).close();
                self.depth -= 1 + group.operand(inner);
            }
            match self.peek() {
                None if outer.is_empty() => return Ok(group.close()),
                Some('&') if self.text[self.at..].starts_with("&&") => self.at += 2,
                Some('|') if self.text[self.at..].starts_with("||") => {
                    self.at += 2;
                    group.close_and();
                }
                found if outer.is_empty() => return Err(self.error(AudienceFault::ExpectedOperator(found))),
                found => {
                    let opened = self.position(group.opened);
                    return Err(self.error(AudienceFault::ExpectedClosing { opened, found }));
                }
            }
        }
    }

    fn term(&mut self) -> Result<Term, AudienceError> {
        match self.peek() {
            Some('$') => self.system_term(),
            Some(character) if is_tag_char(character) => self.tag().map(Term::Tag),
            found => Err(self.error(AudienceFault::ExpectedTerm(found))),
        }
    }

    fn tag(&mut self) -> Result<Tag, AudienceError> {
        self.count_term()?;
        let rest = &self.text[self.at..];
        let end = rest.find(|character| !is_tag_char(character)).unwrap_or(rest.len());
        let text = &rest[..end];
        let tag = Tag::parse(text, self.limits.tag_length).map_err(|error| {
            let fault = AudienceFault::TagTooLong { limit: self.limits.tag_length };
            AudienceError { position: self.position(self.at) + error.position() - 1, fault }
        })?;
        self.at += end;
        Ok(tag)
    }

    fn system_term(&mut self) -> Result<Term, AudienceError> {
        let rest = &self.text[self.at..];
        // Compared as bytes: a keyword's length may fall within a character of the text.
        let starts_with = |keyword: &str| {
            rest.as_bytes().get(..keyword.len()).is_some_and(|start| start.eq_ignore_ascii_case(keyword.as_bytes()))
        };
        let (keyword, term): (_, fn(Arc<str>) -> Term) = if starts_with(USER) {
            (USER, Term::User)
        } else if starts_with(INSTALLATION) {
            (INSTALLATION, Term::Installation)
        } else {
            return Err(self.error(AudienceFault::UnknownSystemTerm));
        };
        self.count_term()?;
        self.at += keyword.len();
        let rest = &self.text[self.at..];
        let id = if let Some(inner) = rest.strip_prefix('{') {
            let Some(end) = inner.find('}') else {
                let fault = AudienceFault::OpenBrace { opened: self.position(self.at) };
                return Err(AudienceError { position: self.position(self.text.len()), fault });
            };
            self.at += 1;
            if end == 0 {
                return Err(self.error(AudienceFault::ExpectedId(Some('}'))));
            }
            self.at += end + 1;
            &inner[..end]
        } else {
            let end = rest.find(|character| !is_bare_id_char(character)).unwrap_or(rest.len());
            if end == 0 {
                return Err(self.error(AudienceFault::ExpectedId(rest.chars().next())));
            }
            self.at += end;
            &rest[..end]
        };
        Ok(term(id.into()))
    }

    /// Skips blanks; the character that comes next.
    fn peek(&mut self) -> Option<char> {
        // Most tokens follow at once and start with an ASCII character.
        if let Some(&byte @ b'!'..=b'~') = self.text.as_bytes().get(self.at) {
            return Some(char::from(byte));
        }
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    /// Steps over a `(` or `!`.
    fn deeper(&mut self) -> Result<(), AudienceError> {
        if self.depth == self.limits.depth {
            return Err(self.error(AudienceFault::TooDeep { limit: self.limits.depth }));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn count_term(&mut self) -> Result<(), AudienceError> {
        if self.terms == self.limits.terms {
            return Err(self.error(AudienceFault::TooManyTerms { limit: self.limits.terms }));
        }
        self.terms += 1;
        Ok(())
    }

    fn error(&self, fault: AudienceFault) -> AudienceError {
        AudienceError { position: self.position(self.at), fault }
    }

    /// A byte offset as a character position from 1. Counted only for errors.
    fn position(&self, at: usize) -> usize {
        self.text[..at].chars().count() + 1
    }
}
