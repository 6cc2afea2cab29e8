//! Changing and deleting a user. Whoever may not verify any more loses what is open at once.

use serde_json::{Map, Value};

use super::decision::{Decide, Draft};
use super::refusal::Refusal;
use super::user::{Ending, Profile};
use crate::audit::Action;

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
        }
        Ok(profile)
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
