//! Node: early hints, trailers, padding, resets, refusals, small limits, and sessions that close in mid-flight.

use rustix::process::Signal;
use std::process::Command;

use super::child::{Server, folder};
use super::{assert_seen, assert_told, kind, send, targets};
use crate::bench::{Identity, To};

const SCRIPT: &str = r#"
const fs = require('fs');
const http2 = require('http2');
const { constants } = http2;
const log = fs.openSync('seen.log', 'a');
const refused = new Set();
const sessions = new Map();
const server = http2.createSecureServer({
  key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem'),
  ...OPTIONS,
});
server.on('session', session => { sessions.set(session, 0); session.on('error', () => {}); });
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  const path = headers[':path'];
  const kind = path.split('/')[1];
  const session = stream.session;
  sessions.set(session, sessions.get(session) + 1);
  if (sessions.get(session) == 120) session.close();
  if (kind == 'refused' && !refused.has(path)) {
    refused.add(path);
    return stream.close(constants.NGHTTP2_REFUSED_STREAM);
  }
  if (kind == 'soon') {
    fs.writeSync(log, `${path} -\n`);
    stream.respond({ ':status': 413 });
    return stream.end('too large');
  }
  const pieces = [];
  stream.on('data', piece => pieces.push(piece));
  stream.on('end', () => {
    fs.writeSync(log, `${path} ${Buffer.concat(pieces).toString() || '-'}\n`);
    if (kind == 'reset') return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    if (kind == 'gone') { stream.respond({ ':status': 410, 'x-why': 'no more' }); return stream.end('gone ' + path); }
    if (kind == 'early') {
      stream.additionalHeaders({ ':status': 103, link: '</a>; rel=preload' });
      stream.additionalHeaders({ ':status': 102 });
    }
    if (kind != 'trailers') { stream.respond({ ':status': 200 }, { endStream: true }); return; }
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }));
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.end();
  });
});
server.listen(0, '127.0.0.1', () => console.log('listens on ' + server.address().port));
process.on('SIGTERM', () => process.exit(0));
"#;

async fn run(options: &str, targets: &[To]) {
    let identity = Identity::new();
    let folder = folder(&identity);
    std::fs::write(folder.path().join("server.js"), SCRIPT.replace("OPTIONS", options)).unwrap();
    let mut command = Command::new("node");
    let server = Server::start(folder, command.arg("server.js"), "nodejs", "listens on");
    let port = server.ready.rsplit(' ').next().unwrap().parse().unwrap();

    let told = send(port, &identity, targets).await;
    assert_told(targets, &told);
    let seen = server.end(Signal::TERM).into_iter().map(|(path, body)| {
        let body = (kind(&path) != "soon").then_some(body);
        (path, body)
    });
    assert_seen(targets, seen.collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node() {
    run("{}", &targets(&["plain", "early", "trailers", "gone", "reset", "refused", "soon"], 3_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_with_small_limits_and_padding() {
    let options = "{ paddingStrategy: constants.PADDING_STRATEGY_MAX, settings: \
                   { maxConcurrentStreams: 7, initialWindowSize: 1000, headerTableSize: 100 } }";
    run(options, &targets(&["plain", "early", "trailers", "gone"], 2_000)).await;
}
