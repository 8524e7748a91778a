//! `fanfare installations`: in, out, interrupted, gone on.

use serde_json::Value;

use crate::world::{World, lines, proxy};

#[tokio::test]
async fn refused_lines_are_told_by_number_and_the_others_stand() {
    let world = World::start().await;
    let text = format!("{}nonsense\n{}{{\"platform\":\"apns\"}}\n", lines(0..3), lines(3..5));
    world.write("mixed.ndjson", &text);
    let arguments = ["installations", "import", "mixed.ndjson", "--hub", "demo", "--portion", "2"];
    let ran = world.run(&arguments).await.expect(1);
    assert_eq!(ran.out, "imported 5, failed 2\n");
    let told: Vec<_> = ran.err.lines().collect();
    assert!(told[0].starts_with("line 4: ") && told[1].starts_with("line 7: "), "{ran:?}");
    assert_eq!(told[2], "fanfare: 2 lines were refused");
    assert_eq!(world.read("mixed.ndjson.progress"), None, "it is done, well or not");
}

#[tokio::test]
async fn an_import_that_breaks_goes_on_with_the_first_line_not_answered() {
    let world = World::start().await;
    world.write("devices.ndjson", &lines(0..25));
    let arguments = ["installations", "import", "devices.ndjson", "--hub", "demo", "--portion", "10"];
    // The second portion reaches the service, its answer does not come whole.
    let url = proxy(world.running.address(), |connection| (connection > 0).then_some(20)).await;
    let broken = world.run_at(&url, &arguments).await.expect(1);
    assert!(broken.err.contains("stopped after line 10; the same command goes on there"), "{broken:?}");
    let notes: Value = serde_json::from_str(&world.read("devices.ndjson.progress").unwrap()).unwrap();
    assert_eq!((notes["line"].as_u64(), notes["imported"].as_u64()), (Some(10), Some(10)));
    let other = world.run(&["installations", "import", "devices.ndjson", "--hub", "other"]).await.expect(1);
    assert!(other.err.contains("is about hub demo; --restart begins anew"), "{other:?}");
    let done = world.run(&arguments).await.expect(0);
    assert_eq!(done.out, "imported 25, failed 0\n");
    assert!(done.err.contains("going on after line 10"), "{done:?}");
    assert_eq!(world.read("devices.ndjson.progress"), None);
    let all = world.run(&["send", "--hub", "demo", "--title", "x", "--dry-run"]).await.expect(0);
    assert_eq!(all.json()["count"], 25);
}

#[tokio::test]
async fn what_is_exported_can_be_imported() {
    let world = World::start().await;
    world.register(12).await;
    let ran = world.run(&["installations", "export", "-", "--hub", "demo", "--audience", "all"]).await.expect(0);
    assert_eq!(ran.out.lines().count(), 12);
    world.run(&["hub", "create", "copy"]).await.expect(0);
    let copied = world.run_with_stdin(&["installations", "import", "-", "--hub", "copy"], &ran.out).await.expect(0);
    assert_eq!(copied.out, "imported 12, failed 0\n");
    let again = world.run(&["installations", "export", "copy.ndjson", "--hub", "copy"]).await.expect(0);
    assert_eq!(again.out, "exported 12\n");
    assert_eq!(world.read("copy.ndjson").unwrap(), ran.out);
}

#[tokio::test]
async fn an_export_that_breaks_goes_on_at_its_cursor() {
    let world = World::start().await;
    world.register(2_100).await;
    let arguments = ["installations", "export", "out.ndjson", "--hub", "demo"];
    // The count, the first page, and no more than the beginning of the second.
    let url = proxy(world.running.address(), |connection| (connection > 1).then_some(5_000)).await;
    let broken = world.run_at(&url, &arguments).await.expect(1);
    assert!(broken.err.contains("stopped after 1000 installations"), "{broken:?}");
    assert_eq!(world.read("out.ndjson").unwrap().lines().count(), 1_000);
    // What was written after the last whole page is written again.
    world.write("out.ndjson", &(world.read("out.ndjson").unwrap() + "{\"half"));
    let done = world.run(&arguments).await.expect(0);
    assert_eq!(done.out, "exported 2100\n");
    let text = world.read("out.ndjson").unwrap();
    let ids: std::collections::BTreeSet<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["installationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((text.lines().count(), ids.len()), (2_100, 2_100));
    assert_eq!(world.read("out.ndjson.progress"), None);
}
