//! hyper's client as one would use it: a task for each request in flight on a connection. One thread, which owns the
//! connections as well.
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use anyhow::Context;
use bytes::Bytes;
use fanfare::{
    clock::{Clock, SystemClock},
    gateway::tls,
    model::id::{BroadcastId, Seq},
};
use http::{HeaderMap, HeaderValue, Request, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, task::LocalSet};
use tokio_rustls::TlsConnector;

use super::Tally;
use crate::{
    compare::{DELIVERED, Done, Reading, Task},
    devices::Devices,
};

type Connection = SendRequest<Full<Bytes>>;

/// # Errors
/// When there is no connection.
pub(super) async fn send(task: &Task) -> anyhow::Result<Done> {
    let run = Rc::new(Run::open(task)?);
    LocalSet::new()
        .run_until(async move {
            let mut connections = Vec::new();
            for _ in 0..task.connections {
                connections.push(connect(task).await?);
            }
            run.send(task, &connections, task.warm_up).await;
            let start = Reading::now();
            run.send(task, &connections, task.requests).await;
            Ok(start.done(run.tally.take().into_owned()))
        })
        .await
}

struct Run {
    devices: Devices,
    broadcast: BroadcastId,
    constant: HeaderMap,
    endpoint: String,
    body: Bytes,
    next: Cell<u64>,
    end: Cell<u64>,
    tally: RefCell<Tally>,
}

impl Run {
    fn open(task: &Task) -> anyhow::Result<Self> {
        let now = SystemClock.now();
        let mut authorization = HeaderValue::from_str(&task.authorization)?;
        authorization.set_sensitive(false);
        let mut constant = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
        constant.insert("apns-topic", HeaderValue::from_str(&task.topic)?);
        constant.insert("apns-push-type", HeaderValue::from_static("alert"));
        constant.insert("apns-priority", HeaderValue::from_static("10"));
        constant.insert("apns-expiration", HeaderValue::from(now.millis().div_euclid(1_000) + 3_600));
        Ok(Self {
            devices: Devices::new(task.seed),
            broadcast: BroadcastId::new(now.millis().unsigned_abs()),
            constant,
            endpoint: task.endpoint.clone(),
            body: Bytes::from(task.body.clone()),
            next: Cell::new(0),
            end: Cell::new(0),
            tally: RefCell::default(),
        })
    }

    /// Sends to so many further devices.
    async fn send(self: &Rc<Self>, task: &Task, connections: &[Connection], count: u64) {
        self.end.set(self.end.get() + count);
        let working: Vec<_> = connections
            .iter()
            .flat_map(|connection| std::iter::repeat_n(connection, task.streams))
            .map(|connection| tokio::task::spawn_local(Rc::clone(self).work(connection.clone())))
            .collect();
        for worker in working {
            // A task that was not cancelled ends; what it sent is in the tally.
            drop(worker.await);
        }
    }

    async fn work(self: Rc<Self>, mut connection: Connection) {
        while self.next.get() < self.end.get() {
            let number = self.next.replace(self.next.get() + 1);
            let label = match self.exchange(&mut connection, number).await {
                Ok(200) => DELIVERED,
                Ok(_) => "refused",
                Err(_) => "failed",
            };
            self.tally.borrow_mut().add(label, 1);
        }
    }

    async fn exchange(&self, connection: &mut Connection, number: u64) -> anyhow::Result<u16> {
        let path = format!("{}/3/device/{}", self.endpoint, hex::encode(self.devices.token(number)));
        let mut request = Request::post(path).body(Full::new(self.body.clone()))?;
        *request.headers_mut() = self.constant.clone();
        let mut id = HeaderValue::from_str(&self.broadcast.message_id(Seq(number)).to_string())?;
        // Otherwise it pushes the constant fields out of the peer's table.
        id.set_sensitive(true);
        request.headers_mut().insert("apns-id", id);
        connection.ready().await?;
        let mut response = connection.send_request(request).await?;
        while let Some(frame) = response.body_mut().frame().await {
            frame?;
        }
        Ok(response.status().as_u16())
    }
}

async fn connect(task: &Task) -> anyhow::Result<Connection> {
    let roots = tls::roots(Some(&std::fs::read_to_string(&task.ca_file)?))?;
    let config = tls::client_config(roots, None, &[b"h2"])?;
    let tcp = TcpStream::connect((task.host.as_str(), task.port)).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(task.host.clone())?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.context("cannot connect")?;
    let (send, connection) = Builder::new(TokioExecutor::new())
        .initial_max_send_streams(task.streams)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::task::spawn_local(connection);
    Ok(send)
}
