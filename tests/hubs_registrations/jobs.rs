//! J1–J3 (`notification-hubs.md` 2.9).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::{Method, StatusCode, Uri};
use loadtest::gateways::{Authority, TlsListener};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::atom::{self, description, fcm};
use crate::client::Client;
use crate::containers::{container, nobody};
use crate::world::{TOKEN, World, text_of, texts_of};

async fn submit(client: &Client, kind: &str, output: &str, input: Option<&str>) -> String {
    let headers = [("content-type", "application/atom+xml;type=entry;charset=utf-8")];
    let body = atom::job(kind, output, input);
    let answer = client.send("POST", "/demo/jobs?api-version=2020-06", &headers, body.as_bytes()).await.expect(201);
    let id = text_of(answer.text(), "JobId");
    assert!(answer.header("location").unwrap().ends_with(&format!("/demo/jobs/{id}?api-version=2020-06")));
    assert_eq!(answer.header("content-type"), Some("application/atom+xml; type=entry; charset=utf-8"));
    // Q14: both stand in every reply.
    assert_eq!(text_of(answer.text(), "Type"), kind);
    assert!(answer.text().contains("<OutputContainerUri>"));
    assert!(id.len() == 19 + 36 && id.bytes().take(19).all(|byte| byte.is_ascii_digit()), "{id}");
    id
}

/// Asks until the job is over, as clients do, and answers its entry.
async fn finished(client: &Client, id: &str) -> String {
    loop {
        let entry = client.get(&format!("/demo/jobs/{id}?api-version=2020-06")).await.expect(200).text().to_owned();
        if entry.contains("<Status>Completed<") || entry.contains("<Status>Failed<") {
            return entry;
        }
    }
}

/// A container with an input file: the container's address and the file's.
async fn prepared(world: &World, input: &str) -> (String, String, String) {
    let (path, query) = container(world).await;
    nobody(world).send("PUT", &format!("{path}/in.txt?{query}"), &[], input.as_bytes()).await.expect(201);
    let host = format!("https://{}", world.running.address());
    (format!("{host}{path}?{query}"), format!("{host}{path}/in.txt?{query}"), path)
}

/// A result of a job.
async fn result(world: &World, address: &str, id: &str, file: &str) -> String {
    let (path, query) = address.split_once('?').unwrap();
    let path = format!("{}/demo/{id}/{file}?{query}", world.path_of(path));
    nobody(world).get(&path).await.expect(200).text().to_owned()
}

fn line(id: &str, token: &str, tags: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!("<RegistrationId>{id}</RegistrationId>") };
    description("FcmV1", &format!("{id}<Tags>{tags}</Tags><FcmV1RegistrationId>{token}</FcmV1RegistrationId>")) + "\n"
}

