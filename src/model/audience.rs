//! (stub)
#[derive(Clone, Debug)]
pub enum Audience {
    Everyone,
}
