//! Containers that the service serves itself: the address is the key.

use crate::client::Client;
use crate::world::{World, texts_of};

/// A client without any key.
pub fn nobody(world: &World) -> Client {
    Client::new(world.running.address(), None)
}

/// Makes a container and answers its address: path and query.
pub async fn container(world: &World) -> (String, String) {
    let answer = world.full.send("POST", "/demo/jobs/containers?api-version=2020-06", &[], b"").await.expect(201);
    assert_eq!(answer.header("location"), Some(answer.text()));
    let address = world.path_of(answer.text());
    let (path, query) = address.split_once('?').unwrap();
    (path.to_owned(), query.to_owned())
}

#[tokio::test]
async fn whoever_has_the_address_reads_and_writes() {
    let world = World::start().await;
    let (path, query) = container(&world).await;
    let nobody = nobody(&world);
    let content = "a line\n".repeat(100_000);
    let headers = [("x-ms-blob-type", "BlockBlob")];
    nobody.send("PUT", &format!("{path}/in/a.txt?{query}"), &headers, content.as_bytes()).await.expect(201);
    nobody.send("PUT", &format!("{path}/b.txt?{query}"), &headers, b"").await.expect(201);
    let read = nobody.get(&format!("{path}/in/a.txt?{query}")).await.expect(200);
    assert_eq!((read.text().len(), read.text() == content), (700_000, true));
    let listed = nobody.get(&format!("{path}?{query}&restype=container&comp=list")).await.expect(200);
    assert_eq!(texts_of(listed.text(), "Name"), ["b.txt", "in/a.txt"]);
    nobody.get(&format!("{path}/none?{query}")).await.expect(404);
    for broken in [
        format!("{path}/b.txt"),
        format!("{path}/b.txt?{query}x"),
        format!("{path}x/b.txt?{query}"),
        format!("{path}/b.txt?{}", query.replace("se=", "se=1")),
        format!("{path}/b.txt?{}", query.replace("se=", "se=+")),
    ] {
        nobody.get(&broken).await.expect(401);
        nobody.send("PUT", &broken, &[], b"x").await.expect(401);
    }
    // Of another hub it opens nothing.
    world.admin.put("/v1/hubs/other", &serde_json::json!({})).await.expect(201);
    nobody.get(&format!("{}/b.txt?{query}", path.replace("/demo/", "/other/"))).await.expect(401);
}
