//! An app is activated: its person has given it the code that the caller showed.

use super::Core;
use super::answer::{Accepted, GiveAnswer, Origin, Outcome};
use super::data::Data;
use super::decision::{Decide, Draft, Reads};
use super::refusal::Refusal;
use super::user::{Registration, User};
use crate::audit::{Action, Reason};
use crate::factor::protect::{self, Answer, App};

/// An app gives an activation code, which leads to this user.
pub struct Activate {
    /// The app.
    pub app: App,
}

impl Decide for Activate {
    type Answer = Registration;
    const ACTION: Action = Action::ConfirmRegistration;

    fn reads(&self, _: &Core, _: &User) -> Reads {
        Reads::default()
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Registration, Refusal> {
        let (core, user) = (draft.core, draft.user.id);
        let pending = draft.user.mfa.registrations.iter();
        let mut pending = pending.filter(|it| protect::activates(core, user, it, &self.app.code));
        let id = pending.next().map(|it| it.id);
        // The link outlives what it led to: the code was used, or a newer one took its place.
        let id = id.ok_or(Refusal::Unauthorized(Reason::Used))?;
        let answer = GiveAnswer {
            id,
            from: Origin::Person,
            answer: Data::of(&Answer::Activate(self.app.clone())),
        };
        match answer.decide(draft)? {
            Outcome::Accepted(Accepted::Registration(registration)) => Ok(registration),
            _ => Err(Refusal::Unauthorized(Reason::Invalid)),
        }
    }
}
