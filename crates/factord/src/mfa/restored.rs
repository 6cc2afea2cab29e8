//! What must end when a database is put back to an earlier state: whatever was used since would be fresh again.

use super::decision::{Decide, Draft};
use super::ids::DeviceId;
use super::refusal::Refusal;
use super::user::{Ending, STATUS_ACTIVE, STATUS_SUSPENDED};
use crate::audit::Action;
use crate::factor::Restored;
use crate::factor::catalogue::Catalogue;

/// Ends what is open of a restored user, and moves each device past whatever it may have accepted since; one that cannot
/// be moved is disabled until it is enrolled anew.
#[derive(Clone, Debug, Default)]
pub struct EndRestored {
    /// Wrong codes that each device has had since, by its id as the audit trail writes it.
    pub failures: Vec<(String, u32)>,
    /// Whether the profile was changed since: it may have been a suspension, so the user is suspended.
    pub suspend: bool,
}

/// What became of a restored user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Registrations, verifications and temporary tokens that were open.
    pub open: usize,
    /// Devices that were moved past now.
    pub moved: usize,
    /// Devices that were disabled.
    pub disabled: usize,
    /// Whether the user was active, and is suspended now.
    pub suspended: bool,
}

impl Decide for EndRestored {
    type Answer = Ended;
    const ACTION: Action = Action::Restore;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Ended, Refusal> {
        let mfa = &mut draft.user.mfa;
        let open = mfa.registrations.len() + mfa.verifications.len() + mfa.temporary_tokens.len();
        mfa.temporary_tokens.clear();
        draft.end_registrations(Ending::Superseded, |_| true);
        draft.end_verifications(Ending::Superseded, |_| true);
        let mut ended = Ended {
            open,
            ..Ended::default()
        };
        let (rules, known) = (&draft.core.rules, Catalogue::standard());
        for device in &mut draft.user.mfa.devices {
            let id = DeviceId::Device(device.number).to_string();
            for (_, failures) in self.failures.iter().filter(|(device, _)| *device == id) {
                for _ in 0..(*failures).min(rules.disable_at_failures) {
                    device.throttle.fail(draft.now, rules);
                }
            }
            // Also one that is disabled here, or has nothing to send by: an administrator may know less than the servers.
            let factor = known
                .factor(device.factor_id)
                .or_else(|| draft.core.catalogue.factor(device.factor_id));
            match factor.map_or(Ok(Restored::Disable), |factor| {
                factor.restored(draft.core, device, draft.now)
            }) {
                Ok(Restored::Keep) => {}
                Ok(Restored::Moved(data)) => {
                    device.data = data;
                    ended.moved += 1;
                }
                Ok(Restored::Disable) | Err(_) => {
                    device.disabled = true;
                    ended.disabled += 1;
                }
            }
        }
        let profile = &mut draft.user.profile;
        if self.suspend && profile.status == STATUS_ACTIVE {
            profile.status = STATUS_SUSPENDED;
            ended.suspended = true;
        }
        Ok(ended)
    }
}
