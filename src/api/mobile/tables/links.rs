//! Where a list goes on, as an address (2.4).

use super::ask::Ask;
use super::dialect::Dialect;
use crate::tables::odata::{AFTER, Cursor};

/// What the next page asks for besides what this one did.
pub(super) struct Next {
    pub(super) top: Option<i64>,
    pub(super) skip: Option<u64>,
    pub(super) after: Option<Cursor>,
}

/// V2 and Datasync get an absolute address, or a path where they ask for one; the Community Toolkit the query alone.
pub(super) fn link(ask: &Ask, next: &Next) -> String {
    let query = query(ask.uri.query().unwrap_or_default(), next);
    match ask.dialect {
        _ if ask.wants_path() => format!("{}?{query}", ask.uri.path()),
        Dialect::V2 | Dialect::V3 => format!("{}?{query}", ask.here.address(ask.uri.path())),
        Dialect::Ct => query,
    }
}

/// The query with what says where in place of what said so; the rest stays as the client wrote it.
fn query(asked: &str, next: &Next) -> String {
    let ours = ["$top", "$skip", AFTER];
    let stays = |part: &&str| {
        let name = form_urlencoded::parse(part.as_bytes()).next().map(|(name, _)| name.into_owned());
        !part.is_empty() && !name.is_some_and(|name| ours.iter().any(|own| own.eq_ignore_ascii_case(&name)))
    };
    let mut parts: Vec<String> = asked.split('&').filter(stays).map(str::to_owned).collect();
    parts.extend(next.top.map(|top| format!("$top={top}")));
    parts.extend(next.skip.map(|skip| format!("$skip={skip}")));
    parts.extend(next.after.as_ref().map(|after| format!("{AFTER}={}", after.text())));
    parts.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_wrote_stays() {
        let next = Next { top: Some(2), skip: Some(4), after: None };
        assert_eq!(
            query("%24top=2&x=a%20b&$SKIP=2&__includeDeleted=true", &next),
            "x=a%20b&__includeDeleted=true&$top=2&$skip=4"
        );
        assert_eq!(query("", &Next { top: None, skip: Some(1), after: None }), "$skip=1");
    }
}
