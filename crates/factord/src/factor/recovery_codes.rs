//! Recovery codes: ten codes to keep on paper, each good once. Kept as Argon2id hashes with a salt each (NIST SP
//! 800-63B-4 §3.1.2.2); the first letter of a code says which hash to compare, so that a guess costs one hash, not ten.

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::{BASE32_NOPAD, BASE64_NOPAD};
use rand::CryptoRng;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Ceremony, Codes, Description, Factor, Issued, Shown, Verdict, Work};
use crate::audit::Reason;
use crate::crypto::sealing::{Place, Sealed};
use crate::mfa::Core;
use crate::mfa::code::Code;
use crate::mfa::data::{Data, Fault};
use crate::mfa::ids::{DeviceNumber, UserId};
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Device, Profile, Registration, Verification};

/// The factor.
pub struct RecoveryCodes;

impl Factor for RecoveryCodes {
    fn description(&self) -> &'static Description {
        &Description {
            key: "recovery_codes",
            name: "Recovery Codes",
            auth_factor_name: "Recovery Codes",
            codes: Codes::Long,
            channel: None,
            works_unchallenged: true,
            confirmed_without_code: true,
            replaces_older: true,
            devices: 1,
            open_verifications: None,
        }
    }

    fn enrol(&self, ceremony: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        let codes = List((0..COUNT).map(|slot| draw(ceremony.rng, slot)).collect());
        let place = place(ceremony.user, ceremony.device);
        let sealed = ceremony
            .core
            .keys
            .seal(ceremony.rng, place, codes.join().as_bytes());
        Ok(Issued {
            data: Data::of(&Pending { codes: sealed }),
            shown: codes.shown(),
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
        Ok(List::open(core, user, pending)?.shown())
    }

    /// Hashes all codes, each with a salt of its own.
    fn prepare_confirmation(
        &self,
        core: &Core,
        user: UserId,
        pending: &Registration,
        _: Option<&Code>,
        rng: &mut dyn CryptoRng,
    ) -> Option<Work> {
        let codes = List::open(core, user, pending).ok()?;
        let salts: Vec<_> = codes.0.iter().map(|_| draw_salt(rng)).collect();
        Some(Work::Computed(Box::new(move || {
            let hashes = codes.0.iter().zip(salts).map(|(code, salt)| Kept {
                hash: Hash::of(code, salt),
                used: false,
            });
            Data::of(&Record {
                hashes: hashes.collect(),
            })
        })))
    }

    /// Without a code the person has said that the codes are kept; a code, if one is sent, must be one of them.
    fn confirm(
        &self,
        ceremony: &mut Ceremony<'_>,
        pending: &Registration,
        code: Option<&Code>,
    ) -> Result<Verdict, Fault> {
        let codes = List::open(ceremony.core, ceremony.user, pending)?;
        if code.is_some_and(|code| !codes.contains(&code.normal())) {
            return Ok(Verdict::Wrong(Reason::Wrong));
        }
        Ok(Verdict::Accepted(
            ceremony.evidence.cloned().ok_or(Fault::Record)?,
        ))
    }

    fn challenge(&self, _: &mut Ceremony<'_>, _: &Device) -> Result<Issued, Refusal> {
        Ok(Issued::default())
    }

    /// Hashes the code with the salt of the one hash that it can be compared with.
    fn prepare(&self, device: &Device, code: &Code, _: &mut dyn CryptoRng) -> Option<Work> {
        let (code, record) = (code.normal(), device.data.read::<Record>().ok()?);
        let slot = slot(&code)?;
        let salt = record.hashes.get(slot)?.hash.salt.clone();
        Some(Work::Computed(Box::new(move || {
            Data::of(&Evidence {
                slot,
                hash: Hash::of(&code, salt),
            })
        })))
    }

    fn check(
        &self,
        ceremony: &mut Ceremony<'_>,
        device: &Device,
        _: Option<&Verification>,
        code: &Code,
    ) -> Result<Verdict, Fault> {
        let mut record: Record = device.data.read()?;
        let slot = slot(&code.normal()).filter(|slot| *slot < record.hashes.len());
        let evidence: Option<Evidence> = ceremony.evidence.map(Data::read).transpose()?;
        let Some((slot, evidence)) = slot.zip(evidence) else {
            return Ok(Verdict::Wrong(Reason::Wrong));
        };
        let kept = &mut record.hashes[slot];
        if evidence.slot != slot || evidence.hash != kept.hash {
            return Ok(Verdict::Wrong(Reason::Wrong));
        }
        if std::mem::replace(&mut kept.used, true) {
            return Ok(Verdict::Wrong(Reason::Used));
        }
        Ok(Verdict::Accepted(Data::of(&record)))
    }

    fn codes_left(&self, device: &Device) -> Option<usize> {
        let record: Record = device.data.read().ok()?;
        Some(record.hashes.iter().filter(|kept| !kept.used).count())
    }

    fn detail(&self, device: &Device) -> Option<String> {
        let left = self.codes_left(device)?;
        Some(format!("{left} of {COUNT} codes left"))
    }
}

/// What is kept while the registration is pending: the codes, for them to be shown.
#[derive(Serialize, Deserialize)]
struct Pending {
    codes: Sealed,
}

/// What is kept of a device: a hash for each code.
#[derive(Serialize, Deserialize)]
struct Record {
    hashes: Vec<Kept>,
}

/// The hash of a code, and whether the code was used: a used one is known when it is sent again.
#[derive(Serialize, Deserialize)]
struct Kept {
    hash: Hash,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    used: bool,
}

/// The hash of a code that was sent, with the salt of the one it can be compared with.
#[derive(Serialize, Deserialize)]
struct Evidence {
    slot: usize,
    hash: Hash,
}

/// An Argon2id hash and its salt, in base64. Compared in constant time.
#[derive(Serialize, Deserialize)]
struct Hash {
    salt: String,
    digest: String,
}

impl Hash {
    /// RFC 9106, with the memory and passes that OWASP recommends for Argon2id.
    #[expect(
        clippy::expect_used,
        reason = "the parameters are constants within the algorithm's bounds"
    )]
    fn of(code: &str, salt: String) -> Self {
        let params =
            Params::new(MEMORY_KIB, PASSES, 1, Some(DIGEST)).expect("constants within bounds");
        let mut digest = Zeroizing::new([0; DIGEST]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(code.as_bytes(), salt.as_bytes(), digest.as_mut())
            .expect("a salt and a digest of lengths within bounds");
        Self {
            salt,
            digest: BASE64_NOPAD.encode(digest.as_ref()),
        }
    }
}

impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        self.salt == other.salt && bool::from(self.digest.as_bytes().ct_eq(other.digest.as_bytes()))
    }
}

/// The codes in the clear, without hyphens.
struct List(Vec<Zeroizing<String>>);

impl List {
    fn open(core: &Core, user: UserId, pending: &Registration) -> Result<Self, Fault> {
        let Pending { codes } = pending.data.read()?;
        let text = core.keys.open(place(user, pending.device), &codes)?;
        let text = std::str::from_utf8(&text).map_err(|_| Fault::Record)?;
        Ok(Self(
            text.split(' ')
                .map(|code| Zeroizing::new(code.to_owned()))
                .collect(),
        ))
    }

    fn join(&self) -> Zeroizing<String> {
        let codes: Vec<&str> = self.0.iter().map(|code| code.as_str()).collect();
        Zeroizing::new(codes.join(" "))
    }

    fn contains(&self, code: &str) -> bool {
        self.0.iter().fold(false, |found, kept| {
            found | bool::from(kept.as_bytes().ct_eq(code.as_bytes()))
        })
    }

    /// In groups, as a person copies them.
    fn shown(&self) -> Shown {
        let grouped = |code: &Zeroizing<String>| {
            let (first, rest) = code.split_at(GROUP);
            let (second, third) = rest.split_at(GROUP);
            SecretString::from(format!("{first}-{second}-{third}"))
        };
        Shown {
            recovery_codes: Some(self.0.iter().map(grouped).collect()),
            ..Shown::default()
        }
    }
}

/// A letter for the slot, then 65 random bits in base32 (NIST SP 800-63B-4 §4.2.1.1: at least 64).
fn draw(rng: &mut dyn CryptoRng, slot: usize) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 10]);
    rng.fill_bytes(bytes.as_mut());
    let letters = Zeroizing::new(BASE32_NOPAD.encode(bytes.as_ref()));
    let slot = char::from(SLOTS[slot]);
    Zeroizing::new(format!("{slot}{}", &letters[..SECRET_LETTERS]))
}

fn draw_salt(rng: &mut dyn CryptoRng) -> String {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    BASE64_NOPAD.encode(&salt)
}

/// Which hash the code can be compared with, if it is a code at all.
fn slot(code: &str) -> Option<usize> {
    let (first, rest) = code.as_bytes().split_first()?;
    let base32 = |letter: &u8| letter.is_ascii_uppercase() || (b'2'..=b'7').contains(letter);
    let formed = rest.len() == SECRET_LETTERS && rest.iter().all(base32);
    SLOTS
        .iter()
        .position(|slot| slot == first)
        .filter(|_| formed)
}

const fn place(user: UserId, device: DeviceNumber) -> Place {
    Place {
        purpose: "recovery codes",
        user: user.unsigned(),
        record: device.get() as u64,
    }
}

/// Codes in a set.
const COUNT: usize = SLOTS.len();
const SLOTS: &[u8; 10] = b"ABCDEFGHJK";
/// Letters of base32 that are secret: 65 bits.
const SECRET_LETTERS: usize = 13;
/// Letters in the first two groups.
const GROUP: usize = 5;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const DIGEST: usize = 32;
