//! OBS 1 – 6.

use super::*;

pub(super) async fn versions(world: World) {
    let text = "An invalid API version was specified in the request, this request needs to specify a ZUMO-API-VERSION of 2.0.0.";
    for version in ["1.0.0", "4.0.0", "2.0", "x"] {
        let answer =
            send(&world.client, "GET", "/tables/todoitem", &[("ZUMO-API-VERSION", version)], &Value::Null).await;
        assert_eq!(answer.expect(400).json(), json!({"error": text, "message": text}), "OBS 2: {version}");
    }
    for (headers, path) in
        [(&[("ZUMO-API-VERSION", "2.0.7")][..], "/tables/todoitem"), (&[], "/tables/todoitem?ZUMO-api-version=2.0.0")]
    {
        let answer = send(&world.client, "GET", path, headers, &Value::Null).await;
        assert_eq!(answer.expect(200).json(), json!([]), "OBS 4, 5");
    }
    // OBS 1, 3: no version is the newest library's, and 3.0.0 Datasync's (1.4).
    let answer = send(&world.client, "GET", "/tables/todoitem", &[], &Value::Null).await;
    assert_eq!(answer.expect(200).json(), json!({"items": [], "count": null, "nextLink": null}));
}
