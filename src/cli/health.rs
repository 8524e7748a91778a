//! `fanfare health`: asks a running service how it is; for container engines, which have no HTTP client at hand.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use http::Uri;

use super::{Configured, Failure};
use crate::config::Config;

/// Longer than the service itself waits for its store and queue.
const PATIENCE: Duration = Duration::from_secs(4);

/// An answer is a status and a few words.
const LONGEST_ANSWER: u64 = 64 << 10;

#[derive(Debug, Args)]
pub(super) struct Health {
    #[command(flatten)]
    configured: Configured,
    /// Where the service listens, `http://HOST:PORT`; by default what the configuration says
    #[arg(long, value_name = "URL")]
    url: Option<Uri>,
    /// Ask whether it can serve requests (/readyz) rather than whether it is alive (/healthz)
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(
    args: &Health,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    stdout: &mut impl Write,
) -> Result<(), Failure> {
    let address = match &args.url {
        Some(url) => resolve(url)?,
        None => reachable(Config::load_with(args.configured.config.as_deref(), environment)?.server.listen),
    };
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let (status, body) = ask(address, path).with_context(|| format!("http://{address}{path}"))?;
    if status != 200 {
        return Err(anyhow!("http://{address}{path} answered {status}: {body}").into());
    }
    Ok(writeln!(stdout, "{body}")?)
}

/// A listener on all addresses is reached on this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn resolve(url: &Uri) -> anyhow::Result<SocketAddr> {
    let host = url.host().filter(|_| url.scheme_str() == Some("http")).context("--url must be http://HOST:PORT")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses =
        (host, url.port_u16().unwrap_or(80)).to_socket_addrs().with_context(|| format!("--url {url}"))?;
    addresses.next().with_context(|| format!("--url {url}: the host has no address"))
}

/// Status and body.
fn ask(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("the answer is no HTTP") };
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    Ok((status.context("the answer is no HTTP/1.1")?, body.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What the command says of a server that answers so, and what that was asked.
    fn health(answer: &'static str, ready: bool) -> (Result<String, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        });
        let mut out = Vec::new();
        let args = Health { configured: Configured { config: None }, url: Some(url), ready };
        let done = run(&args, [], &mut out).map_err(|failure| failure.to_string());
        (done.map(|()| String::from_utf8(out).unwrap()), server.join().unwrap())
    }

    #[test]
    fn good_health_is_printed() {
        let (said, asked) = health("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"status\":\"ok\"}", false);
        assert_eq!(said.as_deref(), Ok("{\"status\":\"ok\"}\n"));
        assert!(asked.starts_with("GET /healthz HTTP/1.1\r\n"), "{asked}");
    }

    #[test]
    fn anything_else_is_a_failure_with_the_reason() {
        let (said, asked) = health("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"missing\":[\"store\"]}", true);
        assert!(said.unwrap_err().ends_with("/readyz answered 503: {\"missing\":[\"store\"]}"));
        assert!(asked.starts_with("GET /readyz HTTP/1.1\r\n"), "{asked}");
        assert!(health("SMTP", false).0.unwrap_err().starts_with("fanfare: "));
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        for (listen, reached) in
            [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:8080", "[::1]:8080"), ("192.0.2.1:80", "192.0.2.1:80")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), reached.parse().unwrap());
        }
        assert!(resolve(&"https://localhost:1".parse().unwrap()).is_err());
    }
}
