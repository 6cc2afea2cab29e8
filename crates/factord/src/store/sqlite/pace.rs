//! How much is written in one transaction.

use std::time::{Duration, Instant};

/// Decides when a group is large enough. If it took all who are about, the processors would idle while all of them wait
/// for one sync, and the disk while all are on their way through the network. So it leaves one half for the next group,
/// unless the sync takes so long that it is better shared by all.
pub(super) struct Pace {
    /// When the group began.
    began: Instant,
    /// Works that are enough for the group.
    half: usize,
    /// Works of the group before: whoever sent them may be back soon.
    before: usize,
    /// What a sync took lately.
    sync: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            half: 0,
            before: 0,
            sync: Duration::ZERO,
        }
    }
}

impl Pace {
    /// A group begins, with so many works of which it may be made.
    pub fn begin(&mut self, waiting: usize) {
        self.began = Instant::now();
        self.half = (self.before + waiting).div_ceil(2);
    }

    /// Whether a group of so many works may take one more.
    pub fn may_grow(&self, works: usize) -> bool {
        works < MOST_IN_GROUP && (works < self.half || self.began.elapsed() < self.sync)
    }

    /// A group of so many works was synced in this time.
    pub fn synced(&mut self, took: Duration, works: usize) {
        self.before = works;
        self.sync = (self.sync * (REMEMBERED - 1) + took) / REMEMBERED;
    }
}

/// Syncs that the mean goes over.
const REMEMBERED: u32 = 8;
/// Works in one transaction, so that the first in it does not wait too long for the last.
const MOST_IN_GROUP: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_leaves_one_half_of_all_for_the_next() {
        let mut pace = Pace::default();
        pace.begin(32);
        assert!(pace.may_grow(15) && !pace.may_grow(16));
        pace.synced(Duration::ZERO, 16);
        pace.begin(16);
        assert!(pace.may_grow(15) && !pace.may_grow(16));
    }

    #[test]
    fn a_group_is_a_single_work_if_nobody_else_is_about() {
        let mut pace = Pace::default();
        pace.synced(Duration::ZERO, 1);
        pace.begin(1);
        assert!(!pace.may_grow(1));
    }

    #[test]
    fn all_share_a_sync_that_takes_longer_than_their_decisions() {
        let mut pace = Pace::default();
        pace.synced(Duration::from_hours(1), 1);
        pace.begin(2);
        assert!(pace.may_grow(MOST_IN_GROUP - 1) && !pace.may_grow(MOST_IN_GROUP));
    }
}
