//! The rules, told as short histories of one user: commands, codes and clock moves.

mod abuse;
mod counting;
mod histories;
mod notices;
mod one_use;
mod policy;
mod protect;
mod recovery_codes;
mod registration;
mod temporary_token;
mod token;
mod verification;
mod voice;
mod webauthn;
mod yubikey;

use std::collections::HashMap;

use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::Core;
use super::code::Code;
use super::completion::{CompleteVerification, VerifyCode};
use super::confirmation::ConfirmRegistration;
use super::data::Data;
use super::decision::{self, Decide, Draft, Effects, Reads};
use super::hardware::{Known, Owner};
use super::history::History;
use super::ids::{DeviceId, UserId};
use super::redirect::RedirectPolicy;
use super::refusal::Refusal;
use super::registration::{CreateRegistration, RegistrationView};
use super::user::{Finished, Mfa, Profile, STATE_APPROVED, STATUS_ACTIVE, User};
use super::verification::{CreateVerification, Options, VerificationView};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::crypto::keys::{Keys, MasterKey};
use crate::crypto::otp;
use crate::delivery::message::{Channel, Message};
use crate::factor::Work;
use crate::factor::webauthn::relying_party::RelyingParty;
use crate::mfa::notices::Notices;

const AUTHENTICATOR: i64 = 58_957;
const PROTECT: i64 = 58_958;
const SMS: i64 = 58_959;
const VOICE: i64 = 58_960;
const MAGIC_LINK: i64 = 58_962;
const EMAIL: i64 = 58_961;
const WEBAUTHN: i64 = 58_963;
const YUBIKEY: i64 = 58_964;
const RECOVERY_CODES: i64 = 58_965;

/// One user, a clock and a seeded generator: what a store does, in a few lines.
struct World {
    core: Core,
    now: Timestamp,
    rng: StdRng,
    user: User,
    histories: HashMap<String, History>,
    hardware: Known,
    finished: HashMap<Uuid, Finished>,
    events: Vec<Event>,
    repeats: usize,
    /// What was sent but for the notices.
    messages: Vec<Message>,
    notices: Vec<Message>,
}

