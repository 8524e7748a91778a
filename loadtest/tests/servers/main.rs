//! The servers that tests start are real, and end as told.

use loadtest::servers::postgres::Postgres;
use loadtest::servers::redis::{Redis, Reply};

#[test]
fn postgres_keeps_what_was_committed_when_it_is_killed() {
    let mut server = Postgres::start().unwrap();
    server.database("one").unwrap();
    server.psql("one", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").unwrap();
    let before = server.pid().unwrap();
    server.kill().unwrap();
    assert!(server.psql("one", "SELECT 1").is_err());
    server.run().unwrap();
    assert_eq!(server.psql("one", "SELECT n FROM kept").unwrap(), "7");
    assert_ne!(server.pid().unwrap(), before);
    let pid = server.pid().unwrap();
    drop(server);
    assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists());
}

#[tokio::test]
async fn redis_ends_and_comes_back_empty_or_as_it_was() {
    for (mut server, kept) in
        [(Redis::start().await.unwrap(), Reply::Nil), (Redis::start_durable().await.unwrap(), Reply::Text("1".into()))]
    {
        server.ask(&["SET", "a", "1"]).unwrap();
        server.kill();
        assert!(server.ask(&["PING"]).is_err());
        server.restart().await.unwrap();
        assert_eq!(server.ask(&["GET", "a"]).unwrap(), kept);
        server.flush().unwrap();
        assert_eq!(server.ask(&["GET", "a"]).unwrap(), Reply::Nil);
    }
}
