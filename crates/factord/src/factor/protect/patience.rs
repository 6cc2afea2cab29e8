//! Against MFA fatigue: whoever denies again and again, or does not answer, is left alone for a while.

use serde::{Deserialize, Serialize};

use crate::audit::Reason;
use crate::clock::Timestamp;

/// What the person has had to put up with since their last approval.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Patience {
    #[serde(default)]
    denied: u32,
    #[serde(default)]
    unanswered: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_until: Option<Timestamp>,
}

impl Patience {
    /// Seconds for which nothing more is asked.
    pub fn pause_left(self, now: Timestamp) -> Option<u64> {
        let left = self.paused_until?.since(now);
        (left > 0).then_some(left.unsigned_abs())
    }

    /// Counts a push; gives what an operator is alarmed by if it is the last before a pause.
    pub fn asked(&mut self, now: Timestamp) -> Option<Reason> {
        self.unanswered = self.unanswered.saturating_add(1);
        (self.unanswered >= MOST_UNANSWERED).then(|| self.pause(now))
    }

    /// Counts a denial, which is an answer; gives what an operator is alarmed by if it brings a pause.
    pub fn denied(&mut self, now: Timestamp) -> Option<Reason> {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.denied = self.denied.saturating_add(1);
        (self.denied >= MOST_DENIED).then(|| self.pause(now))
    }

    fn pause(&mut self, now: Timestamp) -> Reason {
        self.paused_until = Some(now.plus(PAUSE));
        Reason::Fatigue
    }
}

/// Challenges without an answer since the last approval after which push is paused.
const MOST_UNANSWERED: u32 = 10;
/// Denials in a row after which push is paused.
const MOST_DENIED: u32 = 3;
/// Seconds of the pause.
const PAUSE: i64 = 900;
