//! YubiKey: one press types a one-time password. We check it ourselves, with keys that an administrator has imported, or
//! ask a validation server of Yubico's protocol. Either way the counters are kept here and only rise, for the whole
//! installation: a password is accepted once, and a key is one user's.

mod validator;

use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use super::{Ceremony, Codes, Description, Factor, Issued, Verdict, Work};
use crate::audit::Reason;
use crate::crypto::keys::Keys;
use crate::crypto::sealing::Sealed;
use crate::crypto::yubico_otp::{Counter, Otp, PublicId, Secret};
use crate::mfa::Core;
use crate::mfa::code::Code;
use crate::mfa::data::{Data, Fault};
use crate::mfa::hardware::{Hardware, Owner, place};
use crate::mfa::ids::UserId;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Device, Registration, Verification};
use validator::Validator;
pub use validator::{UnusableSettings, ValidatorSettings};

/// How the passwords of YubiKeys are checked.
#[derive(Clone, Debug, Default)]
pub enum Checking {
    /// Not at all: the factor is not offered.
    Off,
    /// With keys that were imported.
    #[default]
    Own,
    /// By asking validation servers.
    Upstream(ValidatorSettings),
}

impl Checking {
    /// The factor that checks so. It lives as long as the process.
    ///
    /// # Errors
    /// [`UnusableSettings`] if TLS cannot be set up.
    pub fn factor(self) -> Result<Option<&'static YubiKey>, UnusableSettings> {
        Ok(match self {
            Self::Off => None,
            Self::Own => Some(&OWN),
            Self::Upstream(settings) => Some(Box::leak(Box::new(YubiKey {
                validator: Some(Validator::new(settings)?),
            }))),
        })
    }
}

/// The factor that checks passwords with imported keys.
pub static OWN: YubiKey = YubiKey { validator: None };

/// The factor.
pub struct YubiKey {
    /// Who knows the keys, if it is not us.
    validator: Option<Validator>,
}

impl Factor for YubiKey {
    fn description(&self) -> &'static Description {
        &Description {
            key: "yubikey",
            name: "YubiKey",
            auth_factor_name: "YubiKey",
            codes: Codes::Long,
            channel: None,
            works_unchallenged: true,
            confirmed_without_code: false,
            replaces_older: false,
            devices: DEVICES,
            open_verifications: None,
        }
    }

    fn enrol(&self, _: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        Ok(Issued::default())
    }

    fn prepare_confirmation(
        &self,
        _: &Core,
        _: UserId,
        _: &Registration,
        code: Option<&Code>,
        rng: &mut dyn CryptoRng,
    ) -> Option<Work> {
        self.ask(&read(code?)?, rng)
    }

    fn hardware(&self, device: Option<&Device>, code: &Code) -> Option<String> {
        let otp = read(code)?;
        match device {
            Some(device) => otp_is_of(device, &otp).ok()?.then(|| hardware_id(otp.id)),
            None => Some(hardware_id(otp.id)),
        }
    }

    /// A key that is another device, whoever's, reads like one that nobody knows.
    fn confirm(
        &self,
        ceremony: &mut Ceremony<'_>,
        _: &Registration,
        code: Option<&Code>,
    ) -> Result<Verdict, Fault> {
        let Some(code) = code else {
            return Ok(Verdict::Wrong(Reason::NoCode));
        };
        let Some(otp) = read(code) else {
            return Ok(Verdict::Wrong(Reason::Wrong));
        };
        let owner = Owner {
            user: ceremony.user,
            device: ceremony.device,
        };
        self.advance(ceremony, &otp, None, owner)
    }

    fn challenge(&self, _: &mut Ceremony<'_>, _: &Device) -> Result<Issued, Refusal> {
        Ok(Issued::default())
    }

    fn prepare(&self, device: &Device, code: &Code, rng: &mut dyn CryptoRng) -> Option<Work> {
        let otp = read(code).filter(|otp| otp_is_of(device, otp).unwrap_or(false))?;
        self.ask(&otp, rng)
    }

    fn check(
        &self,
        ceremony: &mut Ceremony<'_>,
        device: &Device,
        _: Option<&Verification>,
        code: &Code,
    ) -> Result<Verdict, Fault> {
        let Some(otp) = read(code) else {
            return Ok(Verdict::Wrong(Reason::Wrong));
        };
        if !otp_is_of(device, &otp)? {
            return Ok(Verdict::Wrong(Reason::NotOwned));
        }
        let owner = Owner {
            user: ceremony.user,
            device: device.number,
        };
        self.advance(ceremony, &otp, Some(owner), owner)
    }

    fn detail(&self, device: &Device) -> Option<String> {
        let record: Record = device.data.read().ok()?;
        Some(format!("public id {}", record.public_id))
    }
}

