//! The runtime of gateways that use a library client: services that speak HTTP/1.1 to many hosts. Apart from the sending
//! threads, whose connections must not wait behind it, and from the API's runtime.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;

/// Threads and connections of library clients. When it is dropped its tasks end; gateways are closed before that.
#[derive(Debug)]
pub struct ClientRuntime(Option<Runtime>);

impl ClientRuntime {
    /// Starts that many threads, at least one. Fails when the system grants no more threads or handles.
    pub fn start(threads: usize) -> io::Result<Arc<Self>> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads.max(1)).thread_name("fanfare-client").enable_all();
        Ok(Arc::new(Self(Some(builder.build()?))))
    }

    /// Runs a task there.
    pub(super) fn spawn(&self, tasks: &TaskTracker, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            tasks.spawn_on(task, runtime.handle());
        }
    }
}

impl Drop for ClientRuntime {
    /// Without waiting: it may be dropped inside another runtime, which must not block.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
