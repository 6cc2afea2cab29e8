//! What every factor shares whose code is sent to the user: six digits by a uniform draw, kept as a keyed hash that is
//! bound to its registration or verification.

use rand::{CryptoRng, RngExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Ceremony, Description, Factor, Issued, Verdict};
use crate::audit::Reason;
use crate::clock::Timestamp;
use crate::crypto::keys::{KeyedHash, Keys};
use crate::delivery::message::Message;
use crate::mfa::code::Code;
use crate::mfa::data::{Data, Fault};
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Device, Registration, Verification};

/// Digits of a code that is sent (NIST SP 800-63B-4 §3.1.3.2: at least six).
pub const DIGITS: usize = 6;

/// A factor whose code is sent: what distinguishes one from another is its description and its message.
pub struct DeliveredCode {
    /// What callers and the core need to know of it.
    pub description: Description,
    /// Makes the message of a code and the minutes that it lives.
    pub write: fn(&Ceremony<'_>, &str, i64) -> Message,
}

impl Factor for DeliveredCode {
    fn description(&self) -> &Description {
        &self.description
    }

    fn enrol(&self, ceremony: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        Ok(self.issue(ceremony))
    }

    fn confirm(
        &self,
        ceremony: &mut Ceremony<'_>,
        pending: &Registration,
        code: Option<&Code>,
    ) -> Result<Verdict, Fault> {
        match code {
            Some(code) => check(ceremony, &pending.data, code),
            None => Ok(Verdict::Wrong(Reason::NoCode)),
        }
    }

    fn challenge(&self, ceremony: &mut Ceremony<'_>, _: &Device) -> Result<Issued, Refusal> {
        Ok(self.issue(ceremony))
    }

    /// Without a challenge nothing was sent, and no code is right.
    fn check(
        &self,
        ceremony: &mut Ceremony<'_>,
        _: &Device,
        pending: Option<&Verification>,
        code: &Code,
    ) -> Result<Verdict, Fault> {
        match pending {
            Some(verification) => check(ceremony, &verification.data, code),
            None => Ok(Verdict::Wrong(Reason::Wrong)),
        }
    }
}

impl DeliveredCode {
    /// Draws a code and has it sent.
    fn issue(&self, ceremony: &mut Ceremony<'_>) -> Issued {
        let code = draw(ceremony.rng);
        let lifetime = ceremony.expires_at.since(ceremony.now);
        let lifetime = lifetime.min(ceremony.core.rules.max_code_lifetime);
        let record = Record {
            code: hash(&ceremony.core.keys, ceremony, &code),
            expires_at: ceremony.now.plus(lifetime),
        };
        let message = (self.write)(ceremony, &code, lifetime.div_euclid(60).max(1));
        Issued {
            data: Data::of(&record),
            message: Some(message),
            ..Issued::default()
        }
    }
}

/// Whether `code` is the one that was sent.
fn check(ceremony: &Ceremony<'_>, data: &Data, code: &Code) -> Result<Verdict, Fault> {
    let record: Record = data.read()?;
    Ok(if record.expires_at <= ceremony.now {
        Verdict::Wrong(Reason::Expired)
    } else if hash(&ceremony.core.keys, ceremony, &code.at_length(DIGITS)) == record.code {
        Verdict::Accepted(Data::default())
    } else {
        Verdict::Wrong(Reason::Wrong)
    })
}

#[derive(Serialize, Deserialize)]
struct Record {
    code: KeyedHash,
    expires_at: Timestamp,
}

pub(super) fn draw(rng: &mut dyn CryptoRng) -> String {
    format!("{:0DIGITS$}", rng.random_range(0..1_000_000))
}

fn hash(keys: &Keys, ceremony: &Ceremony<'_>, code: &str) -> KeyedHash {
    let id: Uuid = ceremony.id;
    keys.code_hash(
        &[b"sent", &ceremony.user.get().to_be_bytes(), id.as_bytes()],
        code,
    )
}
