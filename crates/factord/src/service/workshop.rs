//! What is too slow for a store's transaction and is done before a decision: computations, few at once and few a minute
//! for one user, and questions to other services, whose number is bounded too so that a silent one cannot use us up.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Error;
use super::rate_limit::RateLimiter;
use crate::clock::Timestamp;
use crate::factor::{NoAnswer, Work};
use crate::mfa::data::{Data, Fault};
use crate::mfa::ids::UserId;
use crate::mfa::refusal::Refusal;

/// Where slow things are done.
pub(super) struct Workshop {
    computing: Semaphore,
    computed: Arc<RateLimiter>,
    asking: Semaphore,
    asked: Arc<RateLimiter>,
}

impl Default for Workshop {
    fn default() -> Self {
        let a_minute = |limit| Arc::new(RateLimiter::with_window(Some(limit), MINUTE));
        Self {
            computing: Semaphore::new(COMPUTED_AT_ONCE),
            computed: a_minute(COMPUTED_A_MINUTE),
            asking: Semaphore::new(ASKED_AT_ONCE),
            asked: a_minute(ASKED_A_MINUTE),
        }
    }
}

impl Workshop {
    /// What counts the tries of each user.
    pub(super) fn limiters(&self) -> [Arc<RateLimiter>; 2] {
        [Arc::clone(&self.computed), Arc::clone(&self.asked)]
    }

    /// Does it, when there is a place for it.
    pub(super) async fn work(
        &self,
        user: UserId,
        now: Timestamp,
        work: Work,
    ) -> Result<Data, Error> {
        let (limit, what) = match work {
            Work::Computed(_) => (&self.computed, "computed"),
            Work::Asked(_) => (&self.asked, "asked"),
        };
        // No credential has a blank in its id, so that this is nobody else's name among those that nodes share.
        let caller = format!("user {user} {what}");
        limit.admit(&caller, now).map_err(Error::TooManyTries)?;
        match work {
            Work::Computed(work) => self.compute(work).await,
            Work::Asked(question) => Ok(self.ask(question).await?),
        }
    }

    async fn compute(&self, work: Box<dyn FnOnce() -> Data + Send>) -> Result<Data, Error> {
        // The semaphore is never closed, and a computation that panics has found something stored to be unusable.
        let fault = || Error::Refused(Refusal::Fault(Fault::Record));
        let _place = self.computing.acquire().await.map_err(|_| fault())?;
        tokio::task::spawn_blocking(work).await.map_err(|_| fault())
    }

    async fn ask(
        &self,
        question: impl Future<Output = Result<Data, NoAnswer>>,
    ) -> Result<Data, NoAnswer> {
        let place = timeout(LONGEST_QUEUE, self.asking.acquire()).await;
        let _place = place.map_err(|_| NoAnswer)?.map_err(|_| NoAnswer)?;
        question.await
    }
}

/// Computations at once in the process: each takes 19 MiB.
const COMPUTED_AT_ONCE: usize = 2;
/// Computations that one user may cause in a minute.
const COMPUTED_A_MINUTE: u32 = 10;
/// Questions at once in the process.
const ASKED_AT_ONCE: usize = 64;
/// Questions that one user may cause in a minute: more than a person can press a key for.
const ASKED_A_MINUTE: u32 = 30;
/// How long a question waits for its place.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);
const MINUTE: i64 = 60;
