//! A code as a person typed it and a client sent it (contract, verify_user_registration).

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A submitted code. A JSON number has lost its leading zeros on the way, so it is padded to the length that it is
/// compared at; a string counts as it is.
#[derive(Clone)]
pub enum Code {
    /// Sent as a JSON number.
    Number(u64),
    /// Sent as a JSON string.
    Text(Zeroizing<String>),
}

impl Code {
    /// A code that was sent as a string.
    pub fn text(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.to_owned()))
    }

    /// The code as it reads where codes have `digits` digits.
    pub fn at_length(&self, digits: usize) -> Zeroizing<String> {
        match self {
            Self::Number(number) => Zeroizing::new(format!("{number:0digits$}")),
            Self::Text(text) => text.clone(),
        }
    }

    /// Whether the code is longer than any that is typed digit by digit.
    pub fn is_long(&self) -> bool {
        matches!(self, Self::Text(text) if text.len() > MOST_DIGITS)
    }

    /// A long code however a person types it: its letters and digits alone, in capitals.
    pub fn normal(&self) -> Zeroizing<String> {
        let text = self.at_length(0);
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        Zeroizing::new(letters.map(|letter| letter.to_ascii_uppercase()).collect())
    }

    /// Whether the code could be one of `digits` decimal digits.
    pub fn fits(&self, digits: usize) -> bool {
        let text = self.at_length(digits);
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Whether the code is `expected`, in constant time for codes of the same length.
    pub fn is(&self, expected: &str) -> bool {
        self.at_length(expected.len())
            .as_bytes()
            .ct_eq(expected.as_bytes())
            .into()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

/// The longest code of digits: a temporary token.
const MOST_DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_regains_its_leading_zeros_and_a_string_does_not() {
        assert!(Code::Number(12_345).is("012345"));
        assert!(Code::Number(12_345).is("00012345"));
        assert!(!Code::text("12345").is("012345"));
        assert!(Code::text("012345").is("012345"));
    }

    #[test]
    fn a_code_is_long_if_it_is_longer_than_a_temporary_token() {
        assert!(Code::text("123456789").is_long());
        assert!(!Code::text("12345678").is_long());
        assert!(!Code::Number(u64::MAX).is_long());
    }

    #[test]
    fn full_width_digits_blanks_and_other_lengths_do_not_fit() {
        assert!(Code::text("123456").fits(6));
        for wrong in [
            "12345",
            "1234567",
            " 123456",
            "123456 ",
            "１２３４５６",
            "12345a",
            "",
        ] {
            assert!(!Code::text(wrong).fits(6), "{wrong:?}");
        }
        assert!(Code::Number(0).fits(6));
        assert!(!Code::Number(1_234_567).fits(6));
        assert!(!Code::Number(u64::MAX).fits(8));
    }
}
