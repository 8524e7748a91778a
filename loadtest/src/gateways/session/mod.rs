//! One connection of a simulated HTTP/2 service: TLS in front of the protocol core, the script behind it.
//!
//! One task owns the connection. Each turn reads what is there, judges the requests in it, books them, and puts all
//! answers into one write; answers that wait lie in a heap by due time. No task, channel message or allocation per
//! request.
mod acts;
mod exchange;
mod service;

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{net::TcpStream, sync::watch, time::Instant};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use self::exchange::{Moved, exchange};
pub use self::service::Shared;
pub(crate) use self::service::{Judged, Service};
use super::{
    answer::Answer,
    counters::Counters,
    receipts::{Draft, Fate, FullRequest},
    script::{Act, ActiveScript, GoAway, Latency},
};
use crate::http2::{Connection, Event, Request, Settings, connection::Tally, frame};

/// Bytes that one turn reads at most.
const READ_AHEAD: usize = 128 * 1024;

/// What happens at a set time.
enum Due {
    Answer { stream: u32, answer: Arc<Answer>, id: [u8; 16], authenticated: bool },
    OpenWindows,
    Thaw,
    SecondGoAway(GoAway),
}

struct Timed {
    at: Instant,
    /// Ties are broken by age.
    order: u64,
    due: Due,
}

impl Ord for Timed {
    /// Reversed: the heap hands out its greatest, we want the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timed {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    WhenAnswered,
    Close,
    Abort,
}

pub(crate) struct Session<S> {
    stream: TlsStream<TcpStream>,
    core: Connection,
    service: S,
    shared: Arc<Shared>,
    script: watch::Receiver<Arc<ActiveScript>>,
    active: Arc<ActiveScript>,
    /// Read and not yet understood: the first `filled` bytes.
    input: Box<[u8]>,
    filled: usize,
    /// Understood and not yet acted on; waits only while frozen.
    events: VecDeque<Event>,
    timed: BinaryHeap<Timed>,
    timed_ever: u64,
    drafts: Vec<Draft>,
    head: Vec<u8>,
    said: Vec<u8>,
    /// What the counters already know.
    tallied: Tally,
    /// Requests since the script was adopted.
    arrived: u64,
    next_event: usize,
    /// A GOAWAY with a lag that has begun to withhold requests: its turn is already taken.
    armed: Option<usize>,
    /// Requests are put aside unprocessed until the GOAWAY that names the last one before them.
    withholding: bool,
    last_processed: u32,
    /// Higher streams are not processed any more.
    last_stream: u32,
    /// The stream limit once the credentials are known to be good.
    stream_limit: u32,
    unlocked: bool,
    cut: bool,
    frozen: bool,
    muted: bool,
    ending: Ending,
}

impl<S: Service> Session<S> {
    /// `unlocked`: the full stream limit holds from the start.
    pub(crate) fn new(
        stream: TlsStream<TcpStream>,
        service: S,
        settings: Settings,
        shared: Arc<Shared>,
        unlocked: bool,
    ) -> Self {
        let script = shared.script.subscribe();
        let active = Arc::clone(&script.borrow());
        Self {
            stream,
            core: Connection::new(settings),
            service,
            script,
            active,
            input: vec![0; READ_AHEAD].into(),
            filled: 0,
            events: VecDeque::new(),
            timed: BinaryHeap::new(),
            timed_ever: 0,
            drafts: Vec::new(),
            head: Vec::new(),
            said: Vec::new(),
            tallied: Tally::default(),
            arrived: 0,
            next_event: 0,
            armed: None,
            withholding: false,
            last_processed: 0,
            last_stream: frame::MAX_31_BITS,
            stream_limit: shared.streams,
            unlocked,
            cut: false,
            frozen: false,
            muted: false,
            ending: Ending::No,
            shared,
        }
    }

