//! nginx: answers before it has read a body, passes bodies on, and goes away after a few hundred requests.

use std::net::TcpListener;

use rustix::process::Signal;
use std::process::Command;

use super::child::{Server, folder};
use super::{assert_seen, assert_told, kind, send, targets};
use crate::bench::Identity;

const CONFIG: &str = r#"
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events { worker_connections 256; }
http {
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_body_buffer_size 64k;
  keepalive_requests 150;
  http2_max_concurrent_streams 40;
  log_format seen '$uri $request_body';
  access_log off;
  server {
    listen 127.0.0.1:PORT ssl http2;
    ssl_certificate cert.pem;
    ssl_certificate_key key.pem;
    access_log seen.log seen;
    location /plain/ { return 200; }
    location /gone/ { return 410 "gone $uri"; }
    location /taken/ { proxy_pass http://unix:behind.sock:; }
  }
  server {
    listen unix:behind.sock;
    location / { return 200; }
  }
}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx() {
    let identity = Identity::new();
    let folder = folder(&identity);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sock = folder.path().join("behind.sock");
    let config =
        CONFIG.replace("PORT", &port.to_string()).replace("unix:behind.sock", &format!("unix:{}", sock.display()));
    std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder.path());
    let server = Server::start(folder, &mut command, "nginx-light", "nginx/");

    let targets = targets(&["plain", "taken", "gone"], 4_000);
    let told = send(port, &identity, &targets).await;
    assert_told(&targets, &told);
    // Only what is passed on is read.
    let seen = server.end(Signal::QUIT).into_iter().map(|(path, body)| {
        let body = (kind(&path) == "taken").then_some(body);
        (path, body)
    });
    assert_seen(&targets, seen.collect());
}