#[tokio::test]
async fn c15_an_export_tells_its_paths_under_the_prefix_and_an_import_takes_it() {
    let world = World::start().await;
    for n in 0..300 {
        world.put(&format!("r-{n}"), &fcm(&format!("t{n}"), "a")).await.expect(200);
    }
    let document = serde_json::json!({"installationId": "dev-1", "platform": "apns", "pushChannel": TOKEN});
    world.admin.put("/v1/hubs/demo/installations/dev-1", &document).await.expect(201);
    let (output, _, path) = prepared(&world, "").await;
    let id = submit(&world.full, "ExportRegistrations", &output, None).await;
    let entry = finished(&world.full, &id).await;
    assert!(entry.contains("<Progress>100.00</Progress>"), "{entry}");
    let prefixed = "<OutputProperties xmlns:d3p1=\"http://schemas.microsoft.com/2003/10/Serialization/Arrays\">\
                    <d3p1:KeyValueOfstringstring><d3p1:Key>OutputFilePath</d3p1:Key><d3p1:Value>";
    assert!(entry.contains(prefixed), "{entry}");
    assert_eq!(texts_of(&entry, "d3p1:Key"), ["OutputFilePath"]);
    let told = texts_of(&entry, "d3p1:Value").remove(0);
    assert_eq!(told, format!("127.0.0.1//demo/{id}/Output.txt"));
    let exported = result(&world, &output, &id, "Output.txt").await;
    let query = output.split_once('?').unwrap().1;
    let by_path = nobody(&world).get(&format!("{path}/{told}?{query}")).await.expect(200);
    assert!(by_path.text() == exported, "the path that the job tells leads there too");
    assert_eq!(exported.lines().count(), 301);
    assert!(exported.lines().last().unwrap().contains("$InstallationId:{dev-1}"));
    // All but the installation's target can be brought back.
    let (output, input, _) = prepared(&world, &exported).await;
    let id = submit(&world.full, "ImportUpsertRegistrations", &output, Some(&input)).await;
    finished(&world.full, &id).await;
    let applied = result(&world, &output, &id, "Output.txt").await;
    assert_eq!((applied.lines().count(), applied.lines().next()), (300, Some("1,updated r-0")));
    let failed = result(&world, &output, &id, "Failed.txt").await;
    assert_eq!(failed, "301,Tags can not start with $\n");
    let jobs = world.full.get("/demo/jobs?api-version=2020-06").await.expect(200);
    assert_eq!(jobs.header("content-type"), Some("application/atom+xml; type=feed; charset=utf-8"));
    assert_eq!(
        (texts_of(jobs.text(), "JobId").len(), jobs.text().contains("<title type=\"text\">jobs</title>")),
        (2, true)
    );
}

/// Each type with lines that can and lines that cannot be applied.
#[tokio::test]
async fn every_kind_of_import_tells_what_became_of_each_line() {
    let world = World::start().await;
    world.put("old", &fcm("t", "a")).await.expect(200);
    let long = "x".repeat(70_000);
    let input = [
        line("old", "t1", "b"),
        line("new", "t2", "b").replace('\n', "\r\n"),
        "\n".to_owned(),
        "junk, \"here\"\n".to_owned(),
        line("", "t3", "b"),
        line("0-7-0", "t4", "b"),
        format!("{long}\n"),
        line("last", "t5", "b").trim_end().to_owned(),
    ]
    .concat();
    let broken = "4,\"body must be XML without text outside its root element\"\n".replace('"', "");
    let too_long = "7,a line must have at most 65536 bytes\n";
    let derived = "6,0-7-0 stands for a target of an installation\n";
    for (kind, applied, failed) in [
        (
            "ImportCreateRegistrations",
            vec!["2,created new", "5,created *", "8,created last"],
            format!("1,there is a registration old already\n{broken}{derived}{too_long}"),
        ),
        (
            "ImportUpdateRegistrations",
            vec!["1,updated old", "2,updated new", "8,updated last"],
            format!("{broken}5,RegistrationId is required\n{derived}{too_long}"),
        ),
        (
            "ImportUpsertRegistrations",
            vec!["1,updated old", "2,updated new", "5,created *", "8,updated last"],
            format!("{broken}{derived}{too_long}"),
        ),
        (
            "ImportDeleteRegistrations",
            vec!["1,deleted old", "2,deleted new", "8,deleted last"],
            format!("{broken}5,RegistrationId is required\n6,there is no registration 0-7-0\n{too_long}"),
        ),
    ] {
        let (output, address, _) = prepared(&world, &input).await;
        let id = submit(&world.full, kind, &output, Some(&address)).await;
        let entry = finished(&world.full, &id).await;
        assert_eq!(texts_of(&entry, "d3p1:Key"), ["OutputFilePath", "FailedFilePath"], "{kind}");
        let told = result(&world, &output, &id, "Output.txt").await;
        for (line, expected) in told.lines().zip(&applied) {
            let fits = expected.strip_suffix('*').map_or(line == *expected, |head| line.starts_with(head));
            assert!(fits, "{kind}: {line} is not {expected}");
        }
        assert_eq!(told.lines().count(), applied.len(), "{kind}: {told}");
        assert_eq!(result(&world, &output, &id, "Failed.txt").await, failed, "{kind}");
    }
}

