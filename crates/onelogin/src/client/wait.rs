//! Waiting for a person: polling at a growing distance until it is decided or time is over.

use std::time::Duration;

use tokio::time::Instant;

use super::{Error, Result, entropy};
use crate::models::Status;

/// How long to wait for a person, and how often to look.
///
/// A [`Duration`] becomes one with the usual distances: 0.5 s at first, growing by half to at most 3 s.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    deadline: Duration,
    first: Duration,
    longest: Duration,
}

impl Wait {
    /// Waits at most this long.
    pub fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(3),
        }
    }

    /// Sets the distance of the first two looks, and the longest distance: neither is under 50 ms.
    pub fn every(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first.max(Duration::from_millis(50));
        self.longest = longest.max(self.first);
        self
    }

    /// Looks until the status is final. What is still undecided then is [`Error::Deadline`].
    pub(crate) async fn until_final<T, F>(
        self,
        status: impl Fn(&T) -> &Status,
        look: impl Fn() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let started = Instant::now();
        let mut distance = self.first;
        loop {
            let found = look().await?;
            if status(&found).is_final() {
                return Ok(found);
            }
            let waited = started.elapsed();
            let Some(left) = self
                .deadline
                .checked_sub(waited)
                .filter(|left| !left.is_zero())
            else {
                return Err(Error::Deadline {
                    status: status(&found).clone(),
                    waited,
                });
            };
            // The last look is at the deadline itself.
            tokio::time::sleep(distance.mul_f64(0.9 + entropy::jitter() / 5.0).min(left)).await;
            distance = distance.mul_f64(1.5).min(self.longest);
        }
    }
}

impl From<Duration> for Wait {
    fn from(deadline: Duration) -> Self {
        Self::new(deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn polling_grows_sparser_and_looks_a_last_time_at_the_deadline() {
        let looks = Cell::new(0);
        let started = Instant::now();
        let wait = Wait::new(Duration::from_secs(45));
        let outcome = wait
            .until_final(
                |status: &Status| status,
                async || {
                    looks.set(looks.get() + 1);
                    Ok(Status::Pending)
                },
            )
            .await;
        assert!(matches!(
            outcome,
            Err(Error::Deadline {
                status: Status::Pending,
                ..
            })
        ));
        assert_eq!(started.elapsed().as_secs(), 45);
        assert!((17..=24).contains(&looks.get()), "{}", looks.get());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_status_is_not_a_decision() {
        let looks = Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            Ok(if looks.get() < 3 {
                Status::Other("ringing".to_owned())
            } else {
                Status::Rejected
            })
        };
        let outcome = Wait::new(Duration::from_mins(1))
            .until_final(|status: &Status| status, look)
            .await;
        assert_eq!(outcome.unwrap(), Status::Rejected);
    }
}
