//! One broken request: who sends it, and what must be said of it.

/// Who sends it.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    Admin,
    /// The hub's rule of this name.
    Rule(&'static str),
    /// Somebody with this `Authorization`, or without one.
    Header(Option<&'static str>),
    /// A signed token of the rule `listen` that has expired.
    ExpiredToken,
    /// A signed token of the rule `listen` for another hub.
    TokenForElsewhere,
}

/// A request, and the status, code, field and rule of its refusal.
#[derive(Clone, Debug)]
pub struct Row {
    pub who: Who,
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: String,
    pub status: u16,
    pub code: &'static str,
    pub field: &'static str,
    /// A part of the message that says what is asked for.
    pub rule: &'static str,
}

impl Row {
    /// A request of the admin that must be refused with this status.
    pub fn refused(
        status: u16,
        code: &'static str,
        method: &'static str,
        path: impl Into<String>,
        body: impl Into<String>,
        rule: &'static str,
    ) -> Self {
        let (path, body) = (path.into(), body.into());
        Self { who: Who::Admin, method, path, headers: Vec::new(), body, status, code, field: "", rule }
    }

    /// A request whose field breaks a rule.
    pub fn invalid(
        method: &'static str,
        path: impl Into<String>,
        body: impl Into<String>,
        field: &'static str,
        rule: &'static str,
    ) -> Self {
        Self::refused(400, "invalid", method, path, body, rule).about(field)
    }

    pub fn about(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    pub fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }
}
