//! Why the core says no, in the terms that a caller may know (contract, Errors).

use super::data::Fault;
use super::throttle::Gate;
use crate::audit::Reason;

/// A refusal. What the audit trail says of it may be more precise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 404: no such device, registration or verification for this user.
    NotFound,
    /// 403: the user is suspended, locked or not approved.
    NotActive,
    /// 422: these parameters have values that are not allowed.
    Invalid(Vec<&'static str>),
    /// 400: the factor is confirmed by a code, and none was sent.
    NoCode,
    /// 400: the factor is confirmed by a credential, and none was sent.
    NoCredential,
    /// 422: the factor is not confirmed by a code; its state is to be polled.
    NotByCode,
    /// 403 with `Retry-After`: no code is looked at for this many seconds.
    Delayed(u64),
    /// 403 with `Retry-After`: so many pushes were denied or left unanswered that none is sent for this many seconds.
    Paused(u64),
    /// 403: the device is disabled for good.
    Disabled,
    /// 403: the factor is disabled for this user, or altogether.
    FactorDisabled,
    /// 401: the code is wrong or used, or what it was for is over.
    Unauthorized(Reason),
    /// 429 with `Retry-After`: the destination has had enough messages for this many seconds.
    TooManyMessages(u64),
    /// 500: what is stored cannot be used.
    Fault(Fault),
}

impl Refusal {
    /// One parameter has a value that is not allowed.
    pub fn invalid(parameter: &'static str) -> Self {
        Self::Invalid(vec![parameter])
    }

    /// What the audit trail says of it.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NotFound => Reason::NotOwned,
            Self::NotActive => Reason::UserNotActive,
            Self::Invalid(_) | Self::NotByCode => Reason::Invalid,
            Self::NoCode | Self::NoCredential => Reason::NoCode,
            Self::Delayed(_) | Self::Paused(_) => Reason::Throttled,
            Self::Disabled => Reason::Disabled,
            Self::FactorDisabled => Reason::FactorDisabled,
            Self::Unauthorized(reason) => *reason,
            Self::TooManyMessages(_) => Reason::TooManyMessages,
            Self::Fault(_) => Reason::Fault,
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Gate {
    /// Passes if a code may be looked at.
    ///
    /// # Errors
    /// [`Refusal::Delayed`], [`Refusal::Disabled`] or [`Refusal::FactorDisabled`].
    pub const fn pass(self) -> Result<(), Refusal> {
        match self {
            Self::Open => Ok(()),
            Self::Delayed(seconds) => Err(Refusal::Delayed(seconds)),
            Self::Disabled => Err(Refusal::Disabled),
            Self::FactorDisabled => Err(Refusal::FactorDisabled),
        }
    }
}
