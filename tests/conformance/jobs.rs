//! Jobs and the files that they read and write.

use std::time::Duration;

use fanfare::clock::Clock;
use fanfare::model::id::{Epoch, HubName};
use fanfare::store::{FileId, JobRecord, JobStep, Store, StoreError};

use super::registry::hub;
use super::{Bench, START, benches, wait};

const LENGTH: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

fn record(bench: &dyn Bench, id: &str) -> JobRecord {
    let now = bench.clock().now();
    let (created, updated, expires) = (now, now, now.plus(7 * DAY));
    JobRecord { id: id.to_owned(), state: b"begun".to_vec(), finished: false, created, updated, expires }
}

fn content(store: &dyn Store, file: FileId) -> Vec<u8> {
    let mut content = Vec::new();
    for number in 0.. {
        let Some(piece) = wait(store.file_piece(file, number)).unwrap() else { break };
        content.extend(piece);
    }
    content
}

#[test]
fn a_job_is_held_by_one_until_its_lease_runs_out() {
    for bench in benches() {
        let (store, hub) = (bench.store(), hub(bench.store()));
        assert_eq!(wait(store.lease_job(LENGTH)).unwrap(), None);
        let first = record(&*bench, "a");
        wait(store.put_job(hub, first.clone())).unwrap();
        bench.clock().advance(Duration::from_millis(1));
        wait(store.put_job(hub, record(&*bench, "b"))).unwrap();
        assert_eq!(wait(store.job(hub, "a")).unwrap(), Some(first.clone()));
        assert_eq!(wait(store.job(hub, "c")).unwrap(), None);
        let ids: Vec<_> = wait(store.jobs(hub)).unwrap().into_iter().map(|job| job.id).collect();
        assert_eq!(ids, ["b", "a"], "the newest first");
        let held = wait(store.lease_job(LENGTH)).unwrap().unwrap();
        assert_eq!((held.hub, held.job), (hub, first));
        assert_eq!(wait(store.lease_job(LENGTH)).unwrap().unwrap().job.id, "b");
        assert_eq!(wait(store.lease_job(LENGTH)).unwrap(), None);
        bench.clock().advance(LENGTH);
        let again = wait(store.lease_job(LENGTH)).unwrap().unwrap();
        assert_eq!(again.job.id, "a");
        let step = |state: &[u8], finished| JobStep { state: state.to_vec(), finished, ..JobStep::default() };
        let written = |epoch: Epoch, state: &[u8], finished, length| {
            wait(store.step_job(hub, "a", epoch, step(state, finished), length)).unwrap()
        };
        assert!(!written(held.epoch, b"late", false, LENGTH), "somebody else holds it");
        assert!(written(again.epoch, b"on", false, Duration::ZERO));
        let given_back = wait(store.lease_job(LENGTH)).unwrap().unwrap();
        assert_eq!((given_back.job.id.as_str(), given_back.job.state.as_slice()), ("a", b"on".as_slice()));
        assert!(written(given_back.epoch, b"done", true, Duration::ZERO));
        assert!(!written(given_back.epoch, b"twice", true, LENGTH), "it is over");
        let stored = wait(store.job(hub, "a")).unwrap().unwrap();
        assert!(stored.finished && stored.state == b"done" && stored.updated > stored.created);
    }
}

#[test]
fn what_a_step_writes_and_how_far_it_came_stand_together() {
    for mut bench in benches() {
        let hub = hub(bench.store());
        wait(bench.store().put_job(hub, record(&*bench, "a"))).unwrap();
        let held = wait(bench.store().lease_job(LENGTH)).unwrap().unwrap();
        let file = wait(bench.store().begin_file(hub, "c", "Output.txt", DAY)).unwrap();
        let step = |state: &[u8], number: u32, bytes: &[u8], whole: bool| JobStep {
            state: state.to_vec(),
            finished: false,
            pieces: vec![(file, number, bytes.to_vec())],
            whole: if whole { vec![file] } else { Vec::new() },
        };
        let store = bench.store();
        assert!(wait(store.step_job(hub, "a", held.epoch, step(b"1", 0, b"one,", false), LENGTH)).unwrap());
        assert!(!wait(store.step_job(hub, "a", Epoch(99), step(b"x", 1, b"x", false), LENGTH)).unwrap());
        assert!(wait(store.step_job(hub, "a", held.epoch, step(b"x", 2, b"x", false), LENGTH)).is_err(), "a gap");
        assert_eq!(wait(store.file(hub, "c", "Output.txt")).unwrap(), None, "nobody sees it yet");
        bench.crash();
        let store = bench.store();
        assert_eq!(wait(store.job(hub, "a")).unwrap().unwrap().state, b"1");
        bench.clock().advance(LENGTH);
        let held = wait(store.lease_job(LENGTH)).unwrap().unwrap();
        assert!(wait(store.step_job(hub, "a", held.epoch, step(b"2", 1, b"two", true), LENGTH)).unwrap());
        let info = wait(store.file(hub, "c", "Output.txt")).unwrap().unwrap();
        assert_eq!((info.id, info.bytes, info.pieces), (file, 7, 2));
        assert_eq!(content(store, file), b"one,two");
    }
}

