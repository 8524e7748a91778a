//! What a script does to a connection.
use super::{Due, Ending, Service, Session};
use crate::{
    gateways::{
        answer::Answer,
        counters::Counters,
        script::{ActiveScript, Afterwards, ConnectionAct, GoAway},
    },
    http2::{ErrorCode, frame},
};

impl<S: Service> Session<S> {
    /// Whether this request is one of those that a coming GOAWAY leaves unprocessed.
    pub(super) fn withholds(&mut self) -> bool {
        if self.withholding {
            return true;
        }
        let events = &self.active.script.events;
        let coming = events.iter().enumerate().skip(self.next_event).find(|(_, event)| match &event.act {
            ConnectionAct::GoAway(go_away) => self.arrived > event.after.saturating_sub(go_away.lag),
            _ => false,
        });
        let Some((at, _)) = coming else { return false };
        self.withholding = self.active.take_event(at);
        self.armed = self.withholding.then_some(at);
        self.withholding
    }

    pub(super) fn fire_events(&mut self, active: &ActiveScript) {
        while let Some(event) = active.script.events.get(self.next_event)
            && event.after <= self.arrived
        {
            let at = self.next_event;
            self.next_event += 1;
            if self.armed.take_if(|armed| *armed == at).is_some() || active.take_event(at) {
                self.act(&event.act);
            }
        }
    }

    fn act(&mut self, act: &ConnectionAct) {
        match act {
            ConnectionAct::GoAway(go_away) => match &go_away.notice_ms {
                None => self.last_go_away(go_away),
                Some(notice) => {
                    self.send_go_away(frame::MAX_31_BITS, go_away);
                    self.later(*notice, Due::SecondGoAway(go_away.clone()));
                }
            },
            ConnectionAct::Close => self.ending = Ending::Close,
            ConnectionAct::Abort => self.ending = Ending::Abort,
            ConnectionAct::HoldWindows { for_ms } => {
                self.core.hold_windows(true);
                if let Some(millis) = for_ms {
                    self.later(*millis, Due::OpenWindows);
                }
            }
            ConnectionAct::LimitStreams(limit) => {
                self.stream_limit = *limit;
                // Before the credentials are known it waits for them, as the first limit does.
                if self.unlocked && !self.cut {
                    self.core.limit_streams(*limit);
                }
            }
            ConnectionAct::Freeze { for_ms } => {
                self.frozen = true;
                if let Some(millis) = for_ms {
                    self.later(*millis, Due::Thaw);
                }
            }
            ConnectionAct::Mute => self.muted = true,
        }
    }

    pub(super) fn last_go_away(&mut self, go_away: &GoAway) {
        self.last_stream = self.last_processed;
        self.withholding = false;
        self.send_go_away(self.last_stream, go_away);
        self.ending = match go_away.then {
            Afterwards::Stay => self.ending,
            Afterwards::Drain => Ending::WhenAnswered,
            Afterwards::Close => Ending::Close,
            Afterwards::Abort => Ending::Abort,
        };
    }

    fn send_go_away(&mut self, last_stream: u32, go_away: &GoAway) {
        let reason = go_away.reason.as_deref();
        let debug = reason.map_or_else(Vec::new, |reason| Answer::refused(0, reason).body());
        self.core.go_away(last_stream, go_away.code.unwrap_or(ErrorCode::NO_ERROR), &debug);
        Counters::add(&self.shared.counters.go_aways, 1);
    }
}
