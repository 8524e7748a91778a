//! The `$filter` grammar of spec 2.3, by recursive descent.
//!
//! ```text
//! or      := and ("or" and)*                   mul     := unary (("mul"|"div"|"mod") unary)*
//! and     := cmp ("and" cmp)*                  unary   := "not" unary | "-" unary | primary
//! cmp     := add (("eq"|…) add | "in" list)?   primary := literal | function | member | "(" or ")"
//! add     := mul (("add"|"sub") mul)*
//! ```

use super::expr::{Arithmetic, Comparison, Expr, Function, Literal};
use super::literal;

/// The longest filter, in bytes.
pub const LONGEST: usize = 32 * 1024;
/// The most parts of an expression: operators, names, literals.
pub const LARGEST: usize = 2_000;
/// How deep parentheses, `not` and arguments may go.
pub const DEEPEST: usize = 64;

/// Where reading stopped, and why. Prints so that it reads on after `$filter`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is wrong at index {at}: {rule}")]
pub struct FilterError {
    /// In characters from 0.
    pub at: usize,
    pub rule: String,
}

/// Reads a filter.
pub fn parse(text: &str) -> Result<Expr, FilterError> {
    if text.len() > LONGEST {
        return Err(FilterError { at: 0, rule: format!("a filter has at most {LONGEST} bytes") });
    }
    let mut parser = Parser { text, at: 0, depth: 0, size: 0 };
    let expr = parser.or()?;
    parser.spaces();
    if parser.at < text.len() {
        return Err(parser.wrong("an operator or the end was expected"));
    }
    Ok(expr)
}

type Parsed<T = Expr> = Result<T, FilterError>;

struct Parser<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    depth: usize,
    size: usize,
}

