//! A link: a TCP proxy on loopback between Fanfare and one server. It passes bytes on until it is told otherwise: then it
//! stalls or drips a direction, shuts new connections out, or ends open ones, for everyone or for one node.
//!
//! - [`flow`]: what can be done to a link.
//! - [`owner`]: whose connection it is.
//! - `pump`: the bytes of one direction.
pub mod flow;
pub mod owner;
mod pump;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    flow::{Condition, Conditions, Direction, End, Entrance, Whom},
    owner::{NodeNo, Residents},
    pump::{Ended, Pump},
};

/// A running link. Dropping it ends its connections and frees the port.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    residents: Residents,
    servers: Mutex<Servers>,
    conditions: watch::Sender<Conditions>,
    open: Mutex<HashMap<u64, Open>>,
    next: AtomicU64,
}

/// Where connections lead.
#[derive(Debug)]
struct Servers {
    everyone: SocketAddr,
    nodes: HashMap<NodeNo, SocketAddr>,
}

/// An open connection.
#[derive(Debug)]
struct Open {
    owner: Option<NodeNo>,
    end: watch::Sender<Option<End>>,
}

impl Link {
    /// Opens a link to a server of this machine.
    ///
    /// # Errors
    /// When there is no free port, or the server is elsewhere: faults are for this machine alone.
    pub async fn to(server: SocketAddr, residents: Residents) -> io::Result<Self> {
        if !server.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{server} is no loopback address")));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            residents,
            servers: Mutex::new(Servers { everyone: server, nodes: HashMap::new() }),
            conditions: watch::Sender::default(),
            open: Mutex::default(),
            next: AtomicU64::new(0),
        });
        let stop = CancellationToken::new();
        tokio::spawn(listen(listener, address, Arc::clone(&shared), stop.clone()));
        Ok(Self { address, shared, stop })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The link's state for them from now on, on open connections too.
    pub fn set(&self, whom: Whom, condition: Condition) {
        self.shared.conditions.send_modify(|conditions| conditions.set(whom, condition));
    }

    /// All is as it should be, for everyone.
    pub fn heal(&self) {
        self.set(Whom::Everyone, Condition::default());
    }

    /// Ends their open connections and says how many those were.
    pub fn end(&self, whom: Whom, how: End) -> usize {
        let open = self.shared.open.lock();
        let theirs: Vec<_> = open.values().filter(|connection| whom.is(connection.owner)).collect();
        for connection in &theirs {
            connection.end.send_replace(Some(how));
        }
        theirs.len()
    }

    /// How many connections they have open.
    pub fn open(&self, whom: Whom) -> usize {
        self.shared.open.lock().values().filter(|connection| whom.is(connection.owner)).count()
    }

    /// New connections of a node lead to another server.
    pub fn lead(&self, node: NodeNo, to: SocketAddr) {
        self.shared.servers.lock().nodes.insert(node, to);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(listener: TcpListener, address: SocketAddr, shared: Arc<Shared>, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((client, peer)) => {
                let (shared, stop) = (Arc::clone(&shared), stop.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = carry(client, peer, address, &shared) => {}
                    }
                });
            }
            // Out of descriptors, or gone before it was taken: the next one may do.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// One connection from its first byte to its end.
async fn carry(client: TcpStream, peer: SocketAddr, address: SocketAddr, shared: &Shared) {
    let owner = shared.residents.of(peer, address);
    let (end, mut ended) = watch::channel(None);
    let number = shared.next.fetch_add(1, Ordering::Relaxed);
    shared.open.lock().insert(number, Open { owner, end });
    let mut conditions = shared.conditions.subscribe();
    let entrance = conditions.borrow_and_update().of(owner).entrance;
    match entrance {
        Entrance::Reset => drop(client.set_zero_linger()),
        Entrance::Silent => {
            // Until the link is open again: then the connection goes on as one that took long.
            let opened = conditions.wait_for(|now| now.of(owner).entrance != Entrance::Silent);
            let open = tokio::select! {
                opened = opened => opened.is_ok(),
                _ = ended.changed() => false,
            };
            if open {
                join(client, owner, shared, ended).await;
            }
        }
        Entrance::Open => join(client, owner, shared, ended).await,
    }
    shared.open.lock().remove(&number);
}

/// Connects to the server and carries both directions.
async fn join(client: TcpStream, owner: Option<NodeNo>, shared: &Shared, ended: watch::Receiver<Option<End>>) {
    let server = {
        let servers = shared.servers.lock();
        owner.and_then(|node| servers.nodes.get(&node)).copied().unwrap_or(servers.everyone)
    };
    let Ok(server) = TcpStream::connect(server).await else {
        // Nobody is there, which the client is told as the server's machine would.
        drop(client.set_zero_linger());
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let pump =
        |from, to, direction| Pump::new((from, to), (direction, owner), shared.conditions.subscribe(), ended.clone());
    let up = pump(from_client, to_server, Direction::Up).run();
    let down = pump(from_server, to_client, Direction::Down).run();
    tokio::pin!(up, down);
    // A direction that ended well leaves the other one alone; anything else ends both.
    let (first, other) = tokio::select! {
        first = &mut up => (first, Direction::Down),
        first = &mut down => (first, Direction::Up),
    };
    if first == Ended::Well {
        match other {
            Direction::Up => drop(up.await),
            Direction::Down => drop(down.await),
        }
    }
}
