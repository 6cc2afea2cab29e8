//! WebAuthn: a security key, a phone or a platform that signs a challenge for this relying party alone (W3C WebAuthn
//! Level 3). The proofs are checked by webauthn-rs; what is kept is the public key, its counter and the open challenge.

pub mod attestation;
pub mod relying_party;
#[cfg(test)]
pub(crate) mod soft_key;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{AuthenticationState, Credential, RegistrationState};

use super::{Ceremony, Codes, Description, Factor, Issued, Pending, Restored, Shown, Step};
use crate::audit::Reason;
use crate::clock::Timestamp;
use crate::crypto::sealing::{Place, Sealed};
use crate::crypto::tokens::{self, TokenHash};
use crate::mfa::Core;
use crate::mfa::data::{Data, Fault};
use crate::mfa::ids::{DeviceNumber, UserId};
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Device, Profile, Registration, User, Verification};
use relying_party::{Account, RelyingParty};

/// The factor.
pub struct WebAuthn;

/// A credential, and on which way it came. The way is said by us, never by whoever sends the credential: a caller finishes
/// what it began, while the visitor of a page only takes the page's `otp` back to the caller.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The wire's `credential`, from the caller.
    Caller(Value),
    /// From the hosted page.
    Page(Value),
}

impl Factor for WebAuthn {
    fn description(&self) -> &'static Description {
        &Description {
            key: "webauthn",
            name: "WebAuthn",
            auth_factor_name: "WebAuthn",
            codes: Codes::Credential,
            channel: None,
            works_unchallenged: false,
            confirmed_without_code: false,
            replaces_older: false,
            devices: DEVICES,
            open_verifications: None,
        }
    }

    fn enrol(&self, ceremony: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        let name = ceremony.profile.account_name(ceremony.user);
        let account = Account {
            handle: handle(ceremony.core, ceremony.user),
            name: &name,
            service: &ceremony.core.service_name,
        };
        let keys = ceremony
            .devices
            .iter()
            .filter_map(|device| Key::of(device).ok());
        let challenge = draw(ceremony);
        let (options, state) = party(ceremony.core)?.creation(
            &account,
            keys.map(|key| key.credential.cred_id).collect(),
            challenge,
            ceremony.expires_at.seconds() - ceremony.now.seconds(),
        )?;
        let token = tokens::generate(ceremony.rng);
        let place = place(ceremony.user, ceremony.device);
        let sealed =
            (ceremony.core.keys).seal(ceremony.rng, place, token.expose_secret().as_bytes());
        let record = Enrolment {
            options,
            state,
            token: sealed,
        };
        Ok(Issued {
            data: Data::of(&record),
            shown: shown(ceremony.core, record.options, &token),
            links: vec![TokenHash::of_secret(&token)],
            ..Issued::default()
        })
    }

    fn show(
        &self,
        core: &Core,
        user: UserId,
        _: &Profile,
        pending: &Registration,
    ) -> Result<Shown, Fault> {
        let enrolment: Enrolment = pending.data.read()?;
        let token = enrolment.token(core, user, pending.device)?;
        Ok(shown(core, enrolment.options, &token))
    }

    fn challenge(&self, ceremony: &mut Ceremony<'_>, device: &Device) -> Result<Issued, Refusal> {
        let key = Key::of(device)?;
        let challenge = draw(ceremony);
        let (options, state) = party(ceremony.core)?.request(
            key.credential,
            challenge,
            ceremony.expires_at.seconds() - ceremony.now.seconds(),
        )?;
        let record = Challenge {
            options: options.clone(),
            state,
        };
        Ok(Issued {
            data: Data::of(&record),
            shown: Shown {
                public_key: Some(options),
                ..Shown::default()
            },
            on_page: ceremony.redirect_to.is_some(),
            ..Issued::default()
        })
    }

    fn answer(
        &self,
        ceremony: &mut Ceremony<'_>,
        pending: Pending<'_>,
        answer: &Data,
    ) -> Result<Step, Fault> {
        // What another page sends is no credential.
        let Ok(answer) = answer.read() else {
            return Ok(Step::Wrong(Reason::Invalid));
        };
        let party = party(ceremony.core)?;
        match pending {
            Pending::Registration(registration) => {
                let enrolment: Enrolment = registration.data.read()?;
                let (Answer::Caller(credential) | Answer::Page(credential)) = answer;
                let created = party.created(credential, &enrolment.state);
                Ok(created.map_or_else(
                    |error| Step::Wrong(reason(&error)),
                    |credential| Step::Accepted(Data::of(&Key { credential })),
                ))
            }
            Pending::Verification(device, verification) => {
                verify(party, device, verification, answer)
            }
        }
    }

    fn detail(&self, device: &Device) -> Option<String> {
        let Credential {
            counter,
            user_verified,
            backup_eligible,
            ..
        } = Key::of(device).ok()?.credential;
        let bound = if backup_eligible {
            "synchronised"
        } else {
            "bound to one device"
        };
        let verifies = if user_verified {
            "verifies the person"
        } else {
            "proves presence alone"
        };
        Some(format!("{bound}, {verifies}, sign count {counter}"))
    }

    /// What is open has ended, and what a key has signed is right for nothing else. A counter that is behind finds fewer copies.
    fn restored(&self, _: &Core, _: &Device, _: Timestamp) -> Result<Restored, Fault> {
        Ok(Restored::Keep)
    }
}

