//! What import and export cost in memory, however many registrations there are: a service of its own process, which is
//! looked at while it works.
//!
//! ```text
//! cargo test --release --test hubs_registrations -- --ignored --nocapture memory
//! ```

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use fanfare::clock::{Clock, SystemClock};
use loadtest::service::usage::Usage;

use crate::atom::{description, job};
use crate::client::Client;
use crate::world::{configured, text_of, texts_of};

/// By so much memory may grow, whatever the number: some pages of lines and pieces of files, and what an allocator keeps.
const ROOM: u64 = 48 << 20;

/// `fanfare serve` on a free port; killed when dropped.
struct Process {
    child: Child,
    /// Open as long as the process: it must not die of a log line.
    _stderr: BufReader<ChildStderr>,
    client: Client,
}

impl Process {
    fn start(folder: &std::path::Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.args(["serve", "--config"]).arg(configured(folder, "")).env("FANFARE__SERVER__LISTEN", "127.0.0.1:0");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended: {:?}", child.wait());
            if let Some(rest) = line.split("http://").nth(1) {
                break rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        Self { child, _stderr: stderr, client: Client::bearer(address, "full-key") }
    }

    fn memory(&self) -> u64 {
        Usage::of(self.child.id()).unwrap().anonymous
    }

    /// Runs a job to its end; answers its id and the most memory that the service had meanwhile.
    async fn run(&self, kind: &str, output: &str, input: Option<&str>) -> (String, u64) {
        let body = job(kind, output, input);
        let submitted = self.client.send("POST", "/demo/jobs?api-version=2020-06", &[], body.as_bytes()).await;
        let id = text_of(submitted.expect(201).text(), "JobId");
        let mut most = 0;
        loop {
            most = most.max(self.memory());
            let entry = self.client.get(&format!("/demo/jobs/{id}?api-version=2020-06")).await.expect(200);
            match texts_of(entry.text(), "Status").first().map(String::as_str) {
                Some("Completed") => return (id, most.max(self.memory())),
                Some("Failed") => panic!("{}", entry.text()),
                _ => tokio::task::yield_now().await,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: hundreds of thousands of registrations through a job"]
async fn memory_stays_flat_while_many_are_imported_and_exported() {
    let count: usize = std::env::var("EXPORTED").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let folder = tempfile::tempdir().unwrap();
    let service = Process::start(folder.path());
    let mib = |bytes: u64| bytes >> 20;
    let container = service.client.send("POST", "/demo/jobs/containers", &[], b"").await.expect(201).text().to_owned();
    let within = |name: &str| container.replacen('?', &format!("/{name}?"), 1);
    let path = |address: &str| address.split_once("/demo/").map(|(_, rest)| format!("/demo/{rest}")).unwrap();
    let lines: String = (0..count)
        .map(|n| {
            let elements = format!(
                "<RegistrationId>r-{n:07}</RegistrationId><Tags>all,group.{},account.{n}</Tags><FcmV1RegistrationId>device{n}:APA91b</FcmV1RegistrationId>",
                n % 1_000
            );
            description("FcmV1", &elements) + "\n"
        })
        .collect();
    let begun = service.memory();
    service.client.send("PUT", &path(&within("in.txt")), &[], lines.as_bytes()).await.expect(201);
    let put = service.memory();
    let clock = SystemClock;
    let start = clock.boot();
    let (_, imported) = service.run("ImportCreateRegistrations", &container, Some(&within("in.txt"))).await;
    let importing = clock.boot().after(start);
    let before = service.memory();
    let start = clock.boot();
    let (id, exported) = service.run("ExportRegistrations", &container, None).await;
    let exporting = clock.boot().after(start);
    let output = service.client.get(&path(&within(&format!("demo/{id}/Output.txt")))).await.expect(200);
    let read = service.memory();
    assert_eq!(output.text().lines().count(), count);
    println!(
        "{count} registrations, {} MiB as a file. Memory of the service: {} MiB at the start, {} MiB when the file was \
         put, at most {} MiB while it was imported ({importing:.1?}); {} MiB before the export, at most {} MiB while it \
         ran ({exporting:.1?}), {} MiB when its output was read",
        output.body.len() >> 20,
        mib(begun),
        mib(put),
        mib(imported),
        mib(before),
        mib(exported),
        mib(read)
    );
    assert!(exported <= before + ROOM && read <= before + ROOM, "an export grows with what is exported");
}
