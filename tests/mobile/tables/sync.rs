//! Each library's pull over HTTP (3.1), beside random writers: when they stop, each copy equals the table (acceptance 4).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engines::on_both;
use super::*;

const PAGE: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    /// JavaScript; Android's and iOS's ask the same.
    Js,
    /// .NET and Xamarin of version 2 to 4.
    Net,
    Datasync,
    Toolkit,
}

/// A device with its copy of a table: live rows by id, without what is null.
struct Device<'a> {
    library: Library,
    client: &'a Client,
    /// What the last pull left.
    token: Option<String>,
    copy: BTreeMap<String, Value>,
}

impl<'a> Device<'a> {
    fn new(library: Library, client: &'a Client) -> Self {
        Self { library, client, token: None, copy: BTreeMap::new() }
    }

    async fn pull(&mut self) {
        match self.library {
            Library::Js => self.pull_by_bound().await,
            Library::Net => self.pull_by_links_and_bound().await,
            Library::Datasync | Library::Toolkit => self.pull_by_next_link().await,
        }
    }

    /// Asks again from the last row's stamp, and skips where that did not move, until a page is empty.
    async fn pull_by_bound(&mut self) {
        let mut bound = self.token.clone().unwrap_or_else(|| "1969-12-31T00:00:00.000Z".to_owned());
        let mut skip = 0;
        loop {
            let filter = encoded(&format!("(updatedAt ge datetimeoffset'{bound}')"));
            let skipped = if skip > 0 { format!("&$skip={skip}") } else { String::new() };
            let path = format!(
                "/tables/smallpage?$filter={filter}&$orderby=updatedAt{skipped}&$top={PAGE}&__includeDeleted=true"
            );
            let page = list(self.client, &path).await;
            let Some(last) = page.last().map(stamp) else { return };
            self.take(&page);
            (bound, skip) = if last == bound { (bound, skip + page.len()) } else { (last, 0) };
            self.token = Some(bound.clone());
        }
    }

    /// Follows links while there are any, then asks from the largest stamp, until a page is empty.
    async fn pull_by_links_and_bound(&mut self) {
        let mut bound = self.token.clone().unwrap_or_else(|| "1970-01-01T00:00:00.000Z".to_owned());
        let mut skip = 0;
        loop {
            let literal = bound.replace('Z', "0000+00:00");
            let filter = encoded(&format!("(updatedAt ge datetimeoffset'{literal}')"));
            let mut path = format!(
                "/tables/smallpage?$filter={filter}&$orderby=updatedAt&$skip={skip}&$top={PAGE}&__includeDeleted=true"
            );
            let (mut largest, mut rows) = (bound.clone(), 0);
            loop {
                let answer = send(self.client, "GET", &path, &[V2], &Value::Null).await.expect(200);
                let page = answer.json().as_array().unwrap().clone();
                rows += page.len();
                largest = page.iter().map(stamp).fold(largest, String::max);
                self.take(&page);
                match answer.header("link").and_then(|link| link.strip_suffix("; rel=next")) {
                    Some(link) => path = link[link.find("/tables").unwrap()..].to_owned(),
                    None => break,
                }
            }
            if rows == 0 {
                return;
            }
            skip = if largest == bound { skip + rows } else { 0 };
            bound.clone_from(&largest);
            self.token = Some(largest);
        }
    }

    /// Follows the body's links to their end. Datasync's first pull asks for live rows alone.
    async fn pull_by_next_link(&mut self) {
        let headers = if self.library == Library::Datasync { V3 } else { TOOLKIT };
        let filter = self
            .token
            .as_ref()
            .map(|token| format!("$filter={}&", encoded(&format!("(updatedAt gt cast({token},Edm.DateTimeOffset))"))));
        let deleted = if self.library == Library::Datasync && filter.is_none() { "" } else { "&__includedeleted=true" };
        let mut query = format!("{}$orderby=updatedAt&$count=true{deleted}", filter.unwrap_or_default());
        loop {
            let path = format!("/tables/smallpage?{query}");
            let page = send(self.client, "GET", &path, &[headers], &Value::Null).await.expect(200).json();
            let rows = page["items"].as_array().unwrap();
            assert!(page["count"].is_u64(), "{page}");
            self.take(rows);
            self.token = match self.library {
                // The last row's, whatever it is (8.3.10).
                Library::Datasync => rows.last().map(stamp).or(self.token.take()),
                _ => rows.iter().map(stamp).chain(self.token.take()).max(),
            };
            let Some(link) = page["nextLink"].as_str() else { return };
            query = link.split_once('?').map_or(link, |(_, query)| query).to_owned();
        }
    }