#[tokio::test]
async fn a_job_goes_on_after_a_restart() {
    let world = World::start().await;
    let input: String = (0..5_000).map(|n| line("", &format!("t{n}"), "a")).collect();
    let (output, address, _) = prepared(&world, &input).await;
    let id = submit(&world.full, "ImportCreateRegistrations", &output, Some(&address)).await;
    let world = world.restart().await;
    let entry = finished(&world.full, &id).await;
    assert!(entry.contains("<Status>Completed<"), "{entry}");
    let (path, query) = output.split_once('?').unwrap();
    let path = path.split_once("/demo/").unwrap().1;
    let told = nobody(&world).get(&format!("/demo/{path}/demo/{id}/Output.txt?{query}")).await.expect(200);
    let numbers: Vec<_> =
        told.text().lines().map(|line| line.split_once(',').unwrap().0.parse::<u32>().unwrap()).collect();
    assert_eq!(numbers, (1..=5_000).collect::<Vec<_>>(), "each line once");
    let count = world.admin.post("/v1/hubs/demo/audience", &serde_json::json!({"audience": "a"})).await.expect(200);
    assert_eq!(count.json()["count"], 5_000);
}

/// A step commits its lines, and then what became of them: here the second is not written, as in a crash between them.
async fn broken_off(steps_before: u32) {
    const LINES: u64 = 2_000;
    /// Of a step.
    const STEP: u64 = 512;
    let broken = format!(
        "CREATE TABLE written (steps INTEGER); INSERT INTO written VALUES (0);
         CREATE TRIGGER crash BEFORE UPDATE OF state ON job WHEN (SELECT steps FROM written) >= {steps_before}
             BEGIN SELECT RAISE(ABORT, 'broken off'); END;
         CREATE TRIGGER counted AFTER UPDATE OF state ON job BEGIN UPDATE written SET steps = steps + 1; END;"
    );
    let world = World::start().await.restart_after(&broken).await;
    let input: String = (0..LINES).map(|n| line("", &format!("t{n}"), "a")).collect();
    let (output, address, _) = prepared(&world, &input).await;
    let id = submit(&world.full, "ImportCreateRegistrations", &output, Some(&address)).await;
    let registered = async |world: &World| {
        let asked = serde_json::json!({"audience": "a"});
        world.admin.post("/v1/hubs/demo/audience", &asked).await.expect(200).json()["count"].as_u64().unwrap()
    };
    let applied = STEP * (u64::from(steps_before) + 1);
    while registered(&world).await < applied {
        tokio::task::yield_now().await;
    }
    let world = world.restart_after("DROP TRIGGER crash; DROP TRIGGER counted; DROP TABLE written;").await;
    let entry = finished(&world.full, &id).await;
    assert!(entry.contains("<Status>Completed<"), "{entry}");
    assert_eq!(registered(&world).await, LINES, "none is lost, none is doubled");
    let (path, query) = output.split_once('?').unwrap();
    let path = path.split_once("/demo/").unwrap().1;
    let file = async |name: &str| {
        let file = nobody(&world).get(&format!("/demo/{path}/demo/{id}/{name}?{query}")).await.expect(200);
        file.text().to_owned()
    };
    assert_eq!(file("Failed.txt").await, "");
    let told = file("Output.txt").await;
    let lines = told.lines().zip(1..).filter(|(line, n)| line.starts_with(&format!("{n},created "))).count();
    assert_eq!((lines, told.lines().count()), (2_000, 2_000), "{steps_before}");
}

#[tokio::test]
async fn a_job_that_broke_off_within_its_first_batch_goes_on() {
    broken_off(0).await;
}

