//! One request on a connection of its own, for probes. Looks at the peer's clock besides: a batch's answers are too many
//! for that.

use http::header::DATE;

use super::dial::Opened;
use super::stream::{Answering, Ended};
use super::{Shared, head};
use crate::gateway::SharedRequest;
use crate::gateway::retry_after::http_date;
use crate::gateway::transport::{Addressed, Held, OwnedAnswer};
use crate::model::id::Seq;

/// Opens, asks, waits for the answer and closes. The error is for a person to read.
pub(super) async fn exchange(shared: &Shared, request: &SharedRequest, channel: &[u8]) -> Result<OwnedAnswer, String> {
    let opened = shared.dialer.open().await.map_err(|failure| failure.to_string())?;
    match tokio::time::timeout(shared.tuning.soft_timeout, ask(shared, opened, request, channel)).await {
        Ok(answer) => answer,
        Err(_) => Err("the service does not answer".to_owned()),
    }
}

async fn ask(shared: &Shared, opened: Opened, request: &SharedRequest, channel: &[u8]) -> Result<OwnedAnswer, String> {
    let Opened { link, mut requests, .. } = opened;
    let mut held = Held::default();
    shared.service.authorize(&mut held);
    let mut addressed = Addressed::default();
    shared.service.address(request, Seq(0), channel, &mut addressed);
    let head = head::constant_fields(request, &*shared.service)
        .and_then(|fields| shared.heads.write(fields, head::authorization(&held).as_ref(), &addressed))
        .ok_or_else(|| "the request cannot be written".to_owned())?;
    let (response, mut send) = requests.send_request(head, false).map_err(|error| error.to_string())?;
    // Queued in `h2` until the window takes it: one small body needs no more care.
    let body = addressed.body.unwrap_or_else(|| request.body.clone());
    send.send_data(body, true).map_err(|error| error.to_string())?;
    let driven = async {
        // Its end reaches the answer as an error; there is nothing to add.
        let _ = link.await;
        std::future::pending::<()>().await;
    };
    let answered = async {
        let response = response.await.map_err(|error| error.to_string())?;
        if let Some(date) = response.headers().get(DATE).and_then(|value| value.to_str().ok()) {
            *shared.clock_ahead.lock() = http_date(date).map(|date| date.millis() - shared.clock.now().millis());
        }
        let (_, ended) = Answering::begun(0, response).await;
        match ended {
            Ended::Answered { status, retry_after, body } => {
                Ok(OwnedAnswer { status, retry_after, body, authorization: held.number() })
            }
            Ended::Failed(error) => Err(error.to_string()),
        }
    };
    tokio::select! {
        answer = answered => answer,
        () = driven => Err("the connection ended".to_owned()),
    }
}
