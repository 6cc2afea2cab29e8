//! What every factor shares whose code is sent to the user: six digits by a uniform draw, kept as a keyed hash that is
//! bound to its registration or verification.

use rand::{CryptoRng, RngExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Ceremony, Issued, Shown, Verdict};
use crate::audit::Reason;
use crate::clock::Timestamp;
use crate::crypto::keys::{KeyedHash, Keys};
use crate::delivery::message::Message;
use crate::mfa::code::Code;
use crate::mfa::data::{Data, Fault};
use crate::mfa::user::{Registration, Verification};

/// Digits of a code that is sent (NIST SP 800-63B-4 §3.1.3.2: at least six).
pub const DIGITS: usize = 6;

/// Draws a code and has it sent: `write` makes the message of the code and the minutes that it lives.
pub fn issue(
    ceremony: &mut Ceremony<'_>,
    write: impl FnOnce(&Ceremony<'_>, &str, i64) -> Message,
) -> Issued {
    let code = draw(ceremony.rng);
    let lifetime = ceremony
        .expires_at
        .since(ceremony.now)
        .min(ceremony.core.rules.max_code_lifetime);
    let record = Record {
        code: hash(&ceremony.core.keys, ceremony, &code),
        expires_at: ceremony.now.plus(lifetime),
    };
    let message = write(ceremony, &code, lifetime.div_euclid(60).max(1));
    Issued {
        data: Data::of(&record),
        message: Some(message),
        shown: Shown::default(),
    }
}

/// Whether `code` is the one that was sent.
///
/// # Errors
/// [`Fault::Record`] if `data` is not what [`issue`] wrote.
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

/// The same for a registration.
///
/// # Errors
/// As [`check`].
pub fn confirm(
    ceremony: &Ceremony<'_>,
    pending: &Registration,
    code: Option<&Code>,
) -> Result<Verdict, Fault> {
    match code {
        Some(code) => check(ceremony, &pending.data, code),
        None => Ok(Verdict::Wrong(Reason::NoCode)),
    }
}

/// The same for a verification; without one nothing was sent, and no code is right.
///
/// # Errors
/// As [`check`].
pub fn check_pending(
    ceremony: &Ceremony<'_>,
    pending: Option<&Verification>,
    code: &Code,
) -> Result<Verdict, Fault> {
    match pending {
        Some(verification) => check(ceremony, &verification.data, code),
        None => Ok(Verdict::Wrong(Reason::Wrong)),
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    code: KeyedHash,
    expires_at: Timestamp,
}

fn draw(rng: &mut dyn CryptoRng) -> String {
    format!("{:0DIGITS$}", rng.random_range(0..1_000_000))
}

fn hash(keys: &Keys, ceremony: &Ceremony<'_>, code: &str) -> KeyedHash {
    let id: Uuid = ceremony.id;
    keys.code_hash(
        &[b"sent", &ceremony.user.get().to_be_bytes(), id.as_bytes()],
        code,
    )
}
