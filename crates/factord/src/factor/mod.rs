//! What a factor is: how a device of it is enrolled, challenged and checked. One file a factor; what all of them
//! share (expiry, throttling, one use, messages, audit) is the core's and cannot be got wrong here.

pub mod authenticator;
pub mod catalogue;
mod delivered_code;
pub mod email;
pub mod magic_link;
pub mod protect;
pub mod recovery_codes;
pub mod sms;
pub mod token;
pub mod voice;
pub mod webauthn;
pub mod yubikey;

use std::future::Future;
use std::pin::Pin;

use rand::CryptoRng;
use secrecy::SecretString;
use uuid::Uuid;

use crate::audit::Reason;
use crate::clock::Timestamp;
use crate::crypto::tokens::TokenHash;
use crate::delivery::message::{Channel, Message};
use crate::mfa::Core;
use crate::mfa::code::Code;
use crate::mfa::data::{Data, Fault};
use crate::mfa::hardware::Known;
use crate::mfa::ids::{DeviceNumber, UserId};
use crate::mfa::policy::Policy;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Device, Ending, Profile, Registration, Verification};

/// A kind of device that can be enrolled and challenged.
///
/// An implementation never touches a clock, a generator or a store: it gets what it needs in a [`Ceremony`] and says
/// what should be kept. What it keeps is its own [`Data`], which nothing else reads.
pub trait Factor: Send + Sync {
    /// What callers and the core need to know of it.
    fn description(&self) -> &Description;

