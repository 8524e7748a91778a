//! What each library insists on (`mobile-apps.md` section 8), as far as it concerns tables; a test's name begins with the
//! number of its line. Others stand where their subject is:
//!
//! | line | test |
//! |---|---|
//! | 8.1.7, 8.3.5, 8.4.2, 8.5.5 | a queued delete that finds nothing: `observed/changes.rs` |
//! | 8.1.9 | `bodies.rs`, `point_10_…` |
//! | 8.1.1 – 8.1.9, 8.1.11, 8.1.12 | the library itself: `clients.rs`, `point_02_03_…` |
//! | 8.3.1, 8.3.2 | every answer of every test: `mod.rs`, `form` |
//! | 8.3.3, 8.3.9, 8.6.4 | links: `links.rs`, `point_08_…` |
//! | 8.3.7, 8.3.8, 8.4.6, 8.5.2 | literals: `filters.rs`, `point_07_…` |
//! | 8.6.3, 8.6.8 | `dialects.rs`, `point_12_…` |
//!
//! Sign-in and push (8.1.10, 8.4.4, 8.4.5, 8.4.7, 8.5.7, 8.5.8) have tests of their own; 8.1.3, 8.3.6 of the JavaScript
//! date, 8.5.4 and 8.6.9 are what the library does on its side.

use super::*;

mod dotnet;
mod javascript;
mod phones;
mod toolkit;

/// Three rows, in this order; the second one is deleted.
async fn three(client: &Client) -> Vec<Value> {
    for id in ["a", "b", "c"] {
        post(client, "todoitem", json!({"id": id, "text": format!("text {id}"), "complete": false})).await;
    }
    send(client, "DELETE", "/tables/todoitem/b", &[V2], &Value::Null).await.expect(200);
    list(client, "/tables/todoitem?$orderby=updatedAt&__includeDeleted=true").await
}