/// What is kept of a device.
#[derive(Serialize, Deserialize)]
struct Record {
    public_id: PublicId,
}

/// What a validation server has said of a password.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// It is right, and its counters are these.
    Right(Counter),
    /// It is not.
    Wrong(Reason),
}

impl YubiKey {
    /// Asks the validation server, if there is one.
    fn ask(&self, otp: &Otp, rng: &mut dyn CryptoRng) -> Option<Work> {
        let asked = self.validator.as_ref()?.ask(otp, rng);
        Some(Work::Asked(Box::pin(async move {
            asked.await.map(|answer| Data::of(&answer))
        })))
    }

    /// Accepts the password if its key is the device's that is expected, or nobody's, and its counter is above all that
    /// were accepted before; the key is `owner`'s from then on.
    fn advance(
        &self,
        ceremony: &mut Ceremony<'_>,
        otp: &Otp,
        expected: Option<Owner>,
        owner: Owner,
    ) -> Result<Verdict, Fault> {
        let id = hardware_id(otp.id);
        let known = ceremony.hardware.get(&id);
        let answer = match (&self.validator, ceremony.evidence) {
            (None, _) => open(&ceremony.core.keys, &id, known, otp)?,
            (Some(_), Some(evidence)) => evidence.read()?,
            (Some(_), None) => Answer::Wrong(Reason::Wrong),
        };
        let counter = match answer {
            Answer::Right(counter) => counter,
            Answer::Wrong(reason) => return Ok(Verdict::Wrong(reason)),
        };
        if known.and_then(|known| known.owner) != expected {
            return Ok(Verdict::Wrong(Reason::NotOwned));
        }
        let last: Option<Counter> = match known {
            Some(known) => known.state.read()?,
            None => None,
        };
        if last.is_some_and(|last| counter <= last) {
            return Ok(Verdict::Wrong(Reason::Used));
        }
        let known = ceremony.hardware.entry(id).or_default();
        known.owner = Some(owner);
        known.state = Data::of(&Some(counter));
        Ok(Verdict::Accepted(Data::of(&Record { public_id: otp.id })))
    }
}

/// A key to be imported.
#[derive(Debug)]
pub struct NewKey {
    /// What it calls itself.
    pub public_id: PublicId,
    /// What is printed on it.
    pub serial: String,
    /// What it shares with us.
    pub secret: Secret,
}

impl NewKey {
    /// The key as it is kept, and its id.
    pub fn seal(&self, keys: &Keys, rng: &mut dyn CryptoRng) -> (String, Hardware) {
        let id = hardware_id(self.public_id);
        let secret = keys.seal(rng, place(SECRET, &id), self.secret.as_bytes());
        let hardware = Hardware {
            serial: Some(self.serial.clone()),
            secret: Some(secret),
            ..Hardware::default()
        };
        (id, hardware)
    }
}

/// What the imported key says of the password.
fn open(keys: &Keys, id: &str, known: Option<&Hardware>, otp: &Otp) -> Result<Answer, Fault> {
    let Some(sealed) = known.and_then(|known| known.secret.as_ref()) else {
        return Ok(Answer::Wrong(Reason::NotOwned));
    };
    let counter = otp.open(&secret(keys, id, sealed)?);
    Ok(counter.map_or(Answer::Wrong(Reason::Wrong), Answer::Right))
}

fn secret(keys: &Keys, id: &str, sealed: &Sealed) -> Result<Secret, Fault> {
    let bytes = keys.open(place(SECRET, id), sealed)?;
    Secret::from_bytes(&bytes).ok_or(Fault::Record)
}

fn read(code: &Code) -> Option<Otp> {
    match code {
        Code::Text(text) => Otp::parse(text),
        Code::Number(_) => None,
    }
}

fn otp_is_of(device: &Device, otp: &Otp) -> Result<bool, Fault> {
    let record: Record = device.data.read()?;
    Ok(record.public_id == otp.id)
}

fn hardware_id(id: PublicId) -> String {
    format!("{HARDWARE}{id}")
}

/// What the ids of hardware begin with that is a YubiKey.
pub const HARDWARE: &str = "yubikey:";
const SECRET: &str = "yubikey secret";
/// How many a user may have: one in use, one in the drawer, and some to spare.
const DEVICES: usize = 5;