    fn take(&mut self, rows: &[Value]) {
        assert!(rows.is_sorted_by(|a, b| stamp(a) < stamp(b)), "each stamp once: {rows:?}");
        for row in rows {
            let id = row["id"].as_str().unwrap().to_owned();
            match row["deleted"].as_bool().unwrap_or_else(|| panic!("the pull ends at {row}")) {
                true => drop(self.copy.remove(&id)),
                false => drop(self.copy.insert(id, without_nulls(row))),
            }
        }
    }
}

fn stamp(row: &Value) -> String {
    row["updatedAt"].as_str().unwrap().to_owned()
}

fn without_nulls(row: &Value) -> Value {
    let members = row.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The table's live rows, page by page.
async fn truth(client: &Client) -> BTreeMap<String, Value> {
    let (mut rows, mut query) = (BTreeMap::new(), String::new());
    loop {
        let page = send(client, "GET", &format!("/tables/smallpage?{query}"), &[TOOLKIT], &Value::Null).await;
        let page = page.expect(200).json();
        for row in page["items"].as_array().unwrap() {
            rows.insert(row["id"].as_str().unwrap().to_owned(), without_nulls(row));
        }
        let Some(link) = page["nextLink"].as_str() else { return rows };
        query = link.to_owned();
    }
}

/// One change of a random kind, by a writer of a random library.
async fn change(client: &Client, random: &mut fastrand::Rng) {
    let path = format!("/tables/smallpage/r-{}", random.u32(0..18));
    let id = path.rsplit('/').next().unwrap();
    let item = json!({"text": random.u32(..).to_string(), format!("c{}", random.u32(0..4)): 1});
    let mut named = item.clone();
    named["id"] = json!(id);
    let (method, path, headers, body) = match random.u32(0..8) {
        0..3 => ("POST", "/tables/smallpage", [V2, JSON], named),
        3 => ("PATCH", path.as_str(), [V2, JSON], named),
        4 => ("PUT", path.as_str(), [V3, JSON], item),
        5 => ("DELETE", path.as_str(), [TOOLKIT, JSON], Value::Null),
        6 => ("DELETE", path.as_str(), [V2, JSON], Value::Null),
        _ => ("POST", path.as_str(), [V2, JSON], Value::Null),
    };
    let answer = send(client, method, path, &headers, &body).await;
    assert!(matches!(answer.status, 200 | 201 | 204 | 404 | 409 | 410), "{method} {path}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn point_04_every_library_s_copy_equals_the_table_when_writers_stop() {
    on_both(async |world: World| {
        let done = AtomicBool::new(false);
        let client = &world.client;
        let writers = async {
            let write = async |seed: u64| {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..60 {
                    change(client, &mut random).await;
                }
            };
            tokio::join!(write(1), write(2), write(3));
            done.store(true, Ordering::SeqCst);
        };
        let device = async |library: Library| {
            let mut device = Device::new(library, client);
            while !done.load(Ordering::SeqCst) {
                device.pull().await;
            }
            // What was written while the last one ran comes with the next.
            device.pull().await;
            device
        };
        let (_, js, net, datasync, toolkit) = tokio::join!(
            writers,
            device(Library::Js),
            device(Library::Net),
            device(Library::Datasync),
            device(Library::Toolkit)
        );
        let truth = truth(client).await;
        assert!(truth.len() > 3, "the writers left something: {truth:?}");
        for device in [js, net, datasync, toolkit] {
            assert_eq!(device.copy, truth, "{:?}", device.library);
        }
    })
    .await;
}
