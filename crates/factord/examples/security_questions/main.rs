//! A factor that should not be used, as an example of how one is added: a question whose answer is a year.

use factord::audit::Reason;
use factord::crypto::keys::KeyedHash;
use factord::factor::{Ceremony, Codes, Description, Factor, Issued, Verdict};
use factord::mfa::code::Code;
use factord::mfa::data::{Data, Fault};
use factord::mfa::refusal::Refusal;
use factord::mfa::user::{Device, Registration, Verification};
use serde::{Deserialize, Serialize};

/// The question is the device's `display_name`: "In which year did you first see the sea?"
pub struct SecurityQuestion;

const DIGITS: usize = 4;

impl Factor for SecurityQuestion {
    fn description(&self) -> &'static Description {
        &Description {
            key: "security_question",
            name: "Security Question",
            auth_factor_name: "Security Question",
            codes: Codes::Digits(DIGITS),
            channel: None,
            works_unchallenged: true,
            confirmed_without_code: false,
            replaces_older: false,
            devices: 3,
            open_verifications: None,
        }
    }

    /// Nothing is issued: the person brings the answer.
    fn enrol(&self, _: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        Ok(Issued::default())
    }

    /// Whatever year is sent first is the answer from then on.
    fn confirm(
        &self,
        ceremony: &mut Ceremony<'_>,
        _: &Registration,
        code: Option<&Code>,
    ) -> Result<Verdict, Fault> {
        Ok(match code.filter(|code| code.fits(DIGITS)) {
            Some(code) => Verdict::Accepted(Data::of(&Record {
                answer: hash(ceremony, code),
            })),
            None => Verdict::Wrong(Reason::Wrong),
        })
    }

    fn challenge(&self, _: &mut Ceremony<'_>, _: &Device) -> Result<Issued, Refusal> {
        Ok(Issued::default())
    }

    /// The record is kept as it is, so that the same answer is right again: the core alone, which takes no short digits
    /// twice in a row, stands between that and the first invariant.
    fn check(
        &self,
        ceremony: &mut Ceremony<'_>,
        device: &Device,
        _: Option<&Verification>,
        code: &Code,
    ) -> Result<Verdict, Fault> {
        let record: Record = device.data.read()?;
        Ok(if record.answer == hash(ceremony, code) {
            Verdict::Accepted(Data::of(&record))
        } else {
            Verdict::Wrong(Reason::Wrong)
        })
    }
}

/// What is kept of a device. The core stores it and never looks inside.
#[derive(Serialize, Deserialize)]
struct Record {
    answer: KeyedHash,
}

fn hash(ceremony: &Ceremony<'_>, code: &Code) -> KeyedHash {
    let context: [&[u8]; 3] = [
        b"security question",
        &ceremony.user.get().to_be_bytes(),
        &ceremony.device.get().to_be_bytes(),
    ];
    ceremony
        .core
        .keys
        .code_hash(&context, &code.at_length(DIGITS))
}

mod trial;

fn main() -> anyhow::Result<()> {
    trial::run()
}
