//! What is wrong with an expression, and where.
use std::fmt;

/// Why a text is no audience.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {fault}")]
pub struct AudienceError {
    /// The character at fault, counted from 1; one past the last at the end of the text.
    pub position: usize,
    pub fault: AudienceFault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudienceFault {
    /// A term cannot start here. `None` is the end of the text, here and below.
    ExpectedTerm(Option<char>),
    /// An expression goes on or ends here.
    ExpectedOperator(Option<char>),
    /// As before, within parentheses that were opened at that character (from 1).
    ExpectedClosing {
        opened: usize,
        found: Option<char>,
    },
    /// A `$` that starts neither `$UserId:` nor `$InstallationId:`.
    UnknownSystemTerm,
    /// Nothing, or nothing that an id may hold, where the id of a system term belongs.
    ExpectedId(Option<char>),
    /// The id's `{` at that character (from 1) has no `}`.
    OpenBrace {
        opened: usize,
    },
    TagTooLong {
        limit: usize,
    },
    TooManyTerms {
        limit: usize,
    },
    TooDeep {
        limit: usize,
    },
}

impl fmt::Display for AudienceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpectedTerm(found) => write!(f, r#"expected a tag, "(" or "!", found {}"#, Found(*found)),
            Self::ExpectedOperator(found) => {
                write!(f, r#"expected "&&", "||" or end of text, found {}"#, Found(*found))
            }
            Self::ExpectedClosing { opened, found } => write!(
                f,
                r#"expected "&&", "||" or the ")" for the "(" at character {opened}, found {}"#,
                Found(*found)
            ),
            Self::UnknownSystemTerm => f.write_str(r#"expected "$UserId:" or "$InstallationId:" after "$""#),
            Self::ExpectedId(found) => write!(f, r#"expected an id, as in "$UserId:{{ann}}", found {}"#, Found(*found)),
            Self::OpenBrace { opened } => {
                write!(f, r#"expected the "}}" for the "{{" at character {opened}, found end of text"#)
            }
            Self::TagTooLong { limit } => write!(f, "a tag has at most {limit} characters"),
            Self::TooManyTerms { limit } => write!(f, "an audience has at most {limit} terms"),
            Self::TooDeep { limit } => write!(f, r#"at most {limit} "(" and "!" around one another"#),
        }
    }
}

struct Found(Option<char>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("end of text"),
            Some('"') => f.write_str(r#"'"'"#),
            Some(character) => write!(f, "\"{}\"", character.escape_debug()),
        }
    }
}

/// How many characters of a long expression are shown on either side of the fault.
const AROUND: usize = 36;

impl AudienceError {
    /// Three lines for a terminal: the expression (cut to what is around the fault when it is long), a caret under
    /// the character at fault, and the message. Characters that a terminal shows two columns wide shift the caret.
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let at = self.position.saturating_sub(1);
        let start = at.saturating_sub(AROUND);
        let mut rest = text.chars().skip(start);
        let shown: String = rest
            .by_ref()
            .take(at - start + AROUND)
            .map(|character| if character.is_control() { ' ' } else { character })
            .collect();
        let before = if start > 0 { "…" } else { "" };
        let after = if rest.next().is_some() { "…" } else { "" };
        let indent = " ".repeat(before.chars().count() + at - start);
        format!("{before}{shown}{after}\n{indent}^\n{self}")
    }
}
