//! The I/O of one connection: everything that has come is read, then all its answers leave in one write.
use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead as _, AsyncWriteExt as _, BufReader, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    marks::Counts,
    receiver::{ANSWER, Receiver},
};
use crate::http2::{ErrorCode, frame};

const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that one read takes from the network, below TLS: many records, which the TLS layer would fetch one by one.
const FETCH: usize = 256 * 1024;
/// Bytes above TLS; a frame that has not come whole waits in here.
const READ: usize = 64 * 1024;
/// Bytes that are read before their answers leave.
const READ_IN_A_ROUND: usize = 512 * 1024;

struct Serving {
    stream: TlsStream<BufReader<TcpStream>>,
    buffer: Box<[u8]>,
    filled: usize,
    receiver: Receiver,
    shared: Arc<Shared>,
    /// What leaves next.
    out: Vec<u8>,
    delayed: Delayed,
}

/// Answers on their way, in the order in which they are due.
struct Delayed {
    waiting: VecDeque<(Instant, Vec<u8>)>,
    /// Emptied buffers, for those that come.
    spare: Vec<Vec<u8>>,
    timer: Pin<Box<Sleep>>,
}

/// What a round found.
enum Found {
    Something,
    Closed,
    Breach(ErrorCode),
}

/// Serves a connection until its peer closes it, breaks a rule, or `stop` is cancelled.
pub(super) async fn serve(tcp: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>, stop: CancellationToken) {
    drop(tcp.set_nodelay(true));
    let accepting = tls.accept(BufReader::with_capacity(FETCH, tcp));
    let accepted = tokio::select! {
        () = stop.cancelled() => return,
        accepted = tokio::time::timeout(HANDSHAKE_PATIENCE, accepting) => accepted,
    };
    let Ok(Ok(stream)) = accepted else { return };
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return;
    }
    let mut serving = Serving {
        stream,
        buffer: vec![0; READ].into_boxed_slice(),
        filled: 0,
        receiver: Receiver::new(&shared),
        shared,
        out: Vec::new(),
        delayed: Delayed {
            waiting: VecDeque::new(),
            spare: Vec::new(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        },
    };
    // A peer that is gone has nobody to tell.
    drop(serving.run(&stop).await);
    serving.publish();
}

impl Serving {
    async fn run(&mut self, stop: &CancellationToken) -> io::Result<()> {
        let mut stopped = std::pin::pin!(stop.cancelled());
        self.collect();
        self.write().await?;
        loop {
            let found = tokio::select! {
                biased;
                () = &mut stopped => Found::Breach(ErrorCode::NO_ERROR),
                found = poll_fn(|cx| self.poll_round(cx)) => found?,
            };
            self.publish();
            self.collect();
            if let Found::Breach(code) = found {
                self.receiver.counted.broken += u64::from(code != ErrorCode::NO_ERROR);
                frame::write_go_away(&mut self.out, self.receiver.last_stream(), code, b"");
            }
            self.write().await?;
            if !matches!(found, Found::Something) {
                return self.stream.shutdown().await;
            }
        }
    }

    /// Ready when something came, or delayed answers are due.
    fn poll_round(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Found>> {
        let mut total = 0;
        while total < READ_IN_A_ROUND {
            let mut space = ReadBuf::new(&mut self.buffer[self.filled..]);
            let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut space) else { break };
            read?;
            let read = space.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(Found::Closed));
            }
            total += read;
            self.filled += read;
            match self.receiver.receive(&self.buffer[..self.filled], &self.shared) {
                Ok(taken) => {
                    self.buffer.copy_within(taken..self.filled, 0);
                    self.filled -= taken;
                }
                Err(breach) => return Poll::Ready(Ok(Found::Breach(breach.0))),
            }
        }
        let due = self.delayed.poll_due(cx);
        if total > 0 || due { Poll::Ready(Ok(Found::Something)) } else { Poll::Pending }
    }

    /// Puts out what may leave now.
    fn collect(&mut self) {
        self.out.append(&mut self.receiver.control);
        if self.shared.delay.is_zero() {
            self.receiver.answered(self.receiver.answers.len() / ANSWER);
            self.out.append(&mut self.receiver.answers);
            return;
        }
        let now = Instant::now();
        if !self.receiver.answers.is_empty() {
            let empty = self.delayed.spare.pop().unwrap_or_default();
            let answers = std::mem::replace(&mut self.receiver.answers, empty);
            self.delayed.waiting.push_back((now + self.shared.delay, answers));
        }
        while let Some((due, _)) = self.delayed.waiting.front()
            && *due <= now
            && let Some((_, mut answers)) = self.delayed.waiting.pop_front()
        {
            self.receiver.answered(answers.len() / ANSWER);
            self.out.append(&mut answers);
            self.delayed.spare.push(answers);
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.stream.write_all(&self.out).await?;
        self.stream.flush().await?;
        self.out.clear();
        Ok(())
    }

    /// Adds what was counted to what all connections counted.
    fn publish(&mut self) {
        self.shared.marks.add(&std::mem::take::<Counts>(&mut self.receiver.counted));
    }
}

impl Delayed {
    /// Whether the first answers are due; else the task is woken when they are.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((due, _)) = self.waiting.front() else { return false };
        if self.timer.deadline() != *due {
            self.timer.as_mut().reset(*due);
        }
        self.timer.as_mut().poll(cx).is_ready()
    }
}
