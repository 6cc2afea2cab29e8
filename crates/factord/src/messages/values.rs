//! What a message says, and how it is handed to a template. Whatever somebody else chose is made harmless first: it has
//! no line breaks, no invisible marks that turn the text around it, and an end.

use minijinja::{Value, context};

use super::kind::Kind;
use crate::clock::Timestamp;

/// What a message says. Does not print: it may hold a code.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// A code, and the minutes that it lives.
    Code {
        /// The code.
        code: &'a str,
        /// At least 2.
        minutes: i64,
    },
    /// A link that is opened and confirmed there.
    Link {
        /// The whole address.
        link: &'a str,
        /// At least 2.
        minutes: i64,
        /// What the caller calls the challenge or the device.
        display_name: Option<&'a str>,
        /// When it was asked for.
        time: Timestamp,
    },
    /// A push to the authenticator app.
    Push {
        /// What the caller calls the challenge.
        display_name: Option<&'a str>,
        /// When it was asked for.
        time: Timestamp,
    },
    /// What has happened to the user's factors.
    Notice(Notice<'a>, Timestamp),
}

/// What has happened to a user's factors, for them to object.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// A device was added.
    DeviceAdded {
        /// Its name, as the caller gave it.
        device: &'a str,
        /// The factor's name.
        factor: &'a str,
    },
    /// A device was removed, or another took its place.
    DeviceRemoved {
        /// Its name, as the caller gave it.
        device: &'a str,
        /// The factor's name.
        factor: &'a str,
    },
    /// A temporary token was issued.
    TemporaryTokenIssued {
        /// When it becomes void.
        expires: Timestamp,
    },
    /// A recovery code was used.
    RecoveryCodeUsed {
        /// How many are left.
        left: usize,
    },
    /// A recovery code was used, and few are left.
    RecoveryCodesLow {
        /// How many are left.
        left: usize,
    },
}

impl Content<'_> {
    /// The kind of message that says it.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Code { .. } => Kind::Code,
            Self::Link { .. } => Kind::Link,
            Self::Push { .. } => Kind::Push,
            Self::Notice(notice, _) => match notice {
                Notice::DeviceAdded { .. } => Kind::DeviceAdded,
                Notice::DeviceRemoved { .. } => Kind::DeviceRemoved,
                Notice::TemporaryTokenIssued { .. } => Kind::TemporaryTokenIssued,
                Notice::RecoveryCodeUsed { .. } => Kind::RecoveryCodeUsed,
                Notice::RecoveryCodesLow { .. } => Kind::RecoveryCodesLow,
            },
        }
    }

    /// The variables of its templates.
    pub(super) fn values(&self, service: &str, help: Option<&str>) -> Value {
        let name = |name: Option<&str>| name.map(shown).filter(|name| !name.is_empty());
        match *self {
            Self::Code { code, minutes } => context! { service, code, minutes },
            Self::Link {
                link,
                minutes,
                display_name,
                time,
            } => context! {
                service, link, minutes, display_name => name(display_name), time => moment(time)
            },
            Self::Push { display_name, time } => context! {
                service, display_name => name(display_name), time => moment(time)
            },
            Self::Notice(notice, time) => {
                let time = moment(time);
                match notice {
                    Notice::DeviceAdded { device, factor }
                    | Notice::DeviceRemoved { device, factor } => {
                        context! { service, help, time, device => shown(device), factor }
                    }
                    Notice::TemporaryTokenIssued { expires } => {
                        context! { service, help, time, expires => moment(expires) }
                    }
                    Notice::RecoveryCodeUsed { left } | Notice::RecoveryCodesLow { left } => {
                        context! { service, help, time, left }
                    }
                }
            }
        }
    }
}

/// The variables of what a voice says.
pub(super) fn of_call(service: &str) -> Value {
    context! { service }
}

/// A text that somebody else chose, as it may stand in a message: one line, without marks that show as nothing, and at
/// most 64 characters.
fn shown(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                ' '
            } else {
                c
            }
        })
        .collect();
    let plain = plain.trim();
    match plain.char_indices().nth(LONGEST) {
        None => plain.to_owned(),
        Some(_) => plain
            .chars()
            .take(LONGEST - 3)
            .chain("...".chars())
            .collect(),
    }
}

/// Marks that turn the direction of the text around them, or show as nothing (UAX #9 §2, and zero-width characters).
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A moment to the minute, in UTC: `2026-01-31 12:00 UTC`.
fn moment(at: Timestamp) -> String {
    match jiff::Timestamp::from_second(at.seconds()) {
        Ok(moment) => moment.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => at.to_string(),
    }
}

/// Characters of a name that somebody else chose.
const LONGEST: usize = 64;
