//! Counting wrong codes: a delay that grows from the fifth in a row, and the end of a device at the hundredth (NIST
//! SP 800-63B-4 §3.2.2).

use serde::{Deserialize, Serialize};

use super::rules::Rules;
use crate::clock::Timestamp;

/// Wrong codes in a row, of a device or of a user. A new challenge clears nothing; only a success does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// Wrong codes since the last success.
    pub failures: u32,
    /// The moment from which a code is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Whether a code may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// Not for this many seconds, at least 1.
    Delayed(u64),
    /// Never again.
    Disabled,
    /// Not while the factor is disabled for the user.
    FactorDisabled,
}

impl Throttle {
    /// Whether there is nothing to remember.
    pub const fn is_clear(&self) -> bool {
        self.failures == 0
    }

    /// Counts one more wrong code, and sets the delay that it causes.
    pub fn fail(&mut self, now: Timestamp, rules: &Rules) {
        self.failures = self.failures.saturating_add(1);
        if let Some(beyond) = self.failures.checked_sub(rules.delay_from_failures) {
            let delay = rules
                .first_delay
                .saturating_mul(1 << beyond.min(32))
                .min(rules.longest_delay);
            self.until = Some(now.plus(delay));
        }
    }

    /// Forgets every failure.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether a code may be looked at now, where only a delay holds back (a user).
    pub fn delay(&self, now: Timestamp) -> Gate {
        match self.until.map(|until| until.since(now)) {
            Some(left) if left > 0 => Gate::Delayed(left.unsigned_abs()),
            _ => Gate::Open,
        }
    }

    /// Whether a code may be looked at now, where enough failures disable for good (a device).
    pub fn gate(&self, now: Timestamp, rules: &Rules) -> Gate {
        if self.failures >= rules.disable_at_failures {
            Gate::Disabled
        } else {
            self.delay(now)
        }
    }
}

impl Gate {
    /// The stricter of two.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::FactorDisabled, _) | (_, Self::FactorDisabled) => Self::FactorDisabled,
            (Self::Disabled, _) | (_, Self::Disabled) => Self::Disabled,
            (Self::Delayed(a), Self::Delayed(b)) => Self::Delayed(a.max(b)),
            (Self::Open, gate) | (gate, Self::Open) => gate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_starts_at_the_fifth_failure_and_doubles_to_fifteen_minutes() {
        let (rules, now) = (Rules::default(), Timestamp::from_seconds(1_000));
        let mut throttle = Throttle::default();
        let delays: Vec<_> = (0..12)
            .map(|_| {
                throttle.fail(now, &rules);
                throttle.delay(now)
            })
            .collect();
        let expected = [30, 60, 120, 240, 480, 900, 900, 900].map(Gate::Delayed);
        assert_eq!(delays[..4], [Gate::Open; 4]);
        assert_eq!(delays[4..], expected);
        assert_eq!(throttle.delay(now.plus(899)), Gate::Delayed(1));
        assert_eq!(throttle.delay(now.plus(900)), Gate::Open);
    }

    #[test]
    fn the_hundredth_failure_disables_for_good() {
        let (rules, now) = (Rules::default(), Timestamp::from_seconds(1_000));
        let mut throttle = Throttle {
            failures: 98,
            until: None,
        };
        throttle.fail(now, &rules);
        assert_eq!(throttle.gate(now.plus(1_000_000), &rules), Gate::Open);
        throttle.fail(now, &rules);
        assert_eq!(throttle.gate(now.plus(1_000_000), &rules), Gate::Disabled);
    }
}
