//! Everything about one user that a decision reads and changes: one document, loaded and committed as a whole.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::data::Data;
use super::ids::{DeviceId, DeviceNumber, UserId};
use super::throttle::Throttle;
use crate::audit::Repeatable;
use crate::clock::Timestamp;
use crate::crypto::keys::KeyedHash;

/// A user: who they are, and what they have enrolled.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// What the users API keeps.
    pub profile: Profile,
    /// What the MFA operations keep.
    pub mfa: Mfa,
}

/// What the users API keeps of a user (contract, Users).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The name the user logs in by; unique, whatever its case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The address that e-mail codes go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The number that text messages and calls go to, E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// 0 unapproved, 1 approved, 2 rejected, 3 unlicensed.
    pub state: u8,
    /// 0 unactivated, 1 active, 2 suspended, 3 locked, 4 password expired, 5 awaiting reset, 7 password pending, 8
    /// security questions required.
    pub status: u8,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the profile last changed.
    pub updated_at: Timestamp,
    /// The other fields of the users API, as they were sent.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

impl Profile {
    /// Whether the user may enrol and verify: approved, and neither suspended nor locked.
    pub const fn is_active(&self) -> bool {
        self.state == STATE_APPROVED && !matches!(self.status, STATUS_SUSPENDED | STATUS_LOCKED)
    }

    /// What an authenticator app shows as the account, and a message calls the user by.
    pub fn account_name(&self, id: UserId) -> String {
        self.email
            .clone()
            .or_else(|| self.username.clone())
            .unwrap_or_else(|| id.to_string())
    }
}

/// `state` of a user who is approved.
pub const STATE_APPROVED: u8 = 1;
/// `status` of a user who is active.
pub const STATUS_ACTIVE: u8 = 1;
/// `status` of a user who is suspended.
pub const STATUS_SUSPENDED: u8 = 2;
/// `status` of a user who is locked.
pub const STATUS_LOCKED: u8 = 3;

/// What the MFA operations keep of a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mfa {
    /// Confirmed devices, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// Pending registrations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registrations: Vec<Registration>,
    /// Pending verifications, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verifications: Vec<Verification>,
    /// Temporary tokens that are alive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub temporary_tokens: Vec<TemporaryToken>,
    /// The hash of the temporary token that was used up last, to know it when it is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_token: Option<KeyedHash>,
    /// Wrong codes over all devices since the last success.
    #[serde(skip_serializing_if = "Throttle::is_clear")]
    pub throttle: Throttle,
    /// The refusals since the last success or guess: the same again is counted in its event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recent_refusals: Vec<Repeatable>,
}

impl Mfa {
    /// The confirmed device with this number.
    pub fn device(&self, number: DeviceNumber) -> Option<&Device> {
        self.devices.iter().find(|device| device.number == number)
    }

    /// The confirmed device with this number, to change.
    pub fn device_mut(&mut self, number: DeviceNumber) -> Option<&mut Device> {
        self.devices
            .iter_mut()
            .find(|device| device.number == number)
    }

    /// The first moment at which something of it has expired.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        let registrations = self.registrations.iter().map(|it| it.expires_at);
        let verifications = self.verifications.iter().map(|it| it.expires_at);
        let tokens = self.temporary_tokens.iter().map(|it| it.expires_at);
        registrations.chain(verifications).chain(tokens).min()
    }

    /// Whether a pending registration or verification has this id.
    pub fn has_pending(&self, id: Uuid) -> bool {
        self.registrations
            .iter()
            .any(|registration| registration.id == id)
            || self
                .verifications
                .iter()
                .any(|verification| verification.id == id)
    }

    /// Whether any device, registration or token of the user has this number.
    pub fn has_number(&self, number: DeviceNumber) -> bool {
        self.device(number).is_some()
            || self
                .registrations
                .iter()
                .any(|registration| registration.device == number)
            || self
                .temporary_tokens
                .iter()
                .any(|token| token.number == number)
    }
}

