//! Deliveries that go wrong because a developer asked for it (`factord dev` only), so that a caller can see what its
//! users see then. Kept in memory, for the deliveries of this process.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::message::Channel;

/// How a delivery goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It can never be delivered: what it was for ends.
    Fail,
    /// It cannot be delivered now, and is tried again later.
    Delay,
    /// It is handed over and never arrives.
    Drop,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fail, Self::Delay, Self::Drop];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Delay => "delay",
            Self::Drop => "drop",
        }
    }
}

/// So many deliveries on a channel that will go wrong in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The channel.
    pub channel: Channel,
    /// How they go wrong.
    pub outcome: Outcome,
    /// How many: at least 1.
    pub count: u32,
}

/// What is still to go wrong, in the order in which it was asked for.
#[derive(Debug, Default)]
pub struct Faults(Mutex<VecDeque<Fault>>);

impl Faults {
    /// Adds a fault behind those that there are. `false` if there are too many already.
    pub fn add(&self, fault: Fault) -> bool {
        let mut faults = self.lock();
        let room = faults.len() < MOST;
        if room {
            faults.push_back(fault);
        }
        room
    }

    /// What is still to go wrong.
    pub fn pending(&self) -> Vec<Fault> {
        self.lock().iter().copied().collect()
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How the delivery on `channel` that is at hand goes wrong, if it does.
    pub fn next(&self, channel: Channel) -> Option<Outcome> {
        let mut faults = self.lock();
        let place = faults.iter().position(|fault| fault.channel == channel)?;
        let fault = &mut faults[place];
        let outcome = fault.outcome;
        fault.count -= 1;
        if fault.count == 0 {
            faults.remove(place);
        }
        Some(outcome)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Faults that are pending at once.
const MOST: usize = 1_000;
