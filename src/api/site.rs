//! `[site]`: an app's own files at `/`, behind every other face, so that no file stands before a path of the service.
//!
//! ```text
//!  path ─▶ other faces ─▶ Site: is it a name of a file? ─▶ ServeDir: type, ETag, ranges ─▶ Folder: only what lies within
//! ```
//!
//! - Only GET and HEAD, and only of files: folders have their `index.html`.
//! - Names that begin with a dot are nobody's business (`.git`, `.env`); `/.well-known` is where browsers and phones look
//!   for what ties an app to its host.
//! - A symbolic link may lead to another file of the folder, and nowhere else.
//! - Files are asked for anew each time (`no-cache`) and answered with 304 while they are the same: a page and its scripts
//!   change together.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderValue, Method, StatusCode, header};
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, DefaultServeDirFallback, TokioBackend, TokioFile};
use tower_service::Service;

use super::error::ApiError;
use super::{Meters, mobile};
use crate::model::registration::filter::percent_decoded;
use crate::telemetry::count;

/// First segments that belong to the service, whether something is there or not.
const SERVICES: [&str; 6] = ["v1", "docs", "console", "healthz", "readyz", "metrics"];
/// The one name with a dot before it (RFC 8615).
const WELL_KNOWN: &str = ".well-known";
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The files of a folder.
#[derive(Clone, Debug)]
pub struct Site(ServeDir<DefaultServeDirFallback, Folder>);

impl Site {
    /// The files of this folder, as they are when they are asked for.
    pub fn new(dir: &Path) -> Self {
        // Several ranges at once would need another form of answer; without it they get the whole file.
        Self(ServeDir::with_backend(dir, Folder(dir.to_owned())).ignore_multi_range_requests(true))
    }
}

/// The site, and where everything goes that is no file of it.
#[derive(Clone)]
struct Files {
    site: Site,
    nowhere: Router,
}

/// A router that answers with files and leads all other requests to `nowhere`.
pub(super) fn router(site: Site, meters: &Meters<'_>, nowhere: Router) -> Router {
    let files = any(serve).layer(from_fn_with_state(meters.of("site"), count));
    Router::new().fallback_service(files.with_state(Files { site, nowhere }))
}

async fn serve(State(mut files): State<Files>, request: Request) -> Response {
    if !is_name(request.uri().path()) {
        return nowhere(&mut files.nowhere, request).await;
    }
    // Without its own fallback: what is no file is told apart from what is one and is asked for in another way.
    let mut looking = http::Request::new(());
    (*looking.uri_mut(), *looking.headers_mut()) = (request.uri().clone(), request.headers().clone());
    let is_other = !matches!(*request.method(), Method::GET | Method::HEAD);
    *looking.method_mut() = if is_other { Method::HEAD } else { request.method().clone() };
    let mut response = match files.site.0.try_call(looking).await {
        Ok(response) => response.map(axum::body::Body::new),
        Err(error) if is_absence(&error) => return nowhere(&mut files.nowhere, request).await,
        Err(error) => return ApiError::internal(error).into_response(),
    };
    if response.status() == StatusCode::NOT_FOUND {
        return nowhere(&mut files.nowhere, request).await;
    }
    if is_other {
        let allowed = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
        return (allowed, ApiError::method_not_allowed()).into_response();
    }
    response.headers_mut().insert(header::CACHE_CONTROL, NO_CACHE);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    response
}

async fn nowhere(router: &mut Router, request: Request) -> Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Whether a path could name a file of a site; the last segment is empty for a folder.
fn is_name(path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else { return false };
    let (folders, last) = path.rsplit_once('/').map_or((None, path), |(folders, last)| (Some(folders), last));
    let first = folders.and_then(|folders| folders.split('/').next()).unwrap_or(last);
    let is_ours = SERVICES.iter().chain(&mobile::OWN).any(|own| first.eq_ignore_ascii_case(own));
    let segments = folders.into_iter().flat_map(|folders| folders.split('/'));
    !is_ours
        && segments.enumerate().all(|(at, name)| is_segment(name) || at == 0 && name == WELL_KNOWN)
        && (last.is_empty() || is_segment(last))
}

fn is_segment(written: &str) -> bool {
    let name = percent_decoded(written);
    name.is_some_and(|name| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']))
}

/// Whether an error says that there is no such file, for this process.
fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied | InvalidFilename)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// The folder as it lies on the disk. Links are followed to their end, and what ends elsewhere is not there.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Where a path of the folder really leads. The folder may itself be a link, which changes with a new release.
    async fn within(&self, path: &Path) -> io::Result<PathBuf> {
        let (root, real) = (tokio::fs::canonicalize(&self.0).await?, tokio::fs::canonicalize(path).await?);
        if real.starts_with(root) { Ok(real) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

type Found<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Backend for Folder {
    type File = TokioFile;
    type Metadata = std::fs::Metadata;
    type OpenFuture = Found<TokioFile>;
    type MetadataFuture = Found<std::fs::Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let folder = self.clone();
        Box::pin(async move {
            let real = folder.within(&path).await?;
            // A pipe would be waited for, and a device read without end.
            if !tokio::fs::metadata(&real).await?.is_file() {
                return Err(io::ErrorKind::NotFound.into());
            }
            TokioBackend.open(real).await
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let folder = self.clone();
        Box::pin(async move {
            let metadata = tokio::fs::metadata(folder.within(&path).await?).await?;
            let is_served = metadata.is_file() || metadata.is_dir();
            if is_served { Ok(metadata) } else { Err(io::ErrorKind::NotFound.into()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_told_from_paths_of_the_service() {
        for (path, is) in [
            ("/", true),
            ("/index.html", true),
            ("/app/", true),
            ("/app/main%20page.js", true),
            ("/a..b", true),
            ("/.well-known/assetlinks.json", true),
            ("/app/.well-known/x", false),
            ("/.env", false),
            ("/.git/config", false),
            ("/a/.b/c", false),
            ("/%2egit/config", false),
            ("/..", false),
            ("/a/../b", false),
            ("/a/%2e%2e/b", false),
            ("/a%2f..%2fb", false),
            ("/a%5cb", false),
            ("/a%00", false),
            ("/a%zz", false),
            ("//evil.net", false),
            ("/a//b", false),
            ("/v1/x.js", false),
            ("/V1/x.js", false),
            ("/console/x.js", false),
            ("/tables/x.js", false),
            ("/api/x.js", false),
            ("/.auth/x", false),
        ] {
            assert_eq!(is_name(path), is, "{path}");
        }
    }
}