    /// Starts an enrolment.
    ///
    /// # Errors
    /// [`Fault`] if something stored cannot be used.
    fn enrol(&self, ceremony: &mut Ceremony<'_>) -> Result<Issued, Fault>;

    /// What the caller may see of a pending enrolment: the same at every reading. By default nothing.
    ///
    /// # Errors
    /// [`Fault`] if something stored cannot be used.
    fn show(
        &self,
        _core: &Core,
        _user: UserId,
        _profile: &Profile,
        _pending: &Registration,
    ) -> Result<Shown, Fault> {
        Ok(Shown::default())
    }

    /// What must be computed before the enrolment can be confirmed, since it is too slow for a store's transaction.
    /// The result comes as [`Ceremony::evidence`].
    fn prepare_confirmation(
        &self,
        _core: &Core,
        _user: UserId,
        _pending: &Registration,
        _code: Option<&Code>,
        _rng: &mut dyn CryptoRng,
    ) -> Option<Work> {
        None
    }

    /// The id of the hardware that must be read to check `code`, for `device` or for a new one. It is then among
    /// [`Ceremony::hardware`].
    fn hardware(&self, _device: Option<&Device>, _code: &Code) -> Option<String> {
        None
    }

    /// Whether `code` confirms the enrolment; if so, the record that the device starts with. There is a code, but for a
    /// factor that is [`Description::confirmed_without_code`]. By default no code does.
    ///
    /// # Errors
    /// [`Fault`] if something stored cannot be used.
    fn confirm(
        &self,
        _ceremony: &mut Ceremony<'_>,
        _pending: &Registration,
        _code: Option<&Code>,
    ) -> Result<Verdict, Fault> {
        Ok(Verdict::Wrong(Reason::Wrong))
    }

    /// Challenges a device.
    ///
    /// # Errors
    /// A [`Refusal`] if the device cannot be challenged now; a fault if something stored cannot be used.
    fn challenge(&self, ceremony: &mut Ceremony<'_>, device: &Device) -> Result<Issued, Refusal>;

    /// What must be computed before `code` can be checked, since it is too slow for a store's transaction. The result
    /// comes as [`Ceremony::evidence`]; by then the device may have changed. Asked for long codes alone.
    fn prepare(&self, _device: &Device, _code: &Code, _rng: &mut dyn CryptoRng) -> Option<Work> {
        None
    }

    /// Whether `code` is right for the device, in answer to `pending` or, for a factor that needs no challenge, to
    /// none; if so, the record that the device goes on with. By default no code is: that of a page, or a temporary token,
    /// is the core's affair.
    ///
    /// # Errors
    /// [`Fault`] if something stored cannot be used.
    fn check(
        &self,
        _ceremony: &mut Ceremony<'_>,
        _device: &Device,
        _pending: Option<&Verification>,
        _code: &Code,
    ) -> Result<Verdict, Fault> {
        Ok(Verdict::Wrong(Reason::Wrong))
    }

    /// Whether an answer that is no code could be right by luck. Such a one is not looked at while guesses are held back;
    /// any other is, such as the word that a call is over.
    fn is_guess(&self, _answer: &Data) -> bool {
        self.description().codes.are_guessable()
    }

    /// What follows from an answer that is no code: digits typed on a phone, the press of a button on a page, the word of
    /// an app, a credential. `answer` has the factor's own form. Without a code's throttle, unless its codes are guessable.
    ///
    /// # Errors
    /// [`Fault`] if something stored cannot be used.
    fn answer(
        &self,
        _ceremony: &mut Ceremony<'_>,
        _pending: Pending<'_>,
        _answer: &Data,
    ) -> Result<Step, Fault> {
        Ok(Step::Wrong(Reason::Invalid))
    }

    /// What becomes of a device whose database was put back to an earlier state: it must not accept again what it has
    /// accepted since. By default only what is sent to the person goes on, since nothing of it is kept by the device.
    ///
    /// # Errors
    /// [`Fault`] if something stored cannot be used.
    fn restored(&self, _core: &Core, _device: &Device, _now: Timestamp) -> Result<Restored, Fault> {
        Ok(match self.description().channel {
            Some(_) => Restored::Keep,
            None => Restored::Disable,
        })
    }

    /// How many codes a device has left that are good once each, for its user to be told whenever one is used; `None` where
    /// there are no such codes.
    fn codes_left(&self, _device: &Device) -> Option<usize> {
        None
    }

    /// What an administrator may want to know of a device.
    fn detail(&self, _device: &Device) -> Option<String> {
        None
    }
}

/// What becomes of a device whose database was put back.
#[derive(Debug)]
pub enum Restored {
    /// It goes on as it is.
    Keep,
    /// It goes on with this record, which is past whatever it may have accepted since.
    Moved(Data),
    /// It must be enrolled anew.
    Disable,
}

/// What takes too long for a store's transaction; it gives what the factor reads as [`Ceremony::evidence`].
pub enum Work {
    /// A computation that takes much of the machine: few are done at once, and few a minute for one user.
    Computed(Box<dyn FnOnce() -> Data + Send>),
    /// A question to another service.
    Asked(Pin<Box<dyn Future<Output = Result<Data, NoAnswer>> + Send>>),
}

/// Another service did not answer, or its answer cannot be believed: nothing can be decided, and nothing is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another service does not answer")]
pub struct NoAnswer;

/// The unchanging facts of a factor.
#[derive(Debug)]
pub struct Description {
    /// The name in the configuration, snake_case: it never changes, or files that name it go wrong.
    pub key: &'static str,
    /// The name in the catalogue, for example `OneLogin SMS`.
    pub name: &'static str,
    /// The wire's `auth_factor_name`.
    pub auth_factor_name: &'static str,
    /// What a code of it looks like.
    pub codes: Codes,
    /// By what way it sends messages, if it does.
    pub channel: Option<Channel>,
    /// Whether the factor needs no challenge: a code can be checked against the device alone.
    pub works_unchallenged: bool,
    /// Whether an enrolment may be confirmed without a code: the caller says that the person has what was shown.
    pub confirmed_without_code: bool,
    /// Whether a new enrolment takes the place of the older device, which is refused otherwise.
    pub replaces_older: bool,
    /// How many devices of it a user may have.
    pub devices: usize,
    /// How many verifications of one device may be open: a newer one ends the oldest of too many. `None` is what the
    /// rules say of factors to which nothing is sent.
    pub open_verifications: Option<usize>,
}

/// What a factor is confirmed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// This many decimal digits: few enough to be guessed, so that the throttle holds them back.
    Digits(usize),
    /// A code too long to be guessed.
    Long,
    /// This many decimal digits that count only where the person types them, not from the caller, who polls.
    Typed(usize),
    /// No code but the wire's `credential`.
    Credential,
    /// No code: it is confirmed elsewhere, and the caller polls.
    None,
}

impl Codes {
    /// Whether they are few enough to be guessed, so that the throttle holds them back.
    pub const fn are_guessable(self) -> bool {
        matches!(self, Self::Digits(_) | Self::Typed(_))
    }
}

/// What a factor gets for one step of an enrolment or a verification.
pub struct Ceremony<'a> {
    /// What every decision knows.
    pub core: &'a Core,
    /// The time of the decision.
    pub now: Timestamp,
    /// The generator.
    pub rng: &'a mut dyn CryptoRng,
    /// Whose device it is.
    pub user: UserId,
    /// What is known of them.
    pub profile: &'a Profile,
    /// The id of the registration or verification.
    pub id: Uuid,
    /// The number that the device has or will have.
    pub device: DeviceNumber,
    /// The user's confirmed devices.
    pub devices: &'a [Device],
    /// Where messages go.
    pub destination: Option<&'a str>,
    /// When the registration or verification ends.
    pub expires_at: Timestamp,
    /// The text that the caller wants the code sent with.
    pub custom_message: Option<&'a str>,
    /// Where the caller wants the browser back.
    pub redirect_to: Option<&'a str>,
    /// What the caller calls the device or the challenge.
    pub display_name: Option<&'a str>,
    /// Whether the caller can show a number for the person to match.
    pub number_matching: bool,
    /// What is known of the hardware that [`Factor::hardware`] named. What changes of it is kept, also with a wrong code.
    pub hardware: &'a mut Known,
    /// What [`Factor::prepare`] or [`Factor::prepare_confirmation`] computed.
    pub evidence: Option<&'a Data>,
}

