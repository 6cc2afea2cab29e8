//! How many messages a destination has had lately, over all users that share it, so that nobody can be flooded or
//! billed.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rules::Rules;
use crate::clock::Timestamp;

/// The messages of the last day to one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// Codes for verifications, and for registrations that were confirmed.
    pub messages: Vec<Timestamp>,
    /// Codes for registrations that were not confirmed.
    pub registrations: Vec<(Uuid, Timestamp)>,
}

/// The destination has had enough; another message is possible after this many seconds, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enough(pub u64);

impl History {
    /// Counts a code for a verification.
    ///
    /// # Errors
    /// [`Enough`] if the ten minutes' or the day's budget is used up; nothing is counted then.
    pub fn admit_message(&mut self, now: Timestamp, rules: &Rules) -> Result<(), Enough> {
        self.forget_old(now);
        room(
            &self.messages,
            now,
            rules.messages_per_ten_minutes,
            TEN_MINUTES,
        )?;
        room(&self.messages, now, rules.messages_per_day, DAY)?;
        self.messages.push(now);
        Ok(())
    }

    /// Counts a code for a registration, in a budget of its own until it is confirmed.
    ///
    /// # Errors
    /// [`Enough`] if the day's budget is used up; nothing is counted then.
    pub fn admit_registration(
        &mut self,
        id: Uuid,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<(), Enough> {
        self.forget_old(now);
        let times: Vec<_> = self.registrations.iter().map(|(_, at)| *at).collect();
        room(&times, now, rules.registrations_per_day, DAY)?;
        self.registrations.push((id, now));
        Ok(())
    }

    /// Moves a registration's message to the ordinary ones, now that whoever reads them has confirmed it.
    pub fn confirm_registration(&mut self, id: Uuid) {
        if let Some(index) = self
            .registrations
            .iter()
            .position(|(registration, _)| *registration == id)
        {
            let (_, at) = self.registrations.remove(index);
            let later = self.messages.iter().position(|message| *message > at);
            self.messages
                .insert(later.unwrap_or(self.messages.len()), at);
        }
    }

    fn forget_old(&mut self, now: Timestamp) {
        self.messages.retain(|at| now.since(*at) < DAY);
        self.registrations.retain(|(_, at)| now.since(*at) < DAY);
    }
}

/// Whether fewer than `most` of `times` (rising) lie in the last `window` seconds.
fn room(times: &[Timestamp], now: Timestamp, most: usize, window: i64) -> Result<(), Enough> {
    match times
        .len()
        .checked_sub(most)
        .map(|index| window - now.since(times[index]))
    {
        Some(left) if left > 0 => Err(Enough(left.unsigned_abs())),
        _ => Ok(()),
    }
}

/// Ten minutes in seconds.
const TEN_MINUTES: i64 = 600;
/// A day in seconds: after it a message counts no more, and a history can be deleted.
pub const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    #[test]
    fn the_sixth_message_in_ten_minutes_waits_until_the_first_is_ten_minutes_old() {
        let (rules, mut history) = (Rules::default(), History::default());
        for second in 0..5 {
            history.admit_message(at(second), &rules).unwrap();
        }
        assert_eq!(history.admit_message(at(10), &rules), Err(Enough(590)));
        assert_eq!(history.admit_message(at(599), &rules), Err(Enough(1)));
        assert_eq!(history.admit_message(at(600), &rules), Ok(()));
    }

    #[test]
    fn the_twenty_first_message_in_a_day_waits_for_tomorrow() {
        let (rules, mut history) = (Rules::default(), History::default());
        for message in 0..20 {
            history.admit_message(at(message * 600), &rules).unwrap();
        }
        assert_eq!(
            history.admit_message(at(20 * 600), &rules),
            Err(Enough(86_400 - 12_000))
        );
        assert_eq!(history.admit_message(at(86_400), &rules), Ok(()));
    }

    #[test]
    fn unconfirmed_registrations_use_up_their_own_budget_alone() {
        let (rules, mut history) = (Rules::default(), History::default());
        for number in 0..5 {
            history
                .admit_registration(Uuid::from_u128(number), at(0), &rules)
                .unwrap();
        }
        assert_eq!(
            history.admit_registration(Uuid::from_u128(9), at(1), &rules),
            Err(Enough(86_399))
        );
        assert_eq!(history.admit_message(at(1), &rules), Ok(()));
        history.confirm_registration(Uuid::from_u128(3));
        assert_eq!(history.messages, [at(0), at(1)]);
        assert_eq!(
            history.admit_registration(Uuid::from_u128(9), at(1), &rules),
            Ok(())
        );
    }

    #[test]
    fn a_confirmed_registration_takes_its_own_place_in_time_and_no_other_moves() {
        let (rules, mut history) = (Rules::default(), History::default());
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        history.admit_registration(first, at(5), &rules).unwrap();
        history.admit_registration(second, at(6), &rules).unwrap();
        history.admit_message(at(7), &rules).unwrap();
        history.confirm_registration(second);
        assert_eq!(history.messages, [at(6), at(7)]);
        assert_eq!(history.registrations, [(first, at(5))]);
        history.confirm_registration(Uuid::from_u128(9));
        assert_eq!(history.registrations, [(first, at(5))]);
    }

    #[test]
    fn what_is_a_day_old_is_forgotten_and_not_a_second_before() {
        let (rules, mut history) = (Rules::default(), History::default());
        history
            .admit_registration(Uuid::from_u128(1), at(0), &rules)
            .unwrap();
        history.admit_message(at(0), &rules).unwrap();
        history.admit_message(at(DAY - 1), &rules).unwrap();
        assert_eq!(
            (history.messages.len(), history.registrations.len()),
            (2, 1)
        );
        history.admit_message(at(DAY), &rules).unwrap();
        assert_eq!(history.messages, [at(DAY - 1), at(DAY)]);
        assert_eq!(history.registrations, []);
    }
}
