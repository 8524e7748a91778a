//! The operations of the native API that runs need. One connection, opened anew after a restart of the service.
use std::{collections::BTreeMap, ops::Range, time::Duration};

use fanfare::model::{broadcast::BroadcastState, outcome::Counters, time::Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::{ClientError, Connection, Metrics, connection::Peer, import};
use crate::devices::Devices;

/// A hub of a running service, as its administrator sees it.
#[derive(Debug)]
pub struct Api {
    pub peer: Peer,
    hub: String,
    connection: Mutex<Option<Connection>>,
}

/// Where a broadcast stands.
#[derive(Clone, Debug, Deserialize)]
pub struct Standing {
    pub id: String,
    pub state: BroadcastState,
    pub accepted_at: Timestamp,
    pub planned_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub counters: Counters,
    /// By the platforms' labels, those that it has targets on.
    pub platforms: BTreeMap<String, Counters>,
}

impl Standing {
    /// Whether all its targets of the platform are known and have their outcomes.
    pub fn has_ended(&self, platform: &str) -> bool {
        self.planned_at.is_some() && self.platforms.get(platform).is_none_or(|counters| counters.pending == 0)
    }
}

/// An audience's size and how long the answer took.
#[derive(Clone, Debug)]
pub struct Counted {
    pub count: u64,
    pub round_trip: Duration,
    /// As the service measured it, where it says so.
    pub inside: Option<Duration>,
}

/// An answer that outlives the connection's buffer.
struct Reply {
    status: u16,
    inside_ms: Option<f64>,
    body: Vec<u8>,
}

impl Api {
    pub fn new(peer: Peer, hub: &str) -> Self {
        Self { peer, hub: hub.to_owned(), connection: Mutex::new(None) }
    }

    /// The path of something in the hub; `rest` begins with a slash or is empty.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/hubs/{}{rest}", self.hub)
    }

    /// Whether the service is up and its parts answer.
    pub async fn is_ready(&self) -> bool {
        self.send("GET", "/readyz", &[]).await.is_ok_and(|reply| reply.status == 200)
    }

    /// Makes the hub or changes its settings.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn put_hub(&self, settings: &Value) -> Result<(), ClientError> {
        let (path, body) = (self.path(""), settings.to_string());
        let reply = self.send("PUT", &path, body.as_bytes()).await?;
        succeeded("PUT", &path, reply).map(drop)
    }

    /// Registers devices; see [`import::import`].
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn import(
        &self,
        devices: &Devices,
        range: Range<u64>,
        sent: impl FnMut(u64),
    ) -> Result<import::Imported, ClientError> {
        import::import(&self.peer, &self.path("/installations:import"), devices, range, sent).await
    }

    /// Registers one device, or changes nothing when it is registered so.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn register(&self, devices: &Devices, n: u64) -> Result<(), ClientError> {
        let path = self.path(&format!("/installations/{}", devices.id(n)));
        let mut document = Vec::new();
        devices.write_document(n, &mut document);
        succeeded("PUT", &path, self.send("PUT", &path, &document).await?).map(drop)
    }

    /// # Errors
    /// [`ClientError`]
    pub async fn count(&self, audience: &str) -> Result<Counted, ClientError> {
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        let path = self.path("/audience");
        let body = serde_json::json!({ "audience": audience }).to_string();
        let asked = Instant::now();
        let reply = self.send("POST", &path, body.as_bytes()).await?;
        let round_trip = asked.elapsed();
        let inside = reply.inside_ms.map(|millis| Duration::from_secs_f64(millis.max(0.0) / 1e3));
        let Count { count } = read("POST", &path, reply)?;
        Ok(Counted { count, round_trip, inside })
    }

    /// Sends a broadcast and returns its id.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn broadcast(&self, request: &Value, idempotency_key: &str) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Accepted {
            id: String,
        }
        let (path, body) = (self.path("/broadcasts"), request.to_string());
        let headers = format!("idempotency-key: {idempotency_key}\r\n");
        let reply = self.send_with("POST", &path, &headers, body.as_bytes()).await?;
        read::<Accepted>("POST", &path, reply).map(|accepted| accepted.id)
    }

    /// # Errors
    /// [`ClientError`]
    pub async fn standing(&self, id: &str) -> Result<Standing, ClientError> {
        self.get(&self.path(&format!("/broadcasts/{id}"))).await
    }

    /// Asks for the end of a broadcast; it is over a moment later.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn cancel(&self, id: &str) -> Result<(), ClientError> {
        let path = self.path(&format!("/broadcasts/{id}:cancel"));
        succeeded("POST", &path, self.send("POST", &path, &[]).await?).map(drop)
    }

    /// # Errors
    /// [`ClientError`]
    pub async fn metrics(&self) -> Result<Metrics, ClientError> {
        let reply = succeeded("GET", "/metrics", self.send("GET", "/metrics", &[]).await?)?;
        Ok(Metrics::parse(&String::from_utf8_lossy(&reply.body)))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read("GET", path, self.send("GET", path, &[]).await?)
    }

    async fn send(&self, method: &str, path: &str, body: &[u8]) -> Result<Reply, ClientError> {
        self.send_with(method, path, "", body).await
    }

    /// A kept connection may have ended unnoticed, so the first failure on one is tried again on a new one: every request
    /// here can be repeated, a broadcast because it names an idempotency key.
    async fn send_with(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Reply, ClientError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.take() {
            let attempt = exchange(connection, method, path, headers, body).await;
            if let Ok((connection, reply)) = attempt {
                *kept = connection;
                return Ok(reply);
            }
        }
        let connection = Connection::open(&self.peer).await?;
        let (connection, reply) = exchange(connection, method, path, headers, body).await?;
        *kept = connection;
        Ok(reply)
    }
}

