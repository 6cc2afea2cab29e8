//! The messages that the dispatcher has in hand: those of one channel do not wait for those of another, and a user's
//! come one after the other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::message::Channel;
use crate::mfa::ids::UserId;
use crate::store::StoredMessage;

/// The messages in hand.
pub(super) struct Lanes {
    parallel: usize,
    known: HashSet<i64>,
    by_channel: HashMap<Channel, Lane>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<StoredMessage>,
    /// Whose messages are under way.
    busy: HashSet<UserId>,
}

impl Lanes {
    /// No messages yet; of each channel at most `parallel` will be under way.
    pub(super) fn new(parallel: usize) -> Self {
        Self {
            parallel,
            known: HashSet::new(),
            by_channel: HashMap::new(),
        }
    }

    /// Takes a message in hand, if it is not already.
    pub(super) fn add(&mut self, message: StoredMessage) {
        if self.known.insert(message.id) {
            let lane = self.by_channel.entry(message.message.channel).or_default();
            lane.waiting.push_back(message);
        }
    }

    /// A message that may be sent now, if there is one; it is under way from then on.
    pub(super) fn next(&mut self) -> Option<Arc<StoredMessage>> {
        let parallel = self.parallel;
        self.by_channel
            .values_mut()
            .find_map(|lane| lane.next(parallel))
            .map(Arc::new)
    }

    /// A message is not under way any more.
    pub(super) fn finished(&mut self, message: &StoredMessage) {
        self.known.remove(&message.id);
        if let Some(lane) = self.by_channel.get_mut(&message.message.channel) {
            lane.busy.remove(&message.user);
        }
    }

    /// How many are in hand.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

impl Lane {
    fn next(&mut self, parallel: usize) -> Option<StoredMessage> {
        if self.busy.len() >= parallel {
            return None;
        }
        let place = self
            .waiting
            .iter()
            .position(|message| !self.busy.contains(&message.user))?;
        let message = self.waiting.remove(place)?;
        self.busy.insert(message.user);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::provider::example;

    fn message(id: i64, user: i64, channel: Channel) -> StoredMessage {
        StoredMessage {
            id,
            user: UserId::new(user).unwrap(),
            ..example(channel, "to")
        }
    }

    fn next(lanes: &mut Lanes) -> Option<i64> {
        lanes.next().map(|message| message.id)
    }

    #[test]
    fn a_message_is_taken_once_until_it_is_finished() {
        let mut lanes = Lanes::new(2);
        let one = message(1, 1, Channel::Sms);
        lanes.add(one.clone());
        lanes.add(one.clone());
        assert_eq!(next(&mut lanes), Some(1));
        lanes.add(one.clone());
        assert_eq!((next(&mut lanes), lanes.len()), (None, 1));
        lanes.finished(&one);
        lanes.add(one);
        assert_eq!(next(&mut lanes), Some(1));
    }

    #[test]
    fn a_channel_that_is_full_does_not_hold_up_another() {
        let mut lanes = Lanes::new(2);
        for id in 1..=5 {
            lanes.add(message(id, id, Channel::Sms));
        }
        assert_eq!((next(&mut lanes), next(&mut lanes)), (Some(1), Some(2)));
        assert_eq!(next(&mut lanes), None);
        lanes.add(message(6, 6, Channel::Email));
        assert_eq!(next(&mut lanes), Some(6));
        lanes.finished(&message(1, 1, Channel::Sms));
        assert_eq!(next(&mut lanes), Some(3));
    }

    #[test]
    fn a_user_s_messages_come_one_after_the_other_and_hold_up_nobody_else() {
        let mut lanes = Lanes::new(5);
        for (id, user) in [(1, 1), (2, 1), (3, 2), (4, 1)] {
            lanes.add(message(id, user, Channel::Sms));
        }
        assert_eq!((next(&mut lanes), next(&mut lanes)), (Some(1), Some(3)));
        assert_eq!(next(&mut lanes), None);
        lanes.finished(&message(1, 1, Channel::Sms));
        assert_eq!((next(&mut lanes), next(&mut lanes)), (Some(2), None));
    }
}
