//! Audit events: what was decided about a user, and why. They hold ids, never names, addresses, codes or secrets, and
//! outlive the user.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::mfa::ids::{DeviceId, UserId};

/// One decision about one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The device or temporary token it was about, if one is known.
    pub device: Option<DeviceId>,
    /// What was asked for.
    pub action: Action,
    /// Why it was refused; `None` where it was done.
    pub refused: Option<Reason>,
}

/// An event as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Rises with every event.
    pub id: i64,
    /// When it happened; the last time, where `count` is over 1.
    pub at: Timestamp,
    /// The user it is about.
    pub user: UserId,
    /// The device or temporary token it was about, if one is known.
    pub device: Option<String>,
    /// What was asked for.
    pub action: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// Why it was refused.
    pub reason: Option<String>,
    /// How many times in a row.
    pub count: i64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A user was created.
    CreateUser,
    /// A user's profile was changed.
    UpdateUser,
    /// A user was deleted.
    DeleteUser,
    /// A registration was started.
    CreateRegistration,
    /// A registration was to be confirmed.
    ConfirmRegistration,
    /// An administrator brought a device in.
    ImportDevice,
    /// A device was deleted.
    DeleteDevice,
    /// A device was challenged.
    CreateVerification,
    /// A verification was to be completed.
    CompleteVerification,
    /// What is pending went on without being decided yet.
    ContinueVerification,
    /// A message was given up: it cannot be sent.
    GiveUpMessage,
    /// A temporary token was issued.
    CreateTemporaryToken,
    /// A temporary token was deleted.
    DeleteTemporaryToken,
    /// Something happened that an operator should look at.
    RaiseAlarm,
    /// The database was put back to an earlier state, and what was open of the user was ended.
    Restore,
}

impl Action {
    /// The word in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateUser => "create_user",
            Self::UpdateUser => "update_user",
            Self::DeleteUser => "delete_user",
            Self::CreateRegistration => "create_registration",
            Self::ConfirmRegistration => "confirm_registration",
            Self::ImportDevice => "import_device",
            Self::DeleteDevice => "delete_device",
            Self::CreateVerification => "create_verification",
            Self::CompleteVerification => "complete_verification",
            Self::ContinueVerification => "continue_verification",
            Self::GiveUpMessage => "give_up_message",
            Self::CreateTemporaryToken => "create_temporary_token",
            Self::DeleteTemporaryToken => "delete_temporary_token",
            Self::RaiseAlarm => "raise_alarm",
            Self::Restore => "restore",
        }
    }
}

/// Why something was refused. The caller's answer does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The code is not right.
    Wrong,
    /// The code was accepted before.
    Used,
    /// The code is that of a time step outside the window: so many steps from now, negative in the past.
    OutsideWindow(i32),
    /// Its time ran out.
    Expired,
    /// A newer one took its place.
    Superseded,
    /// It ended before.
    Finished,
    /// Too many wrong codes: it is not looked at for a while.
    Throttled,
    /// Too many wrong codes: the device is disabled for good.
    Disabled,
    /// The factor is disabled for the user.
    FactorDisabled,
    /// There is no such thing, or it is another user's.
    NotOwned,
    /// The user is suspended, locked or not approved.
    UserNotActive,
    /// The request was well-formed but not allowed.
    Invalid,
    /// No code was sent.
    NoCode,
    /// Too many messages to one destination.
    TooManyMessages,
    /// The message could not be sent.
    Undeliverable,
    /// A stored record could not be used.
    Fault,
    /// The person said no.
    Denied,
    /// The person hung up.
    HungUp,
    /// Nobody took the call.
    NoAnswer,
    /// A signature, origin or other proof is not what it must be.
    Forged,
    /// A request in a gateway's name that the gateway has not signed.
    NotSigned,
    /// The user has tried so many long codes in a minute that no more are looked at.
    TooManyTries,
    /// The key did not verify or did not even see the person.
    NotVerified,
    /// The key is of no maker or model that is trusted.
    NotTrusted,
    /// The counter of a security key went back: there may be two of it.
    CounterWentBack,
    /// So many challenges were denied or left unanswered that somebody may be trying to wear the person down.
    Fatigue,
}

impl Reason {
    /// Whether an operator should look, whatever came of it.
    pub const fn is_alarm(self) -> bool {
        matches!(self, Self::CounterWentBack | Self::Fatigue)
    }
}

/// `outside_window_by_-3_steps` and the like: one word for each reason.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutsideWindow(steps) => return write!(f, "outside_window_by_{steps}_steps"),
            Self::Wrong => "wrong",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Finished => "finished",
            Self::Throttled => "throttled",
            Self::Disabled => "disabled",
            Self::FactorDisabled => "factor_disabled",
            Self::NotOwned => "not_its_owners",
            Self::UserNotActive => "user_not_active",
            Self::Invalid => "invalid",
            Self::NoCode => "no_code",
            Self::TooManyMessages => "too_many_messages",
            Self::Undeliverable => "undeliverable",
            Self::Fault => "fault",
            Self::Denied => "denied",
            Self::HungUp => "hung_up",
            Self::NoAnswer => "no_answer",
            Self::Forged => "forged",
            Self::NotSigned => "not_signed",
            Self::TooManyTries => "too_many_tries",
            Self::NotVerified => "not_verified",
            Self::NotTrusted => "not_trusted",
            Self::CounterWentBack => "counter_went_back",
            Self::Fatigue => "fatigue",
        })
    }
}

/// A refusal that is counted in the event before, when it comes again, so that a stranger cannot fill the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeatable {
    /// The device it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// What was asked for.
    pub action: Action,
    /// Why it was refused.
    pub reason: Reason,
}

impl Event {
    /// The event as one that may be counted, if nothing was compared and nothing changed.
    pub const fn repeatable(&self) -> Option<Repeatable> {
        match self.refused {
            None
            | Some(
                Reason::Wrong
                | Reason::OutsideWindow(_)
                | Reason::Forged
                | Reason::NotVerified
                | Reason::NotTrusted
                | Reason::CounterWentBack
                | Reason::Fatigue,
            ) => None,
            Some(reason) => Some(Repeatable {
                device: self.device,
                action: self.action,
                reason,
            }),
        }
    }
}
