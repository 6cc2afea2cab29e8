//! What messages there are, of which parts each is made, and which variables their templates may use.

/// A kind of message: the name of its templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A code.
    Code,
    /// A link that is opened and confirmed.
    Link,
    /// What the voice asks for.
    CallPrompt,
    /// What the voice says of wrong digits.
    CallWrong,
    /// What the voice says of the right ones.
    CallSuccess,
    /// What the voice says when the code counts no more.
    CallExpired,
    /// What the voice says last.
    CallGoodbye,
    /// A push to the authenticator app.
    Push,
    /// A device was added.
    DeviceAdded,
    /// A device was removed.
    DeviceRemoved,
    /// A temporary token was issued.
    TemporaryTokenIssued,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// A recovery code was used, and few are left.
    RecoveryCodesLow,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Code,
        Self::Link,
        Self::CallPrompt,
        Self::CallWrong,
        Self::CallSuccess,
        Self::CallExpired,
        Self::CallGoodbye,
        Self::Push,
        Self::DeviceAdded,
        Self::DeviceRemoved,
        Self::TemporaryTokenIssued,
        Self::RecoveryCodeUsed,
        Self::RecoveryCodesLow,
    ];

    /// The name of its files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Link => "link",
            Self::CallPrompt => "call_prompt",
            Self::CallWrong => "call_wrong",
            Self::CallSuccess => "call_success",
            Self::CallExpired => "call_expired",
            Self::CallGoodbye => "call_goodbye",
            Self::Push => "push",
            Self::DeviceAdded => "device_added",
            Self::DeviceRemoved => "device_removed",
            Self::TemporaryTokenIssued => "temporary_token_issued",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::RecoveryCodesLow => "recovery_codes_low",
        }
    }

    /// The parts that it is made of.
    pub const fn parts(self) -> &'static [Part] {
        match self {
            Self::Link => &[Part::Subject, Part::Text, Part::Html],
            Self::CallPrompt
            | Self::CallWrong
            | Self::CallSuccess
            | Self::CallExpired
            | Self::CallGoodbye => &[Part::Text],
            Self::Push => &[Part::Subject, Part::Text],
            _ => &Part::ALL,
        }
    }

    /// The variables that a template of this part may use. What lets somebody in is not for a subject, which shows on
    /// a locked screen.
    pub const fn variables(self, part: Part) -> &'static [&'static str] {
        match (self, part) {
            (Self::Code, Part::Subject) => &["service", "minutes"],
            (Self::Code, _) => &["service", "minutes", "code"],
            (Self::Link, Part::Subject) => &["service", "minutes", "display_name", "time"],
            (Self::Link, _) => &["service", "minutes", "display_name", "time", "link"],
            (
                Self::CallPrompt
                | Self::CallWrong
                | Self::CallSuccess
                | Self::CallExpired
                | Self::CallGoodbye,
                _,
            ) => &["service"],
            (Self::Push, _) => &["service", "display_name", "time"],
            (Self::DeviceAdded | Self::DeviceRemoved, _) => {
                &["service", "device", "factor", "time", "help"]
            }
            (Self::TemporaryTokenIssued, _) => &["service", "time", "expires", "help"],
            (Self::RecoveryCodeUsed | Self::RecoveryCodesLow, _) => {
                &["service", "left", "time", "help"]
            }
        }
    }

    /// The variable without which the message would be of no use.
    pub const fn needs(self) -> Option<&'static str> {
        match self {
            Self::Code => Some("code"),
            Self::Link => Some("link"),
            _ => None,
        }
    }
}

/// A part of a message: the ending of its template's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The subject of an e-mail, or the title of a push.
    Subject,
    /// The text, without markup.
    Text,
    /// The text of an e-mail in HTML.
    Html,
    /// The text of an SMS.
    Sms,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Subject, Self::Text, Self::Html, Self::Sms];

    /// The ending of its files. Values are escaped for HTML in `html`, and stand as they are in the others.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Text => "txt",
            Self::Html => "html",
            Self::Sms => "sms",
        }
    }
}
