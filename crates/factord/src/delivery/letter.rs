//! An e-mail as it goes over the wire. Every header is written by the library from parsed parts, so that no address and
//! no subject can bring one of its own.

use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};

use crate::clock::Timestamp;

/// The parts of an e-mail.
pub(super) struct Letter<'a> {
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a Address,
    pub(super) subject: &'a str,
    pub(super) text: &'a str,
    pub(super) html: Option<&'a str>,
    /// What its Message-ID is made of: the same at every attempt.
    pub(super) id: &'a str,
    /// When it was written.
    pub(super) at: Timestamp,
}

impl Letter<'_> {
    /// The e-mail: ASCII, but for the address where that is not.
    pub(super) fn compose(&self) -> Result<Vec<u8>, lettre::error::Error> {
        let seconds = u64::try_from(self.at.seconds()).unwrap_or_default();
        let builder = Message::builder()
            .message_id(Some(format!("<{}@{}>", self.id, self.from.email.domain())))
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .from(self.from.clone())
            .to(Mailbox::new(None, self.to.clone()))
            .subject(one_line(self.subject))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"));
        let text = self.text.to_owned();
        let message = match self.html {
            Some(html) => {
                builder.multipart(MultiPart::alternative_plain_html(text, html.to_owned()))
            }
            None => builder.singlepart(
                SinglePart::builder()
                    .header(ContentType::TEXT_PLAIN)
                    .body(text),
            ),
        };
        Ok(message?.formatted())
    }
}

/// The address that a text is, if it is one and nothing more: no name, no list, no white space.
pub(super) fn address(text: &str) -> Option<Address> {
    let plain = text.len() <= LONGEST_ADDRESS
        && !text.contains(|c: char| c.is_control() || c.is_whitespace() || "\"<>,;".contains(c));
    text.parse().ok().filter(|_| plain)
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// RFC 5321 §4.5.3.1.3: a path of 256 bytes with its angle brackets.
const LONGEST_ADDRESS: usize = 254;

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(change: impl FnOnce(&mut Letter<'_>)) -> String {
        let (from, to) = (
            "Größe & Co <codes@example.com>".parse().unwrap(),
            "ada@example.org".parse().unwrap(),
        );
        let mut letter = Letter {
            from: &from,
            to: &to,
            subject: "Your code",
            text: "Your code is 123456.",
            html: None,
            id: "0123abc",
            at: Timestamp::from_seconds(1_595_364_404),
        };
        change(&mut letter);
        String::from_utf8(letter.compose().unwrap()).unwrap()
    }

    #[test]
    fn a_letter_says_when_it_was_written_who_wrote_it_and_that_no_person_did() {
        let text = composed(|_| {});
        for line in [
            "Message-ID: <0123abc@example.com>\r\n",
            "Date: Tue, 21 Jul 2020 20:46:44 +0000\r\n",
            "To: ada@example.org\r\n",
            "Subject: Your code\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "\r\n\r\nYour code is 123456.",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(text.is_ascii());
    }

    #[test]
    fn letters_beyond_ascii_are_encoded() {
        let text = composed(|letter| {
            letter.subject = "コード";
            letter.text = "Ihr Schlüssel: 123456";
        });
        assert!(text.is_ascii());
        assert!(text.contains("Subject: =?utf-8?b?"), "{text}");
        assert!(text.contains("Content-Transfer-Encoding: quoted-printable\r\n"));
    }

    #[test]
    fn a_subject_cannot_bring_a_header_of_its_own() {
        for subject in [
            "Hi\r\nBcc: eve@example.net",
            "Hi\nBcc: x",
            "Hi\rBcc: x",
            "Hi\u{85}Bcc: x",
        ] {
            let text = composed(|letter| letter.subject = subject);
            let headers = text.split("\r\n\r\n").next().unwrap();
            assert!(!headers.contains("\r\nBcc"), "{text}");
            assert!(
                !headers.replace("\r\n", "").contains(['\r', '\n']),
                "{text}"
            );
        }
    }

    #[test]
    fn html_comes_as_an_alternative_to_the_text() {
        let text = composed(|letter| letter.html = Some("<p>123456</p>"));
        assert!(text.contains("Content-Type: multipart/alternative;"));
        assert!(text.find("text/plain").unwrap() < text.find("text/html").unwrap());
    }

    #[test]
    fn an_address_is_one_address_and_nothing_more() {
        assert!(address("ada+mfa@example.com").is_some());
        assert!(address("ada@bücher.example").is_some());
        for text in [
            "",
            "ada",
            "ada@",
            "ada@example.com\r\nRCPT TO:<eve@example.net>",
            "ada@example.com\n",
            " ada@example.com",
            "ada@example.com, eve@example.net",
            "Ada <ada@example.com>",
            "<ada@example.com>",
            "\"ada\u{0}\"@example.com",
            "\"a b\"@example.com",
            "ada@exa mple.com",
        ] {
            assert_eq!(address(text), None, "{text:?}");
        }
        assert_eq!(address(&format!("{}@example.com", "a".repeat(300))), None);
    }
}
