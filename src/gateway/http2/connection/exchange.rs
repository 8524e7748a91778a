//! One request alone, for probes.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::io::Socket;
use crate::gateway::SharedRequest;
use crate::gateway::http2::frame::ErrorCode;
use crate::gateway::http2::hpack::Indexing;
use crate::gateway::http2::session::{Ended, OwnedField, Session, Target, Template};
use crate::gateway::pool::Shared;
use crate::gateway::pool::dial::Dialed;
use crate::gateway::pool::job::constant_fields;
use crate::gateway::transport::{Addressed, Held, OwnedAnswer};
use crate::model::id::Seq;

/// Asks, waits for the answer and closes. The error is for a person to read.
pub(super) async fn exchange(
    dialed: Dialed,
    shared: &Shared,
    request: &SharedRequest,
    channel: &[u8],
) -> Result<OwnedAnswer, String> {
    let mut held = Held::default();
    shared.service.authorize(&mut held);
    let authorization = held.number();
    let mut addressed = Addressed::default();
    shared.service.address(request, Seq(0), channel, &mut addressed);
    let template = template(shared, request, &held).ok_or("the request cannot be written")?;
    let body: &[u8] = if addressed.body.is_empty() { &request.body } else { &addressed.body };
    let target = Target { path: &addressed.path, id: &addressed.id, body };
    let mut alone = Alone {
        socket: Socket::new(dialed.stream),
        session: Session::new(&shared.endpoint.authority(), 1).noting_dates(),
        answer: None,
    };
    let mut unsent = Some(target);
    poll_fn(|cx| {
        loop {
            if alone.session.room() > 0
                && let Some(target) = unsent.take()
            {
                alone.session.begin(&template, target, authorization);
            }
            alone.write(cx)?;
            if let Some(answer) = alone.answer.take() {
                let date = alone.session.date().map(str::to_owned);
                alone.session.say_goodbye(ErrorCode::NO_ERROR);
                // The answer is here; how the connection ends does not matter.
                drop(alone.write(cx));
                return Poll::Ready(answer.map(|answer| OwnedAnswer { date, ..answer }));
            }
            ready!(alone.read(cx))?;
        }
    })
    .await
}

struct Alone {
    socket: Socket,
    session: Session<u64>,
    answer: Option<Result<OwnedAnswer, String>>,
}

impl Alone {
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        while !self.session.output().is_empty() {
            let Poll::Ready(written) = self.socket.poll_write(cx, self.session.output())? else { break };
            self.session.wrote(written);
        }
        self.socket.flush(cx)
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        if ready!(self.socket.poll_read(cx))? == 0 {
            return Poll::Ready(Err("the connection ended".to_owned()));
        }
        let answer = &mut self.answer;
        let heard = self.session.receive(self.socket.unread(), &mut |authorization, ended| {
            *answer = Some(match ended {
                Ended::Answered { status, retry_after, body } => Ok(OwnedAnswer {
                    status,
                    retry_after: retry_after.map(str::to_owned),
                    date: None,
                    body: Bytes::copy_from_slice(body),
                    authorization,
                }),
                Ended::GoingAway => Err("the connection is going away".to_owned()),
                Ended::Refused => Err("the stream was refused".to_owned()),
                Ended::Reset(code) => Err(format!("the stream was reset with code {}", code.0)),
                Ended::Malformed => Err("the answer breaks the rules of HTTP".to_owned()),
            });
        });
        match heard {
            Ok(taken) => self.socket.take(taken),
            Err(error) => return Poll::Ready(Err(format!("the peer sent {error}"))),
        }
        if self.answer.is_none() && !self.session.takes_requests() && self.session.open() == 0 {
            return Poll::Ready(Err("the connection is going away".to_owned()));
        }
        Poll::Ready(Ok(()))
    }
}

fn template(shared: &Shared, request: &SharedRequest, held: &Held) -> Option<Template> {
    let fields = constant_fields(request, &*shared.service)?;
    let own =
        |name: &[u8], value: Bytes| OwnedField { name: Bytes::copy_from_slice(name), value, indexing: Indexing::Never };
    let authorization = held.authorization.iter().map(|held| own(b"authorization", held.value.clone()));
    let rest =
        fields.iter().map(|(name, value)| own(name.as_str().as_bytes(), Bytes::copy_from_slice(value.as_bytes())));
    Some(Template { number: 1, fields: authorization.chain(rest).collect(), id_field: shared.service.id_field() })
}