impl Ceremony<'_> {
    /// What holds for the user.
    pub fn policy(&self) -> &Policy {
        self.core.policy(self.profile)
    }
}

/// What starting an enrolment or a challenge gives.
#[derive(Debug, Default)]
pub struct Issued {
    /// The factor's own record of it.
    pub data: Data,
    /// What is sent to the user.
    pub message: Option<Message>,
    /// What the caller sees.
    pub shown: Shown,
    /// The tokens of single-use links that lead to it, hashed.
    pub links: Vec<TokenHash>,
    /// Whether a hosted page has a part in a verification: it is found by its id, and finished by the page's `otp`.
    pub on_page: bool,
    /// The record that the challenged device goes on with, if it changes.
    pub device: Option<Data>,
    /// What an operator is to be alarmed by.
    pub alarm: Option<Reason>,
}

/// The wire's `factor_data`: what a caller may see.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The secret or code that the user must enter elsewhere.
    pub verification_token: Option<SecretString>,
    /// The `otpauth://` address that an authenticator app scans.
    pub totp_url: Option<SecretString>,
    /// Codes for the person to keep.
    pub recovery_codes: Option<Vec<SecretString>>,
    /// The options of a WebAuthn ceremony, in their JSON form.
    pub public_key: Option<Data>,
    /// The hosted page on which the person goes on.
    pub url: Option<SecretString>,
    /// The number that the person must choose in the app.
    pub number: Option<String>,
}

/// What a factor says of a code.
#[derive(Debug)]
pub enum Verdict {
    /// It is right; the device goes on with this record.
    Accepted(Data),
    /// It is not right, for this reason.
    Wrong(Reason),
}

/// What an answer that is no code is about.
#[derive(Clone, Copy, Debug)]
pub enum Pending<'a> {
    /// An enrolment.
    Registration(&'a Registration),
    /// A challenge to a device.
    Verification(&'a Device, &'a Verification),
}

impl<'a> Pending<'a> {
    /// The factor's own record of it.
    pub const fn data(self) -> &'a Data {
        match self {
            Self::Registration(registration) => &registration.data,
            Self::Verification(_, verification) => &verification.data,
        }
    }

    /// The wrong answers so far.
    pub const fn guesses(self) -> u32 {
        match self {
            Self::Registration(registration) => registration.guesses,
            Self::Verification(_, verification) => verification.guesses,
        }
    }
}

/// What follows from an answer that is no code.
#[derive(Debug)]
pub enum Step {
    /// It is right; the device starts or goes on with this record.
    Accepted(Data),
    /// It is right, but a verification is finished only by whoever began it: the page gives the browser a one-time `otp`
    /// for the caller. The device goes on with this record, and the factor's record of the verification is erased.
    AcceptedOnPage(Data),
    /// Nothing is decided yet: the enrolment or the challenge goes on with this record.
    Continue(Data),
    /// It is not right, for this reason, and is counted.
    Wrong(Reason),
    /// It ends here.
    Rejected {
        /// How.
        ending: Ending,
        /// Why, as the audit trail says; [`Reason::Wrong`] is counted.
        reason: Reason,
        /// The record that the device goes on with, if it changes.
        device: Option<Data>,
        /// What an operator should look at.
        alarm: Option<Reason>,
    },
}

impl Step {
    /// It ends here for this reason, and nothing else follows.
    pub const fn rejected(ending: Ending, reason: Reason) -> Self {
        Self::Rejected {
            ending,
            reason,
            device: None,
            alarm: None,
        }
    }
}
