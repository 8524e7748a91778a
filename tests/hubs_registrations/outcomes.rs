//! What became of a registration, as the native API tells it.

use serde_json::json;

use crate::atom::fcm;
use crate::world::{TOKEN, World};

#[tokio::test]
async fn outcomes_name_registrations() {
    let world = World::start().await;
    world.put("r-1", &fcm("t", "news")).await.expect(200);
    let document = json!({"installationId": "dev-1", "platform": "apns", "pushChannel": TOKEN, "tags": ["news"]});
    world.admin.put("/v1/hubs/demo/installations/dev-1", &document).await.expect(201);
    let request = json!({"audience": "news", "notification": {"title": "x"}});
    let answer = world.admin.post("/v1/hubs/demo/broadcasts", &request).await.expect(202);
    let path = format!("/v1/hubs/demo/broadcasts/{}", answer.json()["id"].as_str().unwrap());
    // Ends with the broadcast.
    world.admin.get(&format!("{path}/events")).await.expect(200);
    let listed = world.admin.get(&format!("{path}/outcomes")).await.expect(200).json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!((&items[0]["registration"], items[0].get("installation")), (&json!("r-1"), None));
    assert_eq!((&items[1]["installation"], items[1].get("registration")), (&json!("dev-1"), None));
    assert_eq!((&items[0]["target"], &items[0]["reason"]), (&json!("native"), &json!("no_gateway")));
    let own = world.admin.get(&format!("{path}/outcomes/r-1")).await.expect(200).json();
    assert_eq!(own["items"][0]["registration"], "r-1");
}
