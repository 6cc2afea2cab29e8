//! The steps of a delivery by SMTP, and what the server's reply means at each.

use lettre::transport::smtp::Error;
use lettre::transport::smtp::response::Response;

use crate::delivery::provider::{Failure, Meaning};

/// The steps of a delivery, at each of which the server may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connect,
    StartTls,
    LogIn,
    Sender,
    Recipient,
    Begin,
    End,
}

impl Step {
    /// The one reply that lets the delivery go on. Any other that is not a refusal shows that replies and commands do not
    /// belong together any more: somebody may have slipped one in before TLS.
    pub(super) fn expect(self, reply: Result<Response, Error>) -> Result<(), Failure> {
        let reply = reply.map_err(|error| self.failed(&error))?;
        let code = u16::from(reply.code());
        let expected = match self {
            Self::LogIn => code == 235,
            Self::Recipient => code == 250 || code == 251,
            Self::Begin => code == 354,
            Self::Connect | Self::StartTls | Self::Sender | Self::End => code == 250,
        };
        if expected {
            return Ok(());
        }
        Err(Failure::new(Meaning::Unavailable, "an unexpected reply").with_code(code))
    }

    pub(super) fn failed(self, error: &Error) -> Failure {
        if let Some(code) = error.status() {
            return self.refused(code.into());
        }
        // What the server wrote may hold the address.
        if error.is_response() || error.is_client() {
            return Failure::new(Meaning::Unavailable, self.misunderstood());
        }
        Failure::new(Meaning::Unavailable, error.to_string())
    }

    /// What a 4xx or 5xx means: only at the recipient and the text is it about this message, and there too not if
    /// the server would have us log in first, or is about to end.
    fn refused(self, code: u16) -> Failure {
        let about_the_message = matches!(self, Self::Recipient | Self::Begin | Self::End)
            && !ABOUT_THE_CLIENT.contains(&code);
        let meaning = match (about_the_message, code >= 500) {
            (true, true) => Meaning::Refused,
            (true, false) => Meaning::Deferred,
            (false, _) => Meaning::Unavailable,
        };
        Failure::new(meaning, self.unwanted()).with_code(code)
    }

    const fn unwanted(self) -> &'static str {
        match self {
            Self::Connect => "the server takes no connection",
            Self::StartTls => "the server takes no STARTTLS",
            Self::LogIn => "the server takes neither the user name nor the password",
            Self::Sender => "the server takes nothing from delivery.smtp.from",
            Self::Recipient => "the recipient was not taken",
            Self::Begin | Self::End => "the text was not taken",
        }
    }

    const fn misunderstood(self) -> &'static str {
        match self {
            Self::StartTls => "the server offers no STARTTLS, or does not speak SMTP",
            Self::LogIn => "the server offers neither AUTH PLAIN nor AUTH LOGIN",
            _ => "the server ended the connection, or does not speak SMTP",
        }
    }
}

/// Service closing; authentication required, too weak, wrong, or not without encryption.
const ABOUT_THE_CLIENT: [u16; 5] = [421, 530, 534, 535, 538];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_for_good_only_where_it_is_about_the_message() {
        for (step, code, meaning) in [
            (Step::Recipient, 550, Meaning::Refused),
            (Step::Recipient, 553, Meaning::Refused),
            (Step::End, 554, Meaning::Refused),
            (Step::Recipient, 450, Meaning::Deferred),
            (Step::End, 452, Meaning::Deferred),
            (Step::Recipient, 421, Meaning::Unavailable),
            (Step::Recipient, 530, Meaning::Unavailable),
            (Step::Sender, 550, Meaning::Unavailable),
            (Step::Sender, 530, Meaning::Unavailable),
            (Step::LogIn, 535, Meaning::Unavailable),
            (Step::LogIn, 454, Meaning::Unavailable),
            (Step::Connect, 554, Meaning::Unavailable),
        ] {
            assert_eq!(step.refused(code).meaning, meaning, "{step:?} {code}");
        }
    }

    #[test]
    fn a_reply_that_belongs_to_another_command_ends_the_delivery() {
        for (step, reply) in [
            (Step::LogIn, "250 8BITMIME\r\n"),
            (Step::Begin, "250 OK\r\n"),
            (Step::Sender, "235 OK\r\n"),
            (Step::End, "354 go on\r\n"),
        ] {
            let failure = step.expect(Ok(reply.parse().unwrap())).unwrap_err();
            assert_eq!(failure.meaning, Meaning::Unavailable, "{step:?}");
        }
        assert_eq!(
            Step::Begin.expect(Ok("354 go on\r\n".parse().unwrap())),
            Ok(())
        );
    }
}