/// What an assertion is worth. The challenge of a verification that the page has answered is erased, so that nothing
/// answers it again.
fn verify(
    party: &RelyingParty,
    device: &Device,
    verification: &Verification,
    answer: Answer,
) -> Result<Step, Fault> {
    let Some(challenge) = verification.data.read::<Option<Challenge>>()? else {
        return Ok(Step::Wrong(Reason::Used));
    };
    let (credential, accepted): (_, fn(Data) -> Step) = match answer {
        Answer::Caller(credential) => (credential, Step::Accepted),
        Answer::Page(credential) if verification.on_page => (credential, Step::AcceptedOnPage),
        Answer::Page(_) => return Ok(Step::Wrong(Reason::Invalid)),
    };
    let key = Key::of(device)?.credential;
    Ok(match party.asserted(credential, &challenge.state, key) {
        Ok(credential) => accepted(Data::of(&Key { credential })),
        Err(error) => Step::Wrong(reason(&error)),
    })
}

/// What is kept of a device: the public key, the counter, and what is known of the authenticator.
#[derive(Serialize, Deserialize)]
struct Key {
    credential: Credential,
}

impl Key {
    fn of(device: &Device) -> Result<Self, Fault> {
        device.data.read()
    }
}

/// What is kept of a pending registration.
#[derive(Serialize, Deserialize)]
struct Enrolment {
    /// What is shown, in its JSON form.
    options: Data,
    state: RegistrationState,
    /// The token of the hosted page, which is shown at every reading.
    token: Sealed,
}

impl Enrolment {
    fn token(
        &self,
        core: &Core,
        user: UserId,
        device: DeviceNumber,
    ) -> Result<SecretString, Fault> {
        let token = core.keys.open(place(user, device), &self.token)?;
        let token = std::str::from_utf8(&token).map_err(|_| Fault::Record)?;
        Ok(SecretString::from(token))
    }
}

/// What is kept of a pending verification.
#[derive(Serialize, Deserialize)]
struct Challenge {
    /// What is shown, in its JSON form.
    options: Data,
    state: AuthenticationState,
}

/// The pending registration that a page's token leads to, and the options of its ceremony.
pub fn enrolment<'a>(
    core: &Core,
    user: &'a User,
    token: &SecretString,
) -> Option<(&'a Registration, Data)> {
    let wanted = TokenHash::of_secret(token);
    user.mfa.registrations.iter().find_map(|pending| {
        let enrolment: Enrolment = pending.data.read().ok()?;
        let token = enrolment.token(core, user.id, pending.device).ok()?;
        (TokenHash::of_secret(&token) == wanted).then_some((pending, enrolment.options))
    })
}

/// The options of a verification's ceremony, while the page can still answer it.
pub fn challenge(verification: &Verification) -> Option<Data> {
    let challenge: Challenge = verification.data.read().ok()?;
    verification.on_page.then_some(challenge.options)
}

fn shown(core: &Core, options: Data, token: &SecretString) -> Shown {
    let url = core.link(&format!("enrol/{}", token.expose_secret()));
    Shown {
        public_key: Some(options),
        url: Some(SecretString::from(url)),
        ..Shown::default()
    }
}

/// An installation without a relying party does not offer the factor.
fn party(core: &Core) -> Result<&RelyingParty, Fault> {
    core.webauthn.as_ref().ok_or(Fault::Record)
}

/// What an authenticator knows the user by: the same for all keys of one user, and telling nothing of who it is.
fn handle(core: &Core, user: UserId) -> [u8; 16] {
    let context: &[&[u8]] = &[b"webauthn user", &user.get().to_be_bytes()];
    *core.keys.code_hash(context, "").as_bytes()
}

fn draw(ceremony: &mut Ceremony<'_>) -> [u8; CHALLENGE_BYTES] {
    let mut challenge = [0; CHALLENGE_BYTES];
    ceremony.rng.fill_bytes(&mut challenge);
    challenge
}

/// What the audit trail says of a credential that is not accepted.
const fn reason(error: &WebauthnError) -> Reason {
    match error {
        WebauthnError::CredentialPossibleCompromise => Reason::CounterWentBack,
        WebauthnError::UserNotVerified | WebauthnError::UserNotPresent => Reason::NotVerified,
        WebauthnError::AttestationNotVerifiable
        | WebauthnError::AttestationChainNotTrusted(_)
        | WebauthnError::AttestationUntrustedAaguid
        | WebauthnError::AttestationFormatMissingAaguid => Reason::NotTrusted,
        _ => Reason::Forged,
    }
}

const fn place(user: UserId, device: DeviceNumber) -> Place {
    Place {
        purpose: "webauthn page",
        user: user.unsigned(),
        record: device.get() as u64,
    }
}

/// Keys that one user may have.
const DEVICES: usize = 10;
/// 256 bits; WebAuthn asks for at least 128 (section 13.4.3).
const CHALLENGE_BYTES: usize = 32;
