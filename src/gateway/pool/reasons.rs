//! Why a target has no answer, in a worker's words.

use crate::model::verdict::Reason;

pub(in crate::gateway) const TIMED_OUT: Reason = Reason::known("no answer in time");
pub(in crate::gateway) const GOING_AWAY: Reason = Reason::known("connection going away");
pub(in crate::gateway) const REFUSED: Reason = Reason::known("stream refused");
pub(in crate::gateway) const RESET: Reason = Reason::known("stream reset");
pub(in crate::gateway) const MALFORMED: Reason = Reason::known("malformed answer");
pub(in crate::gateway) const LOST: Reason = Reason::known("connection lost");