#[test]
fn a_file_takes_the_place_of_one_of_its_name_when_it_is_whole() {
    for bench in benches() {
        let (store, hub) = (bench.store(), hub(bench.store()));
        let write = |name: &str, text: &[u8]| {
            let file = wait(store.begin_file(hub, "c", name, DAY)).unwrap();
            wait(store.append_file(file, 0, text.to_vec())).unwrap();
            file
        };
        let first = write("in.txt", b"first");
        wait(store.finish_file(first)).unwrap();
        let second = write("in.txt", b"second");
        assert_eq!(wait(store.file(hub, "c", "in.txt")).unwrap().unwrap().id, first);
        assert!(wait(store.append_file(second, 0, b"again".to_vec())).is_err(), "each piece once");
        wait(store.finish_file(second)).unwrap();
        assert_eq!(wait(store.file(hub, "c", "in.txt")).unwrap().unwrap().id, second);
        let other = write("a/b.txt", b"");
        wait(store.finish_file(other)).unwrap();
        write("half.txt", b"");
        let names: Vec<_> = wait(store.files(hub, "c")).unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["a/b.txt", "in.txt"]);
        assert_eq!(wait(store.files(hub, "d")).unwrap(), []);
        assert_eq!(wait(store.file(hub, "d", "in.txt")).unwrap(), None);
        // What is replaced and what is old goes.
        while wait(store.sweep()).unwrap() {}
        assert_eq!((content(store, first), content(store, second)), (Vec::new(), b"second".to_vec()));
        bench.clock().advance(DAY);
        while wait(store.sweep()).unwrap() {}
        assert_eq!((wait(store.files(hub, "c")).unwrap(), content(store, second)), (Vec::new(), Vec::new()));
        assert!(wait(store.append_file(second, 1, b"late".to_vec())).is_err());
    }
}

#[test]
fn old_jobs_go_and_those_of_a_deleted_hub() {
    for bench in benches() {
        let (store, id) = (bench.store(), hub(bench.store()));
        wait(store.put_job(id, record(&*bench, "a"))).unwrap();
        bench.clock().advance(DAY);
        wait(store.put_job(id, record(&*bench, "b"))).unwrap();
        bench.clock().advance(6 * DAY);
        while wait(store.sweep()).unwrap() {}
        let ids: Vec<_> = wait(store.jobs(id)).unwrap().into_iter().map(|job| job.id).collect();
        assert_eq!(ids, ["b"]);
        let file = wait(store.begin_file(id, "c", "x", DAY)).unwrap();
        wait(store.append_file(file, 0, vec![7; 1_000])).unwrap();
        wait(store.finish_file(file)).unwrap();
        assert!(wait(store.delete_hub(&HubName::parse("demo").unwrap())).unwrap());
        while wait(store.sweep()).unwrap() {}
        assert_eq!((wait(store.jobs(id)).unwrap(), wait(store.file(id, "c", "x")).unwrap()), (Vec::new(), None));
        assert_eq!(content(store, file), Vec::<u8>::new());
        assert_eq!(wait(store.lease_job(LENGTH)).unwrap(), None);
        let refused = wait(store.put_job(id, record(&*bench, "c")));
        assert!(matches!(refused, Err(StoreError::NoHub)));
        assert!(matches!(wait(store.begin_file(id, "c", "x", DAY)), Err(StoreError::NoHub)));
        assert!(START < bench.clock().now());
    }
}
