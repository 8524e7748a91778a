//! Broadcasts when rows change.

use fanfare::clock::{Clock, SystemClock};

use super::*;
use crate::world::PATIENCE;

const TOLD: &str = "
[mobile.tables.note]
soft_delete = true
per_user = true
[mobile.tables.note.on_change]
audience = '$UserId:{{{userId}}}'
template = { msg = 'changed', table = 'note' }
min_interval_seconds = 3600
[mobile.tables.shared.on_change]
audience = 'list:{{list}}'
template = { msg = 'changed' }
min_interval_seconds = 1
";

async fn told() -> World {
    let world = World::with("").await;
    world.admin.put("/v1/hubs/demo", &json!({})).await.expect(201);
    world.restart(&format!("{}{TOLD}", USERS.replace("[mobile]", "[mobile]\nhub = 'demo'"))).await
}

/// The audiences of the hub's broadcasts, once there are so many.
pub(super) async fn audiences(admin: &Client, count: usize) -> Vec<String> {
    let began = SystemClock.boot();
    loop {
        let list = admin.get("/v1/hubs/demo/broadcasts").await.expect(200).json();
        let items = list["items"].as_array().unwrap();
        if items.len() >= count {
            let mut all: Vec<_> = items.iter().map(|item| item["audience"].as_str().unwrap().to_owned()).collect();
            all.sort();
            return all;
        }
        assert!(SystemClock.boot().after(began) < PATIENCE, "{list}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_change_is_told_to_whom_the_row_names_and_what_follows_is_told_once() {
    let world = told().await;
    let (a, b) = (world.signed_in("sid:a"), world.signed_in("sid:b"));
    post(&a, "note", json!({"id": "1", "text": "x"})).await;
    assert_eq!(audiences(&world.admin, 1).await, ["$UserId:{sid:a}"]);
    for n in 0..5 {
        send(&a, "PATCH", "/tables/note/1", &[V2, JSON], &json!({"text": n.to_string()})).await.expect(200);
    }
    post(&b, "note", json!({"id": "2", "text": "x"})).await;
    // The second user's comes while the first one's five rest together.
    assert_eq!(audiences(&world.admin, 2).await, ["$UserId:{sid:a}", "$UserId:{sid:b}"]);
    // A value that cannot stand in a tag tells nobody, and hinders no write.
    post(&world.client, "shared", json!({"list": "no tag", "n": 1})).await;
    post(&world.client, "shared", json!({"n": 1})).await;
    post(&world.client, "shared", json!({"list": "home"})).await;
    assert_eq!(audiences(&world.admin, 3).await.len(), 3);
    send(&world.client, "POST", "/tables/shared", &[V2, JSON], &json!({"list": "home"})).await.expect(201);
    let all = audiences(&world.admin, 4).await;
    assert_eq!(all, ["$UserId:{sid:a}", "$UserId:{sid:b}", "list:home", "list:home"], "after its rest");
}