    /// Serves the connection until it ends, by the peer, by script, or by `stop` (then without a word).
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let stopped = stop.cancelled();
        tokio::pin!(stopped);
        let timer = tokio::time::sleep_until(Instant::now());
        tokio::pin!(timer);
        self.adopt_script();
        loop {
            let acted = self.act_on_events();
            self.book(acted);
            match self.ending {
                Ending::Abort => return self.abort().await,
                Ending::Close => return self.close().await,
                Ending::WhenAnswered if self.core.open_streams() == 0 => return self.close().await,
                Ending::WhenAnswered | Ending::No => {}
            }
            let due = self.timed.peek().map(|next| next.at);
            if let Some(due) = due
                && timer.deadline() != due
            {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                () = &mut stopped => return,
                Ok(()) = self.script.changed() => self.adopt_script(),
                () = &mut timer, if due.is_some() => self.act_on_time(),
                moved = std::future::poll_fn(|cx| {
                    let (stream, output) = (std::pin::Pin::new(&mut self.stream), self.core.output());
                    if self.frozen { Poll::Pending } else { exchange(stream, output, &mut self.input, &mut self.filled, cx) }
                }) => match moved {
                    Ok(Moved::Read) => self.understand(),
                    Ok(Moved::Eof) | Err(_) => return,
                },
            }
        }
    }

    fn understand(&mut self) {
        match self.core.receive(&self.input[..self.filled], &mut self.events) {
            Ok(used) => {
                self.input.copy_within(used..self.filled, 0);
                self.filled -= used;
            }
            Err(error) => {
                self.filled = 0;
                self.shared.counters.fault(error.to_string());
                Counters::add(&self.shared.counters.protocol, 1);
                self.ending = Ending::Close;
            }
        }
    }

    /// Takes up the current script. What the last one left behind ends with it.
    fn adopt_script(&mut self) {
        self.active = Arc::clone(&self.script.borrow_and_update());
        (self.arrived, self.next_event, self.armed) = (0, 0, None);
        (self.frozen, self.muted, self.withholding) = (false, false, false);
        self.core.hold_windows(false);
        self.fire_events(&Arc::clone(&self.active));
    }

    /// False when there was nothing to do.
    fn act_on_events(&mut self) -> bool {
        if self.events.is_empty() {
            return false;
        }
        let now = self.shared.clock.unix_seconds();
        let active = Arc::clone(&self.active);
        let mut requests = 0;
        let mut cancelled = 0;
        while !self.frozen && !matches!(self.ending, Ending::Close | Ending::Abort) {
            match self.events.pop_front() {
                Some(Event::Request(request)) => {
                    if let Some(answer) = self.service.aside(&request, now) {
                        self.answer(request.stream, &answer, &[0; 16], false);
                    } else {
                        requests += 1;
                        self.arrive(&request, &active, now);
                    }
                    self.core.recycle(request);
                }
                Some(Event::Cancelled { .. }) => cancelled += 1,
                None => break,
            }
        }
        Counters::add(&self.shared.counters.requests, requests);
        Counters::add(&self.shared.counters.cancelled, cancelled);
        true
    }

    fn arrive(&mut self, request: &Request, active: &ActiveScript, now: i64) {
        if request.stream > self.last_stream {
            return;
        }
        self.arrived += 1;
        if !self.withholds() {
            self.last_processed = self.last_processed.max(request.stream);
            self.process(request, active, now);
        }
        self.fire_events(active);
    }

    fn process(&mut self, request: &Request, active: &ActiveScript, now: i64) {
        let judged = self.service.judge(request, now);
        if judged.bad_payload {
            Counters::add(&self.shared.counters.payload, 1);
            self.shared.counters.fault("a body is not one JSON object".to_owned());
        }
        let (act, latency) = match judged.refusal {
            Some(_) => (None, active.refusal_latency()),
            None => active.decide(&judged.token),
        };
        let dry_run = judged.dry_run;
        let draft = Draft {
            token: judged.token,
            id: judged.id,
            status: 0,
            reason: None,
            fate: Fate::Answered,
            body: judged.body,
            collapse: judged.collapse,
            full: self.shared.keep_requests.then(|| Box::new(full(request))),
        };
        let answer = match (judged.refusal, act) {
            (Some(refusal), _) => Arc::new(refusal),
            (None, None) => Arc::clone(&active.accepted),
            (None, Some(Act::Answer(answer))) => Arc::new(answer.clone()),
            (None, Some(Act::Reset { code, accepted })) => {
                self.note(dry_run, Draft { status: if *accepted { 200 } else { 0 }, fate: Fate::Reset, ..draft });
                self.core.reset(request.stream, *code);
                return;
            }
            (None, Some(Act::Stall { accepted })) => {
                self.note(dry_run, Draft { status: if *accepted { 200 } else { 0 }, fate: Fate::Stalled, ..draft });
                return;
            }
        };
        if self.muted {
            self.note(dry_run, draft.outcome(Fate::Stalled, &answer));
            return;
        }
        self.note(dry_run, draft.outcome(Fate::Answered, &answer));
        let delay = answer.delay_ms.unwrap_or(latency);
        if delay == 0 {
            self.answer(request.stream, &answer, &judged.id, judged.authenticated);
        } else {
            let authenticated = judged.authenticated;
            let due = Due::Answer { stream: request.stream, answer, id: judged.id, authenticated };
            self.later(delay, due);
        }
    }

    fn note(&mut self, dry_run: bool, draft: Draft) {
        if !dry_run {
            self.drafts.push(draft);
        }
    }

    fn answer(&mut self, stream: u32, answer: &Answer, id: &[u8; 16], authenticated: bool) {
        self.head.clear();
        self.service.head(answer, id, &mut self.head);
        self.said.clear();
        self.service.body(answer, id, &mut self.said);
        self.core.respond(stream, &self.head, &self.said);
        if authenticated && !self.unlocked {
            self.unlocked = true;
            self.core.limit_streams(self.stream_limit);
        }
        if !self.active.script.cut_streams_on_error {
            return;
        }
        let error = (400..500).contains(&answer.status) && answer.status != 410;
        if error && !self.cut && self.unlocked {
            self.cut = true;
            self.core.limit_streams(1);
        } else if self.cut && answer.is_accepted() {
            self.cut = false;
            self.core.limit_streams(self.stream_limit);
        }
    }

    fn later(&mut self, millis: u64, due: Due) {
        self.timed_ever += 1;
        let at = Instant::now() + Duration::from_millis(millis);
        self.timed.push(Timed { at, order: self.timed_ever, due });
    }

    fn act_on_time(&mut self) {
        let now = Instant::now();
        while self.timed.peek().is_some_and(|next| next.at <= now) {
            match self.timed.pop().map(|timed| timed.due) {
                // Muted meanwhile: it stays unsaid.
                Some(Due::Answer { .. }) if self.muted => {}
                Some(Due::Answer { stream, answer, id, authenticated }) => {
                    self.answer(stream, &answer, &id, authenticated);
                }
                Some(Due::OpenWindows) => self.core.hold_windows(false),
                Some(Due::Thaw) => self.frozen = false,
                Some(Due::SecondGoAway(go_away)) => self.last_go_away(&go_away),
                None => break,
            }
        }
    }

    /// Writes receipts and counters of this turn, before its answers leave.
    fn book(&mut self, acted: bool) {
        self.shared.receipts.add(&mut self.drafts);
        let tally = self.core.tally();
        if tally == self.tallied && !acted {
            return;
        }
        let counters = &self.shared.counters;
        Counters::add(&counters.refused_streams, tally.refused - self.tallied.refused);
        Counters::add(&counters.stream_limit, tally.limit_violations - self.tallied.limit_violations);
        Counters::add(&counters.malformed, tally.malformed - self.tallied.malformed);
        Counters::add(&counters.pings, tally.pings - self.tallied.pings);
        counters.max_open_streams.fetch_max(tally.max_open, std::sync::atomic::Ordering::Relaxed);
        self.tallied = tally;
        counters.announce();
    }
}

impl ActiveScript {
    /// What the service refuses by itself takes the shortest latency.
    fn refusal_latency(&self) -> u64 {
        match self.script.latency_ms {
            Latency::Fixed(millis) | Latency::Range { min: millis, .. } => millis,
        }
    }
}

fn full(request: &Request) -> FullRequest {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    FullRequest {
        headers: request.fields().map(|(name, value)| (text(name), text(value))).collect(),
        body: request.body.clone(),
    }
}
