//! Authenticator: a TOTP app (RFC 6238) with SHA-1, six digits and 30-second steps, as every app speaks it; or a hardware
//! token that an administrator has imported.

use data_encoding::BASE32_NOPAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::token;
use super::{Ceremony, Codes, Description, Factor, Issued, Restored, Shown, Verdict};
use crate::audit::Reason;
use crate::clock::Timestamp;
use crate::crypto::otp::{self, Algorithm, OtpKey};
use crate::crypto::sealing::{Place, Sealed};
use crate::mfa::Core;
use crate::mfa::code::Code;
use crate::mfa::data::{Data, Fault};
use crate::mfa::ids::{DeviceNumber, UserId};
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Device, Profile, Registration, Verification};

/// The factor.
pub struct Authenticator;

impl Factor for Authenticator {
    fn description(&self) -> &'static Description {
        &Description {
            key: "authenticator",
            name: "Authenticator",
            auth_factor_name: "Google Authenticator",
            codes: Codes::Digits(otp::DIGITS),
            channel: None,
            works_unchallenged: true,
            confirmed_without_code: false,
            replaces_older: false,
            devices: 1,
            open_verifications: None,
        }
    }

    fn enrol(&self, ceremony: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        ceremony.rng.fill_bytes(secret.as_mut());
        let place = place(ceremony.user, ceremony.device);
        let record = App {
            secret: ceremony
                .core
                .keys
                .seal(ceremony.rng, place, secret.as_ref()),
            step: None,
        };
        let shown = show(
            ceremony.core,
            &ceremony.profile.account_name(ceremony.user),
            secret.as_ref(),
        );
        Ok(Issued {
            data: Data::of(&Record::Totp(record)),
            shown,
            ..Issued::default()
        })
    }

    fn show(
        &self,
        core: &Core,
        user: UserId,
        profile: &Profile,
        pending: &Registration,
    ) -> Result<Shown, Fault> {
        let app = app(&pending.data)?;
        let secret = core.keys.open(place(user, pending.device), &app.secret)?;
        Ok(show(core, &profile.account_name(user), &secret))
    }

    fn confirm(
        &self,
        ceremony: &mut Ceremony<'_>,
        pending: &Registration,
        code: Option<&Code>,
    ) -> Result<Verdict, Fault> {
        match code {
            Some(code) => check(ceremony, app(&pending.data)?, code),
            None => Ok(Verdict::Wrong(Reason::NoCode)),
        }
    }

    fn hardware(&self, device: Option<&Device>, _: &Code) -> Option<String> {
        match device?.data.read().ok()? {
            Record::Hotp { serial } => Some(token::hardware_id(&serial)),
            Record::Totp(_) => None,
        }
    }

    fn challenge(&self, _: &mut Ceremony<'_>, _: &Device) -> Result<Issued, Refusal> {
        Ok(Issued::default())
    }

    fn restored(&self, core: &Core, device: &Device, now: Timestamp) -> Result<Restored, Fault> {
        Ok(match device.data.read()? {
            Record::Totp(app) => {
                let latest = otp::time_step(now).saturating_add(core.rules.totp_look_around);
                Restored::Moved(Data::of(&Record::Totp(App {
                    step: app.step.max(Some(latest)),
                    ..app
                })))
            }
            Record::Hotp { .. } => Restored::Disable,
        })
    }

    fn check(
        &self,
        ceremony: &mut Ceremony<'_>,
        device: &Device,
        _: Option<&Verification>,
        code: &Code,
    ) -> Result<Verdict, Fault> {
        match device.data.read()? {
            Record::Hotp { serial } => token::check(ceremony, &serial, &device.data, code),
            Record::Totp(app) => check(ceremony, app, code),
        }
    }

    fn detail(&self, device: &Device) -> Option<String> {
        match device.data.read().ok()? {
            Record::Hotp { serial } => Some(format!("token {serial}")),
            Record::Totp(_) => None,
        }
    }
}

/// What is kept of a device, and of its pending registration.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    /// An app.
    Totp(App),
    /// A hardware token; what changes of it is kept with the hardware.
    Hotp { serial: String },
}

/// The record of a device that is the hardware token with this serial number.
pub fn record_of_token(serial: &str) -> Data {
    Data::of(&Record::Hotp {
        serial: serial.to_owned(),
    })
}

#[derive(Serialize, Deserialize)]
struct App {
    /// The shared secret.
    secret: Sealed,
    /// The last time step that was accepted; it only rises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
}

/// Looks for the code in the window around now. A step at or before the last accepted one is refused for ever.
fn check(ceremony: &Ceremony<'_>, app: App, code: &Code) -> Result<Verdict, Fault> {
    if !code.fits(otp::DIGITS) {
        return Ok(Verdict::Wrong(Reason::Wrong));
    }
    let secret = ceremony
        .core
        .keys
        .open(place(ceremony.user, ceremony.device), &app.secret)?;
    let key = OtpKey::new(Algorithm::Sha1, &secret);
    let matches = |step| {
        let value = key.hotp(step, otp::DIGITS);
        code.is(&Zeroizing::new(format!(
            "{value:0width$}",
            width = otp::DIGITS
        )))
    };
    let (now, look_around) = (
        otp::time_step(ceremony.now),
        ceremony.core.rules.totp_look_around,
    );
    let fresh = |step: u64| app.step.is_none_or(|last| step > last);

    if let Some(step) = around(now, look_around).find(|step| fresh(*step) && matches(*step)) {
        return Ok(Verdict::Accepted(Data::of(&Record::Totp(App {
            step: Some(step),
            ..app
        }))));
    }
    Ok(Verdict::Wrong(
        match around(now, DIAGNOSED_STEPS).find(|step| matches(*step)) {
            Some(step) if !fresh(step) => Reason::Used,
            Some(step) => Reason::OutsideWindow(
                i32::try_from(step.cast_signed() - now.cast_signed()).unwrap_or(0),
            ),
            None => Reason::Wrong,
        },
    ))
}

/// The steps at most `distance` from `now`, the nearest first: most codes are of now.
fn around(now: u64, distance: u64) -> impl Iterator<Item = u64> {
    let beside = move |steps| [now.saturating_sub(steps), now.saturating_add(steps)];
    std::iter::once(now).chain((1..=distance).flat_map(beside))
}

fn app(data: &Data) -> Result<App, Fault> {
    match data.read()? {
        Record::Totp(app) => Ok(app),
        Record::Hotp { .. } => Err(Fault::Record),
    }
}

/// What an authenticator app scans: the key URI format, with issuer and account.
fn show(core: &Core, account: &str, secret: &[u8]) -> Shown {
    let secret = Zeroizing::new(BASE32_NOPAD.encode(secret));
    let issuer = utf8_percent_encode(&core.service_name, ESCAPED);
    let account = utf8_percent_encode(account, ESCAPED);
    let url = format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={}&period={}",
        *secret,
        otp::DIGITS,
        otp::STEP_SECONDS
    );
    Shown {
        verification_token: Some(SecretString::from(secret.as_str())),
        totp_url: Some(SecretString::from(url)),
        ..Shown::default()
    }
}

const fn place(user: UserId, device: DeviceNumber) -> Place {
    Place {
        purpose: "authenticator secret",
        user: user.unsigned(),
        record: device.get() as u64,
    }
}

/// 160 bits (RFC 4226 section 4, R6: recommended).
const SECRET_BYTES: usize = 20;
/// How far from now a wrong code is looked for, to tell support staff that a phone's clock is off.
const DIAGNOSED_STEPS: u64 = 10;
/// All but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
