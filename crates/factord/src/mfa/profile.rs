//! Changing and deleting a user. Whoever may not verify any more loses what is open at once.

use serde_json::{Map, Value};

use super::decision::{Decide, Draft};
use super::refusal::Refusal;
use super::user::{Ending, Profile, STATE_APPROVED, STATUS_ACTIVE};
use super::values::Values;
use crate::audit::Action;
use crate::clock::Timestamp;

/// What is to change of a profile; `None` leaves a field as it is (contract, Fine points).
#[derive(Debug, Default)]
pub struct UpdateProfile {
    /// The name the user logs in by.
    pub username: Option<String>,
    /// The address that e-mail codes go to.
    pub email: Option<String>,
    /// The number that text messages and calls go to.
    pub phone: Option<String>,
    /// See [`Profile::state`].
    pub state: Option<u8>,
    /// See [`Profile::status`].
    pub status: Option<u8>,
    /// The other fields that were sent.
    pub attributes: Map<String, Value>,
}

impl Decide for UpdateProfile {
    type Answer = Profile;
    const ACTION: Action = Action::UpdateUser;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Profile, Refusal> {
        self.check()?;
        let profile = &mut draft.user.profile;
        let replace = |field: &mut Option<String>, new: &Option<String>| {
            if new.is_some() {
                field.clone_from(new);
            }
        };
        replace(&mut profile.username, &self.username);
        replace(&mut profile.email, &self.email);
        replace(&mut profile.phone, &self.phone);
        profile.state = self.state.unwrap_or(profile.state);
        profile.status = self.status.unwrap_or(profile.status);
        for (name, value) in &self.attributes {
            profile.attributes.insert(name.clone(), value.clone());
        }
        profile.updated_at = draft.now;
        let profile = profile.clone();
        if !profile.is_active() {
            draft.end_verifications(Ending::UserNotActive, |_| true);
            draft.end_registrations(Ending::UserNotActive, |_| true);
            draft.user.mfa.temporary_tokens.clear();
        }
        Ok(profile)
    }
}

impl UpdateProfile {
    /// Checks the values that are given.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with the names of those that are not allowed.
    pub fn check(&self) -> Result<(), Refusal> {
        let mut values = Values::default();
        self.username
            .iter()
            .for_each(|username| values.username(username));
        self.email.iter().for_each(|email| values.email(email));
        self.phone.iter().for_each(|phone| values.phone(phone));
        values.require("state", self.state.is_none_or(|state| state <= 3));
        values.require(
            "status",
            self.status
                .is_none_or(|status| matches!(status, 0..=5 | 7 | 8)),
        );
        values.check()
    }

    /// The profile of a new user, approved and active unless it is said otherwise.
    ///
    /// # Errors
    /// As [`UpdateProfile::check`].
    pub fn create(self, now: Timestamp) -> Result<Profile, Refusal> {
        self.check()?;
        Ok(Profile {
            username: self.username,
            email: self.email,
            phone: self.phone,
            state: self.state.unwrap_or(STATE_APPROVED),
            status: self.status.unwrap_or(STATUS_ACTIVE),
            created_at: now,
            updated_at: now,
            attributes: self.attributes,
        })
    }
}

/// Deletes the user and all that is known of them but the audit trail.
#[derive(Debug)]
pub struct DeleteUser;

impl Decide for DeleteUser {
    type Answer = ();
    const ACTION: Action = Action::DeleteUser;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        draft.effects.delete_user = true;
        Ok(())
    }
}
