//! The database's time, which is everybody's: read with the state of each decision. In between, what was read last goes
//! on by this machine's steady clock, which no adjustment moves.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Moment, Timestamp};

/// The time by the database, and the offset of `factord dev` that is kept in it.
#[derive(Debug, Default)]
pub struct DatabaseClock {
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The server's time of day.
    server: Duration,
    /// When it was read here.
    at: Instant,
    offset: i64,
}

impl DatabaseClock {
    /// Takes what was read: microseconds since 1970 by the server's clock, and the offset in seconds. Gives the time.
    pub(super) fn read(&self, micros: i64, offset: i64) -> Timestamp {
        let server = Duration::from_micros(micros.unsigned_abs());
        *self.seen() = Some(Seen {
            server,
            at: Instant::now(),
            offset,
        });
        at(server, offset).timestamp()
    }

    /// The server's time of day now, as far as it is known.
    pub(super) fn server_seconds(&self) -> Option<i64> {
        let seen = (*self.seen())?;
        Some(at(seen.server + seen.at.elapsed(), 0).timestamp().seconds())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for DatabaseClock {
    fn moment(&self) -> Moment {
        let seen = *self.seen();
        seen.map_or_else(Moment::default, |seen| {
            at(seen.server + seen.at.elapsed(), seen.offset)
        })
    }

    fn offset(&self) -> i64 {
        (*self.seen()).map_or(0, |seen| seen.offset)
    }

    fn set_offset(&self, seconds: i64) {
        if let Some(seen) = &mut *self.seen() {
            seen.offset = seconds;
        }
    }
}

fn at(server: Duration, offset: i64) -> Moment {
    let millis = i64::try_from(server.as_millis()).unwrap_or(i64::MAX);
    Moment::from_millis(millis.saturating_add(offset.saturating_mul(1_000)))
}
