//! An expression as it was written: names are not looked up yet.

use crate::model::time::Timestamp;

/// An expression. `And` and `Or` are flat: chains of them are as deep as one of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Literal(Literal),
    Member(String),
    Not(Box<Self>),
    Negated(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Compare(Comparison, Box<Self>, Box<Self>),
    In(Box<Self>, Vec<Literal>),
    Arithmetic(Arithmetic, Box<Self>, Box<Self>),
    Call(Function, Vec<Self>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Time(Timestamp),
    /// A day: a point in time where it meets one, the text `yyyy-MM-dd` where it meets a text.
    Day(Timestamp),
    /// In small letters with hyphens; meets texts without regard to case.
    Guid(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// The operator of that word, in any case.
    pub fn of_word(word: &str) -> Option<Self> {
        let known = [
            ("eq", Self::Equal),
            ("ne", Self::NotEqual),
            ("gt", Self::Greater),
            ("ge", Self::GreaterOrEqual),
            ("lt", Self::Less),
            ("le", Self::LessOrEqual),
        ];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, operator)| operator)
    }

    /// Whether it asks for an order, not only for sameness.
    pub const fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// All of it is done in 64-bit floating point, as the originals' numbers were (spec 2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    /// By zero it is null.
    Divide,
    /// The sign is the dividend's; by zero it is null.
    Modulo,
}

impl Arithmetic {
    /// The operator of that word, in any case.
    pub fn of_word(word: &str) -> Option<Self> {
        let known = [
            ("add", Self::Add),
            ("sub", Self::Subtract),
            ("mul", Self::Multiply),
            ("div", Self::Divide),
            ("mod", Self::Modulo),
        ];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, operator)| operator)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The haystack is the first argument, as in `contains`; `substringof` is read into it.
    Contains,
    StartsWith,
    EndsWith,
    /// From 0, -1 when it is not there; in characters.
    IndexOf,
    Length,
    ToLower,
    ToUpper,
    /// Spaces at both ends.
    Trim,
    Concat,
    /// From a place on, 0 the first, so many characters or all that follow. Numbers below 0 are 0.
    Substring,
    Replace,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Floor,
    Ceiling,
    /// Halves go away from zero.
    Round,
}

impl Function {
    /// Every function by its name, with how many arguments it takes at least and at most.
    pub const ALL: [(&'static str, Self, usize, usize); 20] = [
        ("contains", Self::Contains, 2, 2),
        ("startswith", Self::StartsWith, 2, 2),
        ("endswith", Self::EndsWith, 2, 2),
        ("indexof", Self::IndexOf, 2, 2),
        ("length", Self::Length, 1, 1),
        ("tolower", Self::ToLower, 1, 1),
        ("toupper", Self::ToUpper, 1, 1),
        ("trim", Self::Trim, 1, 1),
        ("concat", Self::Concat, 2, 2),
        ("substring", Self::Substring, 2, 3),
        ("replace", Self::Replace, 3, 3),
        ("year", Self::Year, 1, 1),
        ("month", Self::Month, 1, 1),
        ("day", Self::Day, 1, 1),
        ("hour", Self::Hour, 1, 1),
        ("minute", Self::Minute, 1, 1),
        ("second", Self::Second, 1, 1),
        ("floor", Self::Floor, 1, 1),
        ("ceiling", Self::Ceiling, 1, 1),
        ("round", Self::Round, 1, 1),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, function, ..)| *function == self).map_or("", |(name, ..)| name)
    }
}