#[tokio::test]
async fn a_job_that_broke_off_within_a_later_batch_goes_on() {
    broken_off(2).await;
}

type Blobs = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A blob service of somebody else.
async fn blob(State(blobs): State<Blobs>, method: Method, uri: Uri, body: Bytes) -> (StatusCode, Vec<u8>) {
    let at = uri.to_string();
    if !at.contains("sig=right") {
        return (StatusCode::FORBIDDEN, Vec::new());
    }
    match method {
        Method::PUT => {
            blobs.lock().await.insert(at, body.to_vec());
            (StatusCode::CREATED, Vec::new())
        }
        _ => blobs
            .lock()
            .await
            .get(&at)
            .map_or((StatusCode::NOT_FOUND, Vec::new()), |blob| (StatusCode::OK, blob.clone())),
    }
}

#[tokio::test]
async fn input_and_results_may_lie_elsewhere_where_the_configuration_says_so() {
    let blobs = Blobs::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, Router::new().fallback(blob).with_state(blobs.clone())).into_future());
    let world = World::allowing(&format!("\"{other}\"")).await;
    blobs.lock().await.insert("/in.txt?sig=right".to_owned(), (line("r", "t", "a") + "junk\n").into_bytes());
    let (output, input) = (format!("http://{other}/out?sig=right"), format!("http://{other}/in.txt?sig=right"));
    let id = submit(&world.full, "ImportCreateRegistrations", &output, Some(&input)).await;
    let entry = finished(&world.full, &id).await;
    assert!(entry.contains("<Status>Completed<"), "{entry}");
    let put = |file: &str| format!("/out/demo/{id}/{file}?sig=right");
    assert_eq!(blobs.lock().await[&put("Output.txt")], b"1,created r\n");
    assert_eq!(blobs.lock().await.get(&put("Failed.txt")).map(|blob| blob.starts_with(b"2,")), Some(true));
    let id = submit(&world.full, "ExportRegistrations", &output, None).await;
    finished(&world.full, &id).await;
    let exported = blobs.lock().await[&format!("/out/demo/{id}/Output.txt?sig=right")].clone();
    assert!(String::from_utf8(exported).unwrap().contains("<RegistrationId>r</RegistrationId>"));
    // What the other side refuses is the job's failure, in words without the address.
    for (output, input, words) in [
        (format!("http://{other}/out?sig=wrong"), None, "<Failure>OutputContainerUri answered 403</Failure>"),
        (
            format!("http://{other}/out?sig=right"),
            Some(format!("http://{other}/none?sig=right")),
            "<Failure>ImportFileUri answered 404</Failure>",
        ),
    ] {
        let kind = if input.is_some() { "ImportUpsertRegistrations" } else { "ExportRegistrations" };
        let id = submit(&world.full, kind, &output, input.as_deref()).await;
        let entry = finished(&world.full, &id).await;
        assert!(entry.contains("<Status>Failed<") && entry.contains(words), "{entry}");
    }
    // The addresses are keys: they rest sealed.
    let file = std::fs::read(world.folder.path().join("fanfare.db-wal")).unwrap_or_default();
    assert!(!file.windows(9).any(|bytes| bytes == b"sig=right"), "an address rests in the clear");
}

