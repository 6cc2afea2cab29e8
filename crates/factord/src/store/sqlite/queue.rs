//! The way to the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::writer::Work;

/// Work on its way to the writer. The writer is woken only when it sleeps: what comes while it is busy, above all with
/// the disk, waits for it to take all at once.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// Work, and since when it waits.
pub(super) type Waiting = (Box<dyn Work>, Instant);

#[derive(Default)]
struct State {
    works: VecDeque<Waiting>,
    /// There will be no more.
    ended: bool,
    /// Whether the writer sleeps: waking it costs a system call.
    sleeps: bool,
}

/// Why work is not taken.
pub(super) enum NotTaken {
    /// Too much is waiting.
    Full(Box<dyn Work>),
    /// Nothing is written any more.
    Ended(Box<dyn Work>),
}

impl Queue {
    /// Puts work at the end.
    ///
    /// # Errors
    /// [`NotTaken`], with the work.
    pub fn push(&self, work: Box<dyn Work>) -> Result<(), NotTaken> {
        let mut state = self.state();
        if state.ended {
            return Err(NotTaken::Ended(work));
        }
        if state.works.len() >= MOST_WAITING {
            return Err(NotTaken::Full(work));
        }
        state.works.push_back((work, Instant::now()));
        self.wake(state);
        Ok(())
    }

    /// Takes nothing more. What waits is still done.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        self.wake(state);
    }

    /// Takes nothing more, and drops what waits, which whoever asked hears.
    pub fn close(&self) {
        let mut state = self.state();
        state.ended = true;
        let dropped = std::mem::take(&mut state.works);
        drop(state);
        drop(dropped);
    }

    /// All that waits, in its order.
    pub fn take(&self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.state().works)
    }

    /// Waits until something waits, or there will be no more.
    pub fn wait(&self) {
        let state = self.changed.wait_while(self.state(), |state| {
            state.sleeps = state.works.is_empty() && !state.ended;
            state.sleeps
        });
        drop(state.unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether something waits, or there will be no more.
    pub fn has_news(&self) -> bool {
        let state = self.state();
        state.ended || !state.works.is_empty()
    }

    /// The lock is free before the writer wakes, so that it does not wait for it.
    fn wake(&self, state: MutexGuard<'_, State>) {
        let sleeps = state.sleeps;
        drop(state);
        if sleeps {
            self.changed.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pieces of work that may wait; beyond this the service is overloaded and says so.
const MOST_WAITING: usize = 8_192;
