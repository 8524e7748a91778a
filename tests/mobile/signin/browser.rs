//! As much of a browser as signing in needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::Answer;
use crate::world::World;

/// What browsers say of a request that follows a link from elsewhere.
const NAVIGATION: [(&str, &str); 3] =
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];

/// Where a way through redirects ended.
#[derive(Debug)]
pub struct End {
    /// The last address, fragment included.
    pub url: String,
    /// The last answer; none where the address is no server's, as an app's own scheme.
    pub answer: Option<Answer>,
    pub visited: Vec<String>,
}

impl End {
    /// What stands in the fragment after this name, decoded.
    pub fn fragment(&self, name: &str) -> String {
        let (_, fragment) = self.url.split_once('#').unwrap_or_else(|| panic!("{self:?}"));
        let value = fragment.strip_prefix(&format!("{name}=")).unwrap_or_else(|| panic!("{self:?}"));
        assert!(!value.contains('+'), "not every client reads a plus: {value}");
        percent_decoded(value)
    }

    pub fn session(&self) -> serde_json::Value {
        serde_json::from_str(&self.fragment("token")).unwrap()
    }
}

pub fn percent_decoded(text: &str) -> String {
    url_pairs(&format!("x={text}")).remove(0).1
}

/// The pairs of a query.
pub fn url_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            match first {
                b'%' => {
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
                    rest = &after[2..];
                }
                b'+' => {
                    bytes.push(b' ');
                    rest = after;
                }
                other => {
                    bytes.push(*other);
                    rest = after;
                }
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(n, v)| (decode(n), decode(v))).collect()
}

pub struct Browser {
    tls: TlsConnector,
    service: String,
    /// By host; ports share them.
    pub cookies: BTreeMap<String, String>,
    /// Attributes of every cookie that was set.
    pub set: Vec<String>,
}

impl Browser {
    pub fn new(world: &World) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(world.authority.roots())
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        Self { tls, service: world.over_tls(), cookies: BTreeMap::new(), set: Vec::new() }
    }

    /// One request, with cookies, without following anything.
    pub async fn ask(&mut self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let uri: Uri = url.parse().unwrap();
        assert_eq!(uri.scheme_str(), Some("https"), "{url}");
        let (host, port) = (uri.host().unwrap(), uri.port_u16().unwrap_or(443));
        assert_eq!(host, "localhost", "a browser of tests stays on this machine: {url}");
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut stream = self.tls.connect(name, tcp).await.unwrap();
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n");
        head.push_str(&format!("content-length: {}\r\n", body.len()));
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            head.push_str(&format!("cookie: {}\r\n", pairs.join("; ")));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut bytes = Vec::new();
        // Not every server says goodbye in TLS' own words.
        let _ = stream.read_to_end(&mut bytes).await;
        let answer = parsed(&bytes);
        for (_, set) in answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let (pair, attributes) = set.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match attributes.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
            self.set.push(set.clone());
        }
        answer
    }

    /// A page of the service that somebody opened there.
    pub async fn own(&mut self, path: &str) -> Answer {
        let url = format!("{}{path}", self.service);
        self.ask("GET", &url, &[("sec-fetch-site", "same-origin")], b"").await
    }

    /// Follows redirects from a path of the service to where they end.
    pub async fn go(&mut self, path: &str) -> End {
        let start = format!("{}{path}", self.service);
        self.follow(start).await
    }

    /// The same from any address.
    pub async fn follow(&mut self, start: String) -> End {
        let (mut url, mut visited) = (start, Vec::new());
        loop {
            visited.push(url.clone());
            assert!(visited.len() < 12, "{visited:?}");
            let place = url.split('#').next().unwrap().to_owned();
            if !place.starts_with("https://localhost") {
                return End { url, answer: None, visited };
            }
            let answer = self.ask("GET", &place, &NAVIGATION, b"").await;
            match answer.header("location") {
                Some(next) if answer.status == 302 => {
                    // What stood in the fragment goes along where there is no other (RFC 9110 section 10.2.2).
                    let fragment = url.split_once('#').filter(|_| !next.contains('#')).map(|(_, fragment)| fragment);
                    url = fragment.map_or_else(|| next.to_owned(), |fragment| format!("{next}#{fragment}"));
                }
                _ => return End { url, answer: Some(answer), visited },
            }
        }
    }
}

fn parsed(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("{bytes:?}"));
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    Answer { status: status.unwrap(), headers, body: bytes[end + 4..].to_vec() }
}