#[tokio::test]
async fn elsewhere_may_be_behind_tls_under_a_root_of_its_own() {
    let (authority, files) = (Authority::new().unwrap(), tempfile::tempdir().unwrap());
    let listener = TlsListener::bind(&authority).await.unwrap();
    let port = listener.address().port();
    let blobs = Blobs::default();
    let router = Router::new().fallback(blob).with_state(blobs.clone());
    tokio::spawn(axum::serve(listener, router).into_future());
    let root = authority.write_ca(files.path()).unwrap();
    let jobs = format!("allowed_hosts = [\"localhost:{port}\"]\nca_file = \"{}\"", root.display());
    let world = World::with_jobs(jobs).await;
    blobs.lock().await.insert("/in.txt?sig=right".to_owned(), line("r", "t", "a").into_bytes());
    let at = |name: &str| format!("https://localhost:{port}/{name}?sig=right");
    let id = submit(&world.full, "ImportCreateRegistrations", &at("out"), Some(&at("in.txt"))).await;
    let entry = finished(&world.full, &id).await;
    assert!(entry.contains("<Status>Completed<"), "{entry}");
    assert_eq!(blobs.lock().await[&format!("/out/demo/{id}/Output.txt?sig=right")], b"1,created r\n");
    let id = submit(&world.full, "ExportRegistrations", &at("out"), None).await;
    finished(&world.full, &id).await;
    let exported = blobs.lock().await[&format!("/out/demo/{id}/Output.txt?sig=right")].clone();
    assert!(String::from_utf8(exported).unwrap().contains("<RegistrationId>r</RegistrationId>"));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_the_jobs_failure() {
    let authority = Authority::new().unwrap();
    let listener = TlsListener::bind(&authority).await.unwrap();
    let port = listener.address().port();
    let router = Router::new().fallback(blob).with_state(Blobs::default());
    tokio::spawn(axum::serve(listener, router).into_future());
    let world = World::allowing(&format!("\"localhost:{port}\"")).await;
    let at = |name: &str| format!("https://localhost:{port}/{name}?sig=right");
    for (kind, input, field) in [
        ("ExportRegistrations", None, "OutputContainerUri"),
        ("ImportCreateRegistrations", Some(at("in.txt")), "ImportFileUri"),
    ] {
        let id = submit(&world.full, kind, &at("out"), input.as_deref()).await;
        let entry = finished(&world.full, &id).await;
        let words = format!("<Failure>{field} shows a certificate that is not trusted; jobs.ca_file of the hub");
        assert!(entry.contains("<Status>Failed<") && entry.contains(&words), "{entry}");
    }
}

#[tokio::test]
async fn addresses_that_lead_elsewhere_are_refused() {
    let world = World::allowing("\"blobs.example\"").await;
    let (output, input, path) = prepared(&world, "").await;
    let good = |address: &str| address.to_owned();
    for (kind, output, input, field) in [
        ("ExportRegistrations", "https://other.example/out".to_owned(), None, "OutputContainerUri"),
        ("ExportRegistrations", "http://blobs.example/out".to_owned(), None, "OutputContainerUri"),
        ("ExportRegistrations", "https://blobs.example:8443/out".to_owned(), None, "OutputContainerUri"),
        ("ExportRegistrations", "junk".to_owned(), None, "OutputContainerUri"),
        ("ExportRegistrations", good(&input), None, "OutputContainerUri"),
        (
            "ExportRegistrations",
            format!("https://{}{path}?se=1&sig=x", world.running.address()),
            None,
            "OutputContainerUri",
        ),
        ("ImportCreateRegistrations", good(&output), Some(good(&output)), "ImportFileUri"),
        ("ImportCreateRegistrations", good(&output), Some("file:///etc/passwd".to_owned()), "ImportFileUri"),
        ("ImportCreateRegistrations", good(&output), None, "ImportFileUri"),
        ("Other", good(&output), None, "Type"),
    ] {
        let body = atom::job(kind, &output, input.as_deref());
        let answer = world.full.send("POST", "/demo/jobs", &[], body.as_bytes()).await.expect(400);
        assert!(answer.text().contains(field), "{}", answer.text());
    }
    world.full.get("/demo/jobs/none").await.expect(404);
    // A file that is not there is the job's failure.
    let missing = input.replace("in.txt", "none.txt");
    let id = submit(&world.full, "ImportCreateRegistrations", &output, Some(&missing)).await;
    let entry = finished(&world.full, &id).await;
    assert!(entry.contains("<Failure>ImportFileUri leads to no file</Failure>"), "{entry}");
}