impl World {
    fn new() -> Self {
        let profile = profile();
        Self {
            core: core(),
            now: profile.created_at,
            rng: StdRng::seed_from_u64(2),
            user: User {
                id: UserId::new(7).unwrap(),
                profile,
                mfa: Mfa::default(),
            },
            histories: HashMap::new(),
            hardware: Known::new(),
            finished: HashMap::new(),
            events: Vec::new(),
            repeats: 0,
            messages: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Decides and keeps what follows. Whatever the answer, there is an audit event, and the user reads back from JSON.
    fn run<D: Decide>(&mut self, command: &D) -> Result<D::Answer, Refusal> {
        let Reads {
            destination,
            finished,
            hardware,
        } = command.reads(&self.core, &self.user);
        let history = self
            .histories
            .entry(destination.unwrap_or_default())
            .or_default();
        let finished = finished.and_then(|id| self.finished.get(&id)).cloned();
        let found = hardware.into_iter().filter_map(|id| {
            let found = self.hardware.get(&id)?.clone();
            Some((id, found))
        });
        let mut hardware: Known = found.collect();
        let mut effects = Effects::default();
        let answer = decision::run(
            command,
            &mut Draft {
                core: &self.core,
                now: self.now,
                moment: self.now.into(),
                rng: &mut self.rng,
                user: &mut self.user,
                history,
                hardware: &mut hardware,
                finished: finished.as_ref(),
                effects: &mut effects,
            },
        );
        assert!(!effects.events.is_empty() || !effects.repeats.is_empty());
        self.hardware.append(&mut hardware);
        for known in self.hardware.values_mut() {
            let released = |owner: &mut Owner| effects.released.contains(&owner.device);
            known.owner.take_if(released);
        }
        self.repeats += effects.repeats.len();
        self.events.append(&mut effects.events);
        let (notices, messages): (Vec<_>, Vec<_>) =
            effects.messages.drain(..).partition(Message::is_notice);
        self.notices.extend(notices);
        self.messages.extend(messages);
        self.finished.extend(
            effects
                .finished
                .into_iter()
                .map(|finished| (finished.id(), finished)),
        );
        let json = serde_json::to_string(&self.user.mfa).unwrap();
        assert_eq!(serde_json::from_str::<Mfa>(&json).unwrap(), self.user.mfa);
        answer
    }

    fn advance(&mut self, seconds: i64) {
        self.now = self.now.plus(seconds);
    }

    fn register(&mut self, factor_id: i64) -> Result<RegistrationView, Refusal> {
        self.run(&CreateRegistration {
            factor_id,
            ..registration_of(factor_id)
        })
    }

    fn confirm(&mut self, id: Uuid, code: &str) -> Result<DeviceId, Refusal> {
        let confirmed = self.run(&ConfirmRegistration {
            id,
            code: Some(Code::text(code)),
            evidence: None,
        })?;
        Ok(DeviceId::Device(confirmed.device))
    }

    /// Enrols a device that messages are sent to, without sending one.
    fn enrol_verified(&mut self, factor_id: i64) -> DeviceId {
        let registration = CreateRegistration {
            verified: true,
            ..registration_of(factor_id)
        };
        DeviceId::Device(self.run(&registration).unwrap().registration.device)
    }

    /// Enrols an authenticator app; its registration uses the code of the time step before.
    fn enrol_authenticator(&mut self) -> (DeviceId, Vec<u8>) {
        let view = self.register(AUTHENTICATOR).unwrap();
        let secret = secret_of(&view);
        let code = self.totp(&secret, -1);
        (self.confirm(view.registration.id, &code).unwrap(), secret)
    }

    /// The code of an authenticator app, so many steps from now.
    fn totp(&self, secret: &[u8], steps: i64) -> String {
        let step = otp::time_step(self.now.plus(steps * otp::STEP_SECONDS));
        format!("{:06}", otp::hotp(otp::Algorithm::Sha1, secret, step, 6))
    }

    fn challenge(&mut self, device: DeviceId) -> Result<VerificationView, Refusal> {
        self.run(&CreateVerification {
            device,
            options: Options::default(),
        })
    }

    /// Challenges a device; the verification, and the code that was sent.
    fn send(&mut self, device: DeviceId) -> (Uuid, String) {
        let id = self.challenge(device).unwrap().verification.id;
        (id, self.last_code())
    }

    fn last_code(&self) -> String {
        self.messages.last().unwrap().code.clone().unwrap()
    }

    fn complete(&mut self, id: Uuid, code: &str) -> Result<(), Refusal> {
        self.run(&CompleteVerification {
            id,
            device: None,
            code: Some(Code::text(code)),
            evidence: None,
        })
    }

    fn verify(&mut self, device: Option<DeviceId>, code: &str) -> Result<(), Refusal> {
        self.run(&VerifyCode {
            device,
            options: Options::default(),
            code: Code::text(code),
            evidence: None,
        })
    }

    fn device_failures(&self, device: DeviceId) -> u32 {
        self.user
            .mfa
            .device(device.number())
            .unwrap()
            .throttle
            .failures
    }
}

/// A core with the standard rules, and any keys.
pub fn core() -> Core {
    let public_url: url::Url = "http://localhost:8080".parse().unwrap();
    let keys = Keys::derive(&MasterKey::generate(&mut StdRng::seed_from_u64(1)));
    Core {
        service_name: "Example & Co".to_owned(),
        redirects: RedirectPolicy::Loopback,
        notices: Notices {
            channels: vec![Channel::Sms, Channel::Email],
            ..Notices::default()
        },
        webauthn: RelyingParty::at(&public_url),
        ..Core::new(keys, public_url)
    }
}

/// A user with all that can be known of one.
pub fn profile() -> Profile {
    let now = Timestamp::from_seconds(1_700_000_010);
    Profile {
        username: Some("ada".to_owned()),
        email: Some("ada@example.com".to_owned()),
        phone: Some("+14155550100".to_owned()),
        state: STATE_APPROVED,
        status: STATUS_ACTIVE,
        created_at: now,
        updated_at: now,
        attributes: serde_json::Map::default(),
    }
}

fn registration_of(factor_id: i64) -> CreateRegistration {
    CreateRegistration {
        factor_id,
        display_name: "My device".to_owned(),
        expires_in: None,
        verified: false,
        redirect_to: None,
        custom_message: None,
    }
}

fn secret_of(view: &RegistrationView) -> Vec<u8> {
    let text = view
        .shown
        .verification_token
        .as_ref()
        .unwrap()
        .expose_secret();
    data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap()
}

/// A code of six digits that `right` is not.
fn wrong(right: &str) -> String {
    format!("{:06}", (right.parse::<u32>().unwrap() + 1) % 1_000_000)
}

/// A code that no authenticator app with this secret shows within ten minutes of now.
fn never(world: &World, secret: &[u8]) -> String {
    let near: Vec<_> = (-25..=25).map(|steps| world.totp(secret, steps)).collect();
    (0..1_000_000)
        .map(|number| format!("{number:06}"))
        .find(|code| !near.contains(code))
        .unwrap()
}

/// What a computation gives, done at once.
fn computed(work: Work) -> Data {
    match work {
        Work::Computed(work) => work(),
        Work::Asked(_) => panic!("nobody else is asked"),
    }
}