/// An enrolled device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Its number.
    pub number: DeviceNumber,
    /// The factor it is of, by the number that the catalogue was configured with.
    pub factor_id: i64,
    /// The name that the caller gave it.
    pub display_name: String,
    /// When it was confirmed.
    pub created_at: Timestamp,
    /// Whether an administrator has brought it in: it does not count against what the user may enrol.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// Whether it accepts nothing any more, until it is enrolled anew: the database was put back, and what it has accepted
    /// since is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Where its messages go; copied when the registration was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Wrong codes since its last success.
    #[serde(default, skip_serializing_if = "Throttle::is_clear")]
    pub throttle: Throttle,
    /// The hash of the code it accepted last, to know it when it is sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_code: Option<KeyedHash>,
    /// The factor's own record.
    #[serde(default)]
    pub data: Data,
}

/// How a registration or verification stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It can still be completed.
    #[default]
    Pending,
    /// It was completed.
    Accepted,
    /// It ended without success.
    Rejected,
}

/// Why a registration or verification was rejected, for the caller to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its time ran out.
    Expired,
    /// Too many wrong codes.
    TooManyGuesses,
    /// A newer one took its place.
    Superseded,
    /// Its device was deleted.
    DeviceDeleted,
    /// The user may not verify any more.
    UserNotActive,
    /// The message could not be delivered.
    DeliveryFailed,
    /// The person said no.
    Denied,
    /// The person hung up.
    HungUp,
    /// Nobody took the call.
    NoAnswer,
}

impl Ending {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::TooManyGuesses => "too_many_guesses",
            Self::Superseded => "superseded",
            Self::DeviceDeleted => "device_deleted",
            Self::UserNotActive => "user_not_active",
            Self::DeliveryFailed => "delivery_failed",
            Self::Denied => "denied",
            Self::HungUp => "hung_up",
            Self::NoAnswer => "no_answer",
        }
    }
}

/// The enrolment of a device, until it is confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Its id.
    pub id: Uuid,
    /// The number that the device will have.
    pub device: DeviceNumber,
    /// The factor, by the number that the catalogue was configured with.
    pub factor_id: i64,
    /// The name that the caller gave the device.
    pub display_name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// The first moment at which it can no longer be confirmed.
    pub expires_at: Timestamp,
    /// How it stands.
    #[serde(default)]
    pub status: Status,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Where its message went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Wrong codes so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub guesses: u32,
    /// Where the caller wants the browser back, checked when it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<String>,
    /// The factor's own record; erased when the registration ends.
    #[serde(default)]
    pub data: Data,
}

/// A challenge to a device, until it is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Its id.
    pub id: Uuid,
    /// The device that is challenged.
    pub device: DeviceNumber,
    /// The factor of the device, by the number that the catalogue was configured with.
    pub factor_id: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// The first moment at which it can no longer be completed.
    pub expires_at: Timestamp,
    /// How it stands.
    #[serde(default)]
    pub status: Status,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Wrong codes so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub guesses: u32,
    /// The name that the caller gave the verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where the caller wants the browser back, checked when it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<String>,
    /// Whether a hosted page has a part in it: the page's `otp` finishes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_page: bool,
    /// What the page gave the browser, once the person has answered there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_otp: Option<PageOtp>,
    /// The factor's own record; erased when the verification ends.
    #[serde(default)]
    pub data: Data,
}

/// The one-time code that a hosted page gives the browser for the caller (contract, Hosted pages).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageOtp {
    /// Its keyed hash.
    pub code: KeyedHash,
    /// The first moment at which it is void.
    pub expires_at: Timestamp,
}

/// A code that the help desk gives out, which stands in for any device for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemporaryToken {
    /// Its number, shown as `user_temp_otp_<number>`.
    pub number: DeviceNumber,
    /// The keyed hash of its digits.
    pub code: KeyedHash,
    /// Whether it may be used more than once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reusable: bool,
    /// When it was issued.
    pub created_at: Timestamp,
    /// The first moment at which it is void.
    pub expires_at: Timestamp,
    /// Wrong codes that were compared with it since its last success.
    #[serde(default, skip_serializing_if = "Throttle::is_clear")]
    pub throttle: Throttle,
}

impl TemporaryToken {
    /// Its id on the wire.
    pub const fn device_id(&self) -> DeviceId {
        DeviceId::TemporaryToken(self.number)
    }
}

/// A registration or verification that has ended; kept for its status to be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finished {
    /// A registration.
    Registration(Registration),
    /// A verification.
    Verification(Verification),
}

impl Finished {
    /// The id that it is read by.
    pub const fn id(&self) -> Uuid {
        match self {
            Self::Registration(registration) => registration.id,
            Self::Verification(verification) => verification.id,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
