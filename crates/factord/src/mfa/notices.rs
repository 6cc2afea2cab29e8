//! Notices: what has happened to a user's factors is told at every address on record, in the commit in which it happens,
//! so that whoever did not do it can object. No limit holds them back, and they never fail a decision.

use serde::{Deserialize, Serialize};

use super::decision::Draft;
use super::ids::DeviceNumber;
use super::user::{Device, Ending};
use crate::delivery::message::{Channel, Message};
use crate::messages::{Content, Notice};

/// Which notices are sent, and by what ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Which are sent.
    pub switches: Switches,
    /// The ways by which messages can be sent.
    pub channels: Vec<Channel>,
}

/// Which notices are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the configuration"
)]
pub struct Switches {
    /// When a device is added.
    pub device_added: bool,
    /// When a device is removed.
    pub device_removed: bool,
    /// When a temporary token is issued.
    pub temporary_token_issued: bool,
    /// When a recovery code is used.
    pub recovery_code_used: bool,
    /// When two recovery codes are left.
    pub recovery_codes_low: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            device_added: true,
            device_removed: true,
            temporary_token_issued: true,
            recovery_code_used: true,
            recovery_codes_low: true,
        }
    }
}

impl Switches {
    const fn has(self, notice: &Notice<'_>) -> bool {
        match notice {
            Notice::DeviceAdded { .. } => self.device_added,
            Notice::DeviceRemoved { .. } => self.device_removed,
            Notice::TemporaryTokenIssued { .. } => self.temporary_token_issued,
            Notice::RecoveryCodeUsed { .. } => self.recovery_code_used,
            Notice::RecoveryCodesLow { .. } => self.recovery_codes_low,
        }
    }
}

impl Draft<'_> {
    /// The user has a new device.
    pub fn add_device(&mut self, device: Device) {
        self.notify(&Notice::DeviceAdded {
            device: &device.display_name,
            factor: self.factor_name(&device),
        });
        self.user.mfa.devices.push(device);
    }

    /// The devices that `which` picks are gone, and so is what was open for them; the hardware that they were is nobody's.
    /// Gives how many there were.
    pub fn remove_devices(&mut self, which: impl Fn(&Device) -> bool) -> usize {
        let devices = &mut self.user.mfa.devices;
        let removed: Vec<Device> = devices.extract_if(.., |device| which(device)).collect();
        for device in &removed {
            self.notify(&Notice::DeviceRemoved {
                device: &device.display_name,
                factor: self.factor_name(device),
            });
        }
        let numbers: Vec<DeviceNumber> = removed.iter().map(|device| device.number).collect();
        self.end_verifications(Ending::DeviceDeleted, |pending| {
            numbers.contains(&pending.device)
        });
        self.effects.released.extend(numbers);
        removed.len()
    }

    /// A one-use code of a device was used, after which `left` are left.
    pub fn used_recovery_code(&mut self, left: usize) {
        let low = Notice::RecoveryCodesLow { left };
        if left == FEW && self.core.notices.switches.has(&low) {
            self.notify(&low);
        } else {
            self.notify(&Notice::RecoveryCodeUsed { left });
        }
    }

    /// Has the user told at every address on record, unless the notice is switched off.
    pub fn notify(&mut self, notice: &Notice<'_>) {
        if !self.core.notices.switches.has(notice) {
            return;
        }
        let content = Content::Notice(*notice, self.now);
        let profile = &self.user.profile;
        let addresses = [
            (Channel::Email, &profile.email),
            (Channel::Sms, &profile.phone),
        ];
        for (channel, address) in addresses {
            let Some(to) = address.as_ref().filter(|to| !to.is_empty()) else {
                continue;
            };
            if !self.core.notices.channels.contains(&channel) {
                continue;
            }
            let text = self.core.write(channel, profile, &content);
            self.effects.messages.push(Message {
                channel,
                to: to.clone(),
                subject: text.subject,
                body: text.body,
                html: text.html,
                code: None,
                link: None,
                about: None,
                expires_at: self.now.plus(LIFETIME),
            });
        }
    }

    fn factor_name(&self, device: &Device) -> &'static str {
        let factor = self.core.catalogue.described(device.factor_id);
        factor.map_or("?", |factor| factor.name)
    }
}

/// Recovery codes of which the user is told that they are few.
const FEW: usize = 2;
/// Seconds for which it is tried to send a notice.
const LIFETIME: i64 = 86_400;