/// A word: a name, a keyword, or a literal without quotes.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Parsed {
        self.chain("or", Self::and, Expr::Or)
    }

    fn and(&mut self) -> Parsed {
        self.chain("and", Self::comparison, Expr::And)
    }

    fn chain(&mut self, word: &str, part: fn(&mut Self) -> Parsed, made: fn(Vec<Expr>) -> Expr) -> Parsed {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.keyword(word) {
            parts.push(part(self)?);
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => self.counted(made(parts)),
        }
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let word = self.peek_word();
        if let Some(operator) = Comparison::of_word(word) {
            self.at += word.len();
            let right = self.sum()?;
            return self.counted(Expr::Compare(operator, Box::new(left), Box::new(right)));
        }
        if word.eq_ignore_ascii_case("in") {
            self.at += word.len();
            let list = self.list()?;
            return self.counted(Expr::In(Box::new(left), list));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        self.arithmetic(&[Arithmetic::Add, Arithmetic::Subtract], Self::product)
    }

    fn product(&mut self) -> Parsed {
        self.arithmetic(&[Arithmetic::Multiply, Arithmetic::Divide, Arithmetic::Modulo], Self::unary)
    }

    fn arithmetic(&mut self, operators: &[Arithmetic], part: fn(&mut Self) -> Parsed) -> Parsed {
        let mut left = part(self)?;
        let before = self.depth;
        loop {
            let word = self.peek_word();
            let Some(operator) = Arithmetic::of_word(word).filter(|found| operators.contains(found)) else { break };
            self.at += word.len();
            // A chain is as deep as it is long: it is evaluated from the left.
            self.deeper()?;
            let right = part(self)?;
            left = self.counted(Expr::Arithmetic(operator, Box::new(left), Box::new(right)))?;
        }
        self.depth = before;
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        if self.keyword("not") {
            self.deeper()?;
            let inner = self.unary()?;
            self.depth -= 1;
            return self.counted(Expr::Not(Box::new(inner)));
        }
        if self.rest().starts_with('-') {
            if let Some(literal) = self.bare() {
                return self.counted(Expr::Literal(literal));
            }
            self.at += 1;
            self.deeper()?;
            let inner = self.unary()?;
            self.depth -= 1;
            return self.counted(Expr::Negated(Box::new(inner)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Parsed {
        self.spaces();
        if self.take('(') {
            self.deeper()?;
            let inner = self.or()?;
            self.depth -= 1;
            self.spaces();
            return if self.take(')') { Ok(inner) } else { Err(self.wrong("')' or an operator was expected")) };
        }
        if let Some(literal) = self.literal()? {
            return self.counted(Expr::Literal(literal));
        }
        let word = self.peek_word();
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.wrong("an expression was expected"));
        }
        let begun = self.at;
        self.at += word.len();
        if self.rest().starts_with('(') {
            return self.call(word, begun);
        }
        if self.rest().starts_with('/') {
            return Err(self.wrong("members of members cannot be asked for"));
        }
        self.counted(Expr::Member(word.to_owned()))
    }

    fn call(&mut self, word: &str, begun: usize) -> Parsed {
        let name = word.to_ascii_lowercase();
        self.at += 1;
        if name == "cast" {
            let literal = self.cast()?;
            return self.counted(Expr::Literal(literal));
        }
        let swapped = name == "substringof";
        let known = if swapped { "contains" } else { name.as_str() };
        let Some((_, function, least, most)) = Function::ALL.into_iter().find(|(name, ..)| *name == known) else {
            self.at = begun;
            return Err(self.wrong(&format!("{word} is no function that can be asked for")));
        };
        self.deeper()?;
        let mut arguments = Vec::new();
        self.spaces();
        if !self.take(')') {
            loop {
                arguments.push(self.or()?);
                self.spaces();
                if self.take(')') {
                    break;
                }
                if !self.take(',') {
                    return Err(self.wrong("',' or ')' was expected"));
                }
            }
        }
        self.depth -= 1;
        if !(least..=most).contains(&arguments.len()) {
            self.at = begun;
            let count = if least == most { least.to_string() } else { format!("{least} or {most}") };
            return Err(self.wrong(&format!("{word} takes {count} arguments")));
        }
        if swapped {
            arguments.reverse();
        }
        self.counted(Expr::Call(function, arguments))
    }

    /// `cast(` is read; the rest is a literal, quoted or bare, and a type.
    fn cast(&mut self) -> Parsed<Literal> {
        self.spaces();
        let begun = self.at;
        let text = match self.take('\'') {
            true => self.quoted(false)?,
            false => {
                let end = self.rest().find([',', ')', '(', '\'']).unwrap_or(self.rest().len());
                let text = self.rest()[..end].to_owned();
                self.at += end;
                text
            }
        };
        self.spaces();
        if !self.take(',') {
            return Err(self.wrong("',' and a type such as Edm.DateTimeOffset was expected"));
        }
        let end = self.rest().find(')').ok_or_else(|| self.wrong("')' was expected"))?;
        let edm = self.rest()[..end].trim().trim_matches('\'').to_owned();
        self.at += end + 1;
        if text.contains('\0') {
            self.at = begun;
            return Err(self.wrong("a text must not contain U+0000"));
        }
        literal::of_type(&text, &edm).map_err(|rule| {
            self.at = begun;
            self.wrong(rule)
        })
    }

    fn list(&mut self) -> Parsed<Vec<Literal>> {
        self.spaces();
        if !self.take('(') {
            return Err(self.wrong("'(' was expected"));
        }
        let mut list = Vec::new();
        loop {
            self.spaces();
            let literal = match self.take('\'') {
                true => Literal::Text(self.quoted(true)?),
                false => match self.literal()? {
                    Some(literal) => literal,
                    None => self.bare_or_cast()?,
                },
            };
            list.push(literal);
            self.count()?;
            self.spaces();
            if self.take(')') {
                return Ok(list);
            }
            if !self.take(',') {
                return Err(self.wrong("',' or ')' was expected"));
            }
        }
    }

    /// What of a list's literals does not begin like one: `-3`, `cast(…)`.
    fn bare_or_cast(&mut self) -> Parsed<Literal> {
        if let Some(literal) = self.bare() {
            return Ok(literal);
        }
        let word = self.peek_word();
        if word.eq_ignore_ascii_case("cast") && self.rest()[word.len()..].starts_with('(') {
            self.at += word.len() + 1;
            return self.cast();
        }
        Err(self.wrong("a literal was expected"))
    }

    /// A literal, when the text goes on with one.
    fn literal(&mut self) -> Parsed<Option<Literal>> {
        if self.take('\'') {
            return Ok(Some(Literal::Text(self.quoted(false)?)));
        }
        if let Some(literal) = self.bare() {
            return Ok(Some(literal));
        }
        let word = self.peek_word();
        let known = [("null", Literal::Null), ("true", Literal::Bool(true)), ("false", Literal::Bool(false))];
        if let Some((_, literal)) = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            self.at += word.len();
            return Ok(Some(literal));
        }
        if !word.is_empty() && self.rest()[word.len()..].starts_with('\'') {
            let begun = self.at;
            self.at += word.len() + 1;
            let text = self.quoted(false)?;
            let made = literal::of_word(word, &text);
            return made.map(Some).map_err(|rule| {
                self.at = begun;
                self.wrong(rule)
            });
        }
        Ok(None)
    }

    /// A number, a GUID or a date without quotes. What could be a name is one, unless all of it is a GUID.
    fn bare(&mut self) -> Option<Literal> {
        let rest = self.rest();
        let end = rest.bytes().position(|b| !is_word(b) && !matches!(b, b'.' | b':' | b'+' | b'-'));
        let run = &rest[..end.unwrap_or(rest.len())];
        let after = rest.as_bytes().get(run.len());
        if matches!(after, Some(b'\'' | b'(')) {
            return None;
        }
        // The longest first: `1.5E+20` and `2020-01-01T00:00:00+01:00` hold signs.
        let literal = literal::of_bare(run).filter(|_| !run.is_empty())?;
        self.at += run.len();
        Some(literal)
    }

    /// The text up to the closing quote; a doubled quote is one. In a list a quote that no comma or parenthesis follows
    /// is the text's own: the Community Toolkit does not double them there (spec 2.3).
    fn quoted(&mut self, in_list: bool) -> Parsed<String> {
        let begun = self.at - 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find('\'') else {
                self.at = begun;
                return Err(self.wrong("a closing quote was expected"));
            };
            text.push_str(&rest[..end]);
            self.at += end + 1;
            let after = self.rest();
            if after.starts_with('\'') {
                self.at += 1;
                text.push('\'');
            } else if in_list && !after.trim_start_matches(' ').starts_with([',', ')']) {
                text.push('\'');
            } else {
                return if text.contains('\0') {
                    self.at = begun;
                    Err(self.wrong("a text must not contain U+0000"))
                } else {
                    Ok(text)
                };
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.rest().starts_with(wanted);
        if there {
            self.at += wanted.len_utf8();
        }
        there
    }

    /// The word that comes next; empty when none does.
    fn peek_word(&mut self) -> &'a str {
        self.spaces();
        let rest = self.rest();
        &rest[..rest.bytes().position(|b| !is_word(b)).unwrap_or(rest.len())]
    }

    fn keyword(&mut self, wanted: &str) -> bool {
        let word = self.peek_word();
        let there = word.eq_ignore_ascii_case(wanted);
        if there {
            self.at += word.len();
        }
        there
    }

    fn count(&mut self) -> Parsed<()> {
        self.size += 1;
        let rule = format!("an expression has at most {LARGEST} parts");
        if self.size > LARGEST { Err(self.wrong(&rule)) } else { Ok(()) }
    }

    fn counted(&mut self, expr: Expr) -> Parsed {
        self.count().map(|()| expr)
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        let rule = format!("an expression goes at most {DEEPEST} levels deep");
        if self.depth > DEEPEST { Err(self.wrong(&rule)) } else { Ok(()) }
    }

    fn wrong(&self, rule: &str) -> FilterError {
        FilterError { at: self.text[..self.at].chars().count(), rule: rule.to_owned() }
    }
}
