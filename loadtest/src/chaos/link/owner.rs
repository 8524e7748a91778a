//! Whose connection it is: the process at its other end, found in /proc (proc(5)). So one proxy serves all nodes at one
//! address, as one server would, and still tells them apart.
use std::{collections::HashMap, io, net::SocketAddr, path::Path, sync::Arc};

use parking_lot::RwLock;

/// The number of a node in its field.
pub type NodeNo = usize;

/// Which process is which node. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Residents {
    nodes: Arc<RwLock<HashMap<u32, NodeNo>>>,
}

impl Residents {
    /// The node is this process from now on.
    pub fn moved_in(&self, node: NodeNo, pid: u32) {
        let mut nodes = self.nodes.write();
        nodes.retain(|_, known| *known != node);
        nodes.insert(pid, node);
    }

    /// The node that has the end `client` of a connection to `server`; both on this machine, IPv4.
    pub fn of(&self, client: SocketAddr, server: SocketAddr) -> Option<NodeNo> {
        let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
        let inode = inode(&table, client, server)?;
        let nodes: Vec<_> = self.nodes.read().iter().map(|(pid, node)| (*pid, *node)).collect();
        nodes.into_iter().find_map(|(pid, node)| holds(pid, inode).ok()?.then_some(node))
    }
}

/// The inode of the socket at `client`'s end.
fn inode(table: &str, client: SocketAddr, server: SocketAddr) -> Option<u64> {
    let (local, remote) = (in_table(client)?, in_table(server)?);
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let ends = (fields.next()?, fields.next()?);
        // State, queues, timer, retransmits, user and timeout stand between.
        (ends == (local.as_str(), remote.as_str())).then(|| fields.nth(6)?.parse().ok()).flatten()
    })
}

/// `0100007F:1F90`: the address in the machine's byte order, the port as a number.
fn in_table(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    let ip = u32::from_ne_bytes(address.ip().octets());
    Some(format!("{ip:08X}:{:04X}", address.port()))
}

fn holds(pid: u32, inode: u64) -> io::Result<bool> {
    let wanted = format!("socket:[{inode}]");
    for open in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        // Closed meanwhile, perhaps.
        if std::fs::read_link(open?.path()).is_ok_and(|to| to == Path::new(&wanted)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connections_process_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let stream = TcpStream::connect(server).unwrap();
        let client = stream.local_addr().unwrap();
        let residents = Residents::default();
        assert_eq!(residents.of(client, server), None);
        residents.moved_in(3, std::process::id());
        assert_eq!(residents.of(client, server), Some(3));
        // Restarted: another process is that node now.
        residents.moved_in(3, 1);
        assert_eq!(residents.of(client, server), None);
    }
}
