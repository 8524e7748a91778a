//! The record of the original server (`mobile-apps.md` 11.1, 11.2), line by line: what is decided otherwise in 2.2, 2.5,
//! 2.7 and 7 stands with its reason.

use super::engines::on_both;
use super::*;

mod changes;
mod inserts;
mod owners;
mod queries;
mod rights;
mod versions;

#[tokio::test]
async fn point_01_obs_1_6_versions() {
    on_both(versions::versions).await;
}

#[tokio::test]
async fn point_01_obs_10_33_and_142_150_inserts() {
    on_both(inserts::inserts).await;
}

#[tokio::test]
async fn point_01_obs_34_98_reads_and_queries() {
    on_both(queries::queries).await;
}

#[tokio::test]
async fn point_01_obs_99_139_changes_and_deletes() {
    on_both(changes::changes).await;
}

#[tokio::test]
async fn point_01_obs_151_174_who_may_do_what() {
    on_both(rights::rights).await;
}

#[tokio::test]
async fn point_15_rows_of_users_are_theirs_alone() {
    on_both(owners::owners).await;
}

/// One request in V2, its status, and what the body must hold.
struct Row(&'static str, &'static str, &'static str, Value, u16, Value);

fn holds(body: &Value, expected: &Value) -> bool {
    match (body, expected) {
        (_, Value::Null) => true,
        (Value::Object(body), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| body.get(name).is_some_and(|found| found == value))
        }
        (Value::Array(body), Value::Array(expected)) => {
            body.len() == expected.len() && body.iter().zip(expected).all(|(a, b)| holds(a, b))
        }
        (body, expected) => body == expected,
    }
}

async fn run(client: &Client, rows: Vec<Row>) {
    for Row(number, method, path, body, status, expected) in rows {
        let headers: &[_] = if body.is_null() { &[V2] } else { &[V2, JSON] };
        let answer = send(client, method, path, headers, &body).await;
        assert_eq!(answer.status, status, "OBS {number}: {answer:?}");
        let said = if answer.body.is_empty() { Value::Null } else { answer.json() };
        assert!(holds(&said, &expected), "OBS {number}: {said}\nexpected {expected}");
    }
}

fn not_found() -> Value {
    json!({"error": "The item does not exist", "message": "The item does not exist"})
}