/// Gives the connection back when it can be used again.
async fn exchange(
    mut connection: Connection,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Result<(Option<Connection>, Reply), ClientError> {
    connection.push_with(method, format_args!("{path}"), headers, |out| out.extend_from_slice(body));
    connection.flush().await?;
    let answer = connection.answer().await?;
    let reply = Reply { status: answer.status, inside_ms: answer.inside_ms, body: answer.body.to_vec() };
    let closed = connection.is_closed();
    Ok(((!closed).then_some(connection), reply))
}

fn succeeded(method: &str, path: &str, reply: Reply) -> Result<Reply, ClientError> {
    if (200..300).contains(&reply.status) {
        return Ok(reply);
    }
    let body = String::from_utf8_lossy(&reply.body).into_owned();
    Err(ClientError::Refused { request: format!("{method} {path}"), status: reply.status, body })
}

fn read<T: DeserializeOwned>(method: &str, path: &str, reply: Reply) -> Result<T, ClientError> {
    let reply = succeeded(method, path, reply)?;
    serde_json::from_slice(&reply.body).map_err(|source| ClientError::Unexpected {
        request: format!("{method} {path}"),
        source,
        body: String::from_utf8_lossy(&reply.body).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_has_ended_when_its_plan_is_whole_and_nothing_pends() {
        let standing = |planned: &str, pending: u64| -> Standing {
            let counters = format!(
                r#"{{"targeted":5,"pending":{pending},"delivered":0,"rejected":0,"dropped":0,"expired":0,"cancelled":0,"skipped":0,"retries":0}}"#
            );
            let text = format!(
                r#"{{"id":"1","state":"running","accepted_at":"2026-01-01T00:00:00Z","planned_at":{planned},
                "started_at":null,"finished_at":null,"counters":{counters},"platforms":{{"apns":{counters}}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let planned = r#""2026-01-01T00:00:01Z""#;
        assert!(standing(planned, 0).has_ended("apns"));
        assert!(standing(planned, 0).has_ended("fcm"), "nobody is targeted there");
        assert!(!standing(planned, 1).has_ended("apns"));
        assert!(!standing("null", 0).has_ended("apns"), "more may be planned");
    }
}
