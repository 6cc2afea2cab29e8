//! Temporary MFA tokens: eight digits that the help desk gives out, which stand in for any device in a verification,
//! never in a registration.

use rand::RngExt;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Core;
use super::code::Code;
use super::comparison::accept_verification;
use super::decision::{Decide, Draft};
use super::ids::{DeviceId, DeviceNumber, UserId};
use super::refusal::Refusal;
use super::rules::{TEMPORARY_TOKEN_DIGITS, TEMPORARY_TOKEN_SECONDS};
use super::throttle::{Gate, Throttle};
use super::user::TemporaryToken;
use super::values::Values;
use crate::audit::{Action, Reason};
use crate::clock::Timestamp;
use crate::crypto::keys::KeyedHash;
use crate::messages::Notice;

/// generate_otp.
#[derive(Debug)]
pub struct CreateTemporaryToken {
    /// Seconds that it lives, 120 to what the policy says; that many if `None`.
    pub expires_in: Option<i64>,
    /// Whether it may be used more than once.
    pub reusable: bool,
}

/// A new token, the one time that it is shown.
pub struct IssuedToken {
    /// Its digits.
    pub digits: Zeroizing<String>,
    /// The first moment at which it is void.
    pub expires_at: Timestamp,
    /// Whether it may be used more than once.
    pub reusable: bool,
    /// Its id among the user's devices.
    pub device: DeviceId,
}

impl Decide for CreateTemporaryToken {
    type Answer = IssuedToken;
    const ACTION: Action = Action::CreateTemporaryToken;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<IssuedToken, Refusal> {
        if !draft.user.profile.is_active() {
            return Err(Refusal::NotActive);
        }
        let most = draft.core.policy(&draft.user.profile).max_token_expires_in;
        let lifetime = self.expires_in.unwrap_or(most);
        let mut values = Values::default();
        let least = *TEMPORARY_TOKEN_SECONDS.start();
        values.require("expires_in", (least..=most).contains(&lifetime));
        values.check()?;
        if draft.user.mfa.temporary_tokens.len() >= draft.core.rules.temporary_tokens {
            return Err(Refusal::invalid("mfa_token"));
        }
        let number = draft.draw_device_number();
        let digits = draw_digits(draft);
        let token = TemporaryToken {
            number,
            code: hash(draft.core, draft.user.id, &digits),
            reusable: self.reusable,
            created_at: draft.now,
            expires_at: draft.now.plus(lifetime),
            throttle: Throttle::default(),
        };
        let issued = IssuedToken {
            digits,
            expires_at: token.expires_at,
            reusable: token.reusable,
            device: token.device_id(),
        };
        draft.notify(&Notice::TemporaryTokenIssued {
            expires: token.expires_at,
        });
        draft.user.mfa.temporary_tokens.push(token);
        draft.record(Some(issued.device), Self::ACTION, None);
        Ok(issued)
    }
}

/// A uniform draw among the codes that no other token of the user has.
fn draw_digits(draft: &mut Draft<'_>) -> Zeroizing<String> {
    loop {
        let number = draft.rng.random_range(0..100_000_000);
        let digits = Zeroizing::new(format!("{number:0TEMPORARY_TOKEN_DIGITS$}"));
        let code = hash(draft.core, draft.user.id, &digits);
        if draft
            .user
            .mfa
            .temporary_tokens
            .iter()
            .all(|token| token.code != code)
        {
            return digits;
        }
    }
}

/// Compares `code` with every token that is alive and not delayed; with none while the user is delayed. If one is right it is used, and
/// `verification`, for which it stands in, is accepted.
pub(super) fn accept(draft: &mut Draft<'_>, code: &Code, verification: Option<Uuid>) -> bool {
    let (now, rules) = (draft.now, &draft.core.rules);
    let Some(code) = hash_of(draft, code).filter(|_| tries(draft)) else {
        return false;
    };
    let tokens = &draft.user.mfa.temporary_tokens;
    let open = |token: &&TemporaryToken| token.throttle.gate(now, rules) == Gate::Open;
    let Some(number) = tokens
        .iter()
        .filter(open)
        .find(|token| token.code == code)
        .map(|token| token.number)
    else {
        return false;
    };
    use_up(draft, number);
    if let Some(id) = verification {
        accept_verification(draft, id);
    }
    draft.record(
        Some(DeviceId::TemporaryToken(number)),
        Action::CompleteVerification,
        None,
    );
    true
}

/// Compares `code` with one token alone.
///
/// # Errors
/// [`Refusal::Delayed`] or [`Refusal::Disabled`] while it is locked; [`Refusal::Unauthorized`] if it is another code.
pub(super) fn verify(
    draft: &mut Draft<'_>,
    number: DeviceNumber,
    code: &Code,
) -> Result<(), Refusal> {
    let (now, rules) = (draft.now, &draft.core.rules);
    let expected = hash_of(draft, code);
    let tokens = &mut draft.user.mfa.temporary_tokens;
    let token = tokens
        .iter_mut()
        .find(|token| token.number == number)
        .ok_or(Refusal::NotFound)?;
    token.throttle.gate(now, rules).pass()?;
    if expected == Some(token.code) {
        use_up(draft, number);
        return Ok(());
    }
    token.throttle.fail(now, rules);
    draft.user.mfa.throttle.fail(now, rules);
    Err(Refusal::Unauthorized(Reason::Wrong))
}

/// Whether `code` is the token that was used up last: sent again, it is no guess.
pub(super) fn accepted_last(draft: &Draft<'_>, code: &Code) -> bool {
    draft.user.mfa.last_token.is_some() && hash_of(draft, code) == draft.user.mfa.last_token
}

/// Counts a wrong code of eight digits against every token that it was compared with; `true` if there was one.
pub(super) fn count_wrong(draft: &mut Draft<'_>, code: &Code) -> bool {
    if !code.fits(TEMPORARY_TOKEN_DIGITS) || !tries(draft) {
        return false;
    }
    let (now, rules) = (draft.now, &draft.core.rules);
    let tokens = draft.user.mfa.temporary_tokens.iter_mut();
    let compared = tokens.filter(|token| token.throttle.gate(now, rules) == Gate::Open);
    compared
        .map(|token| token.throttle.fail(now, rules))
        .count()
        > 0
}

/// Whether tokens are looked at at all: they are guessable, so a delay of their user holds them back.
fn tries(draft: &Draft<'_>) -> bool {
    draft.user.mfa.throttle.delay(draft.now) == Gate::Open
}

/// A success clears the token's count and the user's; a token that is not reusable is gone.
fn use_up(draft: &mut Draft<'_>, number: DeviceNumber) {
    let mfa = &mut draft.user.mfa;
    mfa.throttle.clear();
    for token in mfa
        .temporary_tokens
        .iter_mut()
        .filter(|token| token.number == number)
    {
        token.throttle.clear();
    }
    let spent = |token: &mut TemporaryToken| token.number == number && !token.reusable;
    for token in mfa.temporary_tokens.extract_if(.., spent) {
        mfa.last_token = Some(token.code);
    }
}

fn hash_of(draft: &Draft<'_>, code: &Code) -> Option<KeyedHash> {
    code.fits(TEMPORARY_TOKEN_DIGITS).then(|| {
        hash(
            draft.core,
            draft.user.id,
            &code.at_length(TEMPORARY_TOKEN_DIGITS),
        )
    })
}

fn hash(core: &Core, user: UserId, digits: &str) -> KeyedHash {
    core.keys
        .code_hash(&[b"temporary token", &user.get().to_be_bytes()], digits)
}
