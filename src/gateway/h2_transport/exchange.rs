//! One request on a connection of its own, for probes. Looks at the peer's clock besides: a batch's answers are too many
//! for that.

use bytes::Bytes;
use http::header::DATE;

use super::handshake::Opened;
use super::head::{self, HeadWriter};
use super::stream::{Answering, Ended};
use crate::gateway::SharedRequest;
use crate::gateway::pool::Shared;
use crate::gateway::pool::job::constant_fields;
use crate::gateway::transport::{Addressed, Held, OwnedAnswer};
use crate::model::id::Seq;

/// Asks, waits for the answer and closes. The error is for a person to read.
pub(super) async fn exchange(
    opened: Opened,
    shared: &Shared,
    request: &SharedRequest,
    channel: &[u8],
) -> Result<OwnedAnswer, String> {
    let Opened { link, mut requests, .. } = opened;
    let mut held = Held::default();
    shared.service.authorize(&mut held);
    let mut addressed = Addressed::default();
    shared.service.address(request, Seq(0), channel, &mut addressed);
    let heads = HeadWriter::new(&shared.endpoint, &*shared.service);
    let head = constant_fields(request, &*shared.service)
        .and_then(|fields| heads.write(fields, head::authorization(&held).as_ref(), &addressed))
        .ok_or_else(|| "the request cannot be written".to_owned())?;
    let (response, mut send) = requests.send_request(head, false).map_err(|error| error.to_string())?;
    // Queued in `h2` until the window takes it: one small body needs no more care.
    let own = Bytes::copy_from_slice(&addressed.body);
    let body = if own.is_empty() { request.body.clone() } else { own };
    send.send_data(body, true).map_err(|error| error.to_string())?;
    let driven = async {
        // Its end reaches the answer as an error; there is nothing to add.
        let _ = link.await;
        std::future::pending::<()>().await;
    };
    let answered = async {
        let response = response.await.map_err(|error| error.to_string())?;
        let date = response.headers().get(DATE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (_, ended) = Answering::begun(0, response).await;
        match ended {
            Ended::Answered { status, retry_after, body } => {
                Ok(OwnedAnswer { status, retry_after, date, body, authorization: held.number() })
            }
            Ended::Failed(error) => Err(error.to_string()),
        }
    };
    tokio::select! {
        answer = answered => answer,
        () = driven => Err("the connection ended".to_owned()),
    }
}
