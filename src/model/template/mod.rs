//! Templates: the text of a message with expressions in it, as installations bring them (`notification-hubs.md` section 4).
//!
//! ```text
//!  TemplateContent ──compile──▶ Compiled ──render (Values)──▶ Rendered ──▶ a gateway's request
//! ```
//!
//! - [`TemplateContent`]: body, headers and expiry as they were written. Equal content has one [`TemplateId`], however
//!   many targets have it.
//! - [`Compiled`]: the content taken apart once, into text that is copied and expressions that are evaluated. Nothing
//!   in here recurses: depth is counted, and bounded by [`DEEPEST`].
//! - [`Values`]: the properties of a message, and behind them the push variables of a device.
//! - `expression` is the language, `json` and `xml` find its places in a body, `requirements` is what platforms want.
//!
//! A body is XML when it begins with `<`, else JSON. Inserted text is escaped where it lands: no value can end its string,
//! its text node or its header.

mod compiled;
mod composed;
mod content;
mod expression;
pub mod fuzz;
mod json;
mod requirements;
#[cfg(test)]
mod tests;
mod values;
mod xml;

pub use compiled::{Compiled, Rendered};
pub use content::{TemplateContent, TemplateId};
pub use requirements::check;
pub use values::{Properties, Values, Written};

/// Bytes of a body. Services take 5 KB of a message; the rest is room for expressions.
pub const LONGEST_BODY: usize = 16_384;
/// Bytes of a header's or expiry's text.
pub const LONGEST_HEADER: usize = 1_024;
/// The one header of a template for Baidu: 0 for a message to the app, 1 for a notification (`notification-hubs.md` 2.5.2).
pub const BAIDU_MESSAGE_TYPE: &str = "x-baidu-message-type";
/// Headers of one template.
pub const MOST_HEADERS: usize = 32;
/// How deep a body may be nested.
pub const DEEPEST: usize = 64;
/// Bytes that a rendered part may have: far more than any service takes, so that what they take is said by them.
pub const LONGEST_RENDERED: usize = 65_536;

/// What becomes of a value that begins like an expression and is none (4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is an error: at registration.
    Strict,
    /// It is literal text: of content that was registered before it was looked at.
    Lenient,
}
