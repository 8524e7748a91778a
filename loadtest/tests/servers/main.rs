//! The servers that tests start are real, and end as told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use loadtest::servers::postgres::Postgres;

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
