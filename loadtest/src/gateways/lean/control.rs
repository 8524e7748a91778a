//! The control port of a lean sink: `GET /counts` as JSON, `POST /reset`.
use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Counts, Shared};
use crate::gateways::listener::{self, ListenError};

/// Dropping it closes the port.
#[derive(Debug)]
pub(super) struct Control {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Control {
    pub(super) async fn start(listen: SocketAddr, shared: Arc<Shared>) -> Result<Self, ListenError> {
        let (tcp, address) = listener::bind(listen).await?;
        let stop = CancellationToken::new();
        let router = Router::new().route("/counts", get(counts)).route("/reset", post(reset)).with_state(shared);
        let serving = axum::serve(tcp, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(serving.into_future());
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn counts(State(shared): State<Arc<Shared>>) -> Json<Counts> {
    Json(shared.marks.counts())
}

async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.marks.reset();
    StatusCode::NO_CONTENT
}
