//! The one-time passwords of a YubiKey, as Yubico has specified them: twelve letters of modhex that name the key, and an
//! AES block of counters. Pure arithmetic; what was used already is the caller's to know.

use std::fmt;
use std::str::FromStr;

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, KeyInit};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What the key was given when it was programmed: 16 bytes of AES-128 and the 6 of the private id.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// From a private id and an AES key.
    pub fn of(private_id: [u8; 6], key: [u8; 16]) -> Self {
        let mut bytes = [0; SECRET_BYTES];
        bytes[..KEY_BYTES].copy_from_slice(&key);
        bytes[KEY_BYTES..].copy_from_slice(&private_id);
        Self(bytes)
    }

    /// From what [`Secret::as_bytes`] gave; `None` if it is not of that length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The key, then the private id, to be sealed.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The six bytes by which a key names itself in each of its passwords; no secret. Reads and prints as modhex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicId([u8; 6]);

/// A text is not twelve letters of modhex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not twelve letters of modhex (cbdefghijklnrtuv)")]
pub struct NotAPublicId;

impl FromStr for PublicId {
    type Err = NotAPublicId;

    fn from_str(text: &str) -> Result<Self, NotAPublicId> {
        from_modhex(text).map(Self).ok_or(NotAPublicId)
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_modhex(&self.0))
    }
}

impl From<PublicId> for String {
    fn from(id: PublicId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for PublicId {
    type Error = NotAPublicId;

    fn try_from(text: String) -> Result<Self, NotAPublicId> {
        text.parse()
    }
}

/// A one-time password, as one press types it; whether it is right is not known yet.
#[derive(Clone, Copy)]
pub struct Otp {
    /// The key that it says it is of.
    pub id: PublicId,
    block: [u8; BLOCK_BYTES],
}

impl Otp {
    /// Reads 44 letters of modhex, whatever their case: a key types in capitals while the caps lock is on.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, block) = text.split_at_checked(ID_LETTERS)?;
        Some(Self {
            id: id.parse().ok()?,
            block: from_modhex(block)?,
        })
    }

    /// The counters, if `secret` is that of the key that made it: the checksum is right, and the private id is the
    /// key's, compared in constant time.
    pub fn open(&self, secret: &Secret) -> Option<Counter> {
        let (key, private_id) = secret.0.split_at(KEY_BYTES);
        let cipher = Aes128::new_from_slice(key).ok()?;
        let mut block = Array::from(self.block);
        cipher.decrypt_block(&mut block);
        let plain = Zeroizing::new(<[u8; BLOCK_BYTES]>::from(block));
        let right =
            (checksum(plain.as_ref()) == RESIDUE) & bool::from(plain[..6].ct_eq(private_id));
        right.then(|| Counter {
            session: u16::from_le_bytes([plain[6], plain[7]]) & SESSION_BITS,
            uses: plain[11],
        })
    }

    /// The letters of it, small.
    pub fn to_text(self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", self.id, to_modhex(&self.block)))
    }
}

impl fmt::Debug for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Otp({}…)", self.id)
    }
}

/// How often the key was plugged in, and how often it was pressed since: of two passwords of one key the later has the
/// greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Counter {
    /// Times that the key was plugged in and used; 15 bits.
    pub session: u16,
    /// Presses since.
    pub uses: u8,
}

/// CRC-16 of ISO 13239 (polynomial 0x8408, all ones at the start), over a block together with its own checksum.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x8408 } else { 0 }
        })
    })
}

/// Bytes of modhex, exactly as many as are wanted.
fn from_modhex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digit = |letter: u8| {
        let letter = letter.to_ascii_lowercase();
        let place = MODHEX.iter().position(|known| *known == letter)?;
        u8::try_from(place).ok()
    };
    let letters = text.as_bytes();
    if letters.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(letters.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn to_modhex(bytes: &[u8]) -> String {
    let letter = |digit: u8| char::from(MODHEX[usize::from(digit)]);
    bytes
        .iter()
        .flat_map(|byte| [letter(byte >> 4), letter(byte & 0x0f)])
        .collect()
}

/// Hexadecimal by letters that stand at the same places on most keyboards.
const MODHEX: &[u8; 16] = b"cbdefghijklnrtuv";
/// Letters of a public id: six bytes, as keys leave the factory.
const ID_LETTERS: usize = 12;
const BLOCK_BYTES: usize = 16;
const KEY_BYTES: usize = 16;
const SECRET_BYTES: usize = KEY_BYTES + 6;
/// What the checksum of a whole block is, if nothing of it was changed.
const RESIDUE: u16 = 0xf0b8;
/// The sixteenth bit says that the caps lock was on.
const SESSION_BITS: u16 = 0x7fff;

#[cfg(test)]
pub(crate) mod tests {
    use aes::cipher::BlockCipherEncrypt;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    /// What a key types at one press.
    pub fn press(id: PublicId, secret: &Secret, counter: Counter, noise: [u8; 5]) -> String {
        let mut plain = [0; BLOCK_BYTES];
        plain[..6].copy_from_slice(&secret.0[KEY_BYTES..]);
        plain[6..8].copy_from_slice(&counter.session.to_le_bytes());
        plain[8..11].copy_from_slice(&noise[..3]);
        plain[11] = counter.uses;
        plain[12..14].copy_from_slice(&noise[3..]);
        let crc = !checksum(&plain[..14]);
        plain[14..].copy_from_slice(&crc.to_le_bytes());
        let mut block = Array::from(plain);
        let cipher = Aes128::new_from_slice(&secret.0[..KEY_BYTES]).unwrap();
        cipher.encrypt_block(&mut block);
        format!("{id}{}", to_modhex(&block))
    }

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
    }

    /// The vectors of Yubico's own library, yubico-c: `test-vectors.txt` and `tests/selftest.c`. They have no public id,
    /// or one of four bytes, so that ours is put in front.
    #[test]
    fn the_vectors_of_yubicos_library() {
        let vectors = [
            (
                "ecde18dbe76fbd0c33330f1c354871db",
                "8792ebfe26cc",
                "hknhfjbrjnlnldnhcujvddbikngjrtgh",
                0x13,
                0x11,
            ),
            (
                "000102030405060708090a0b0c0d0e0f",
                "010203040506",
                "dvgtiblfkbgturecfllberrvkinnctnn",
                1,
                1,
            ),
            (
                "000102030405060708090a0b0c0d0e0f",
                "010203040506",
                "rnibcnfhdninbrdebccrndfhjgnhftee",
                1,
                2,
            ),
            (
                "000102030405060708090a0b0c0d0e0f",
                "010203040506",
                "iikkijbdknrrdhfdrjltvgrbkkjblcbh",
                0xfff,
                1,
            ),
            (
                "c4422890653076cde73d449b191b416a",
                "33c69e7f249e",
                "iucvrkjiegbhidrcicvlgrcgkgurhjnj",
                1,
                0,
            ),
        ];
        for (key, private_id, block, session, uses) in vectors {
            let otp = Otp::parse(&format!("cccccccccccb{block}")).unwrap();
            let secret = Secret::of(bytes(private_id), bytes(key));
            assert_eq!(
                otp.open(&secret),
                Some(Counter { session, uses }),
                "{block}"
            );
            assert_eq!(*otp.to_text(), format!("cccccccccccb{block}"));
            assert_eq!(otp.open(&Secret::of([0; 6], bytes(key))), None);
            assert_eq!(otp.open(&Secret::of(bytes(private_id), [0; 16])), None);
        }
        let modhex = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh";
        assert_eq!(
            from_modhex(modhex),
            Some(bytes::<20>("2d344e8369b6481c8baba2b60e8f22179b58cd56"))
        );
    }

    #[test]
    fn a_password_is_44_letters_of_modhex_in_any_case_and_nothing_else() {
        let right = "cccccccccccbdvgtiblfkbgturecfllberrvkinnctnn";
        assert!(Otp::parse(right).is_some());
        assert_eq!(*Otp::parse(&right.to_uppercase()).unwrap().to_text(), right);
        for wrong in [
            "",
            &right[1..],
            &format!("{right}c"),
            &format!("{right}\n"),
            &right.replace('b', "a"),
            // The same press where the keyboard is set to Dvorak.
            "jjjjjjjjjjjxekiycxnutxiygp.junnx.ppktcbbjybb",
            "ccccccccccc\u{e9}dvgtiblfkbgturecfllberrvkinnctnn",
            "01234567890123456789012345678901234567890123",
        ] {
            assert!(Otp::parse(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn the_later_of_two_passwords_has_the_greater_counter() {
        let counter = |session, uses| Counter { session, uses };
        assert!(counter(2, 0) > counter(1, 255));
        assert!(counter(1, 5) > counter(1, 4));
        assert!(counter(0x7fff, 0) > counter(0x7ffe, 1));
    }

    proptest! {
        #[test]
        fn what_a_key_types_opens_with_its_own_secret_and_no_changed_letter_does(
            id: [u8; 6], private_id: [u8; 6], key: [u8; 16], session: u16, uses: u8, noise: [u8; 5],
            at in ID_LETTERS..44_usize, by in 1..16_usize,
        ) {
            let (id, secret) = (PublicId(id), Secret::of(private_id, key));
            let text = press(id, &secret, Counter { session, uses }, noise);
            let otp = Otp::parse(&text).unwrap();
            // The caps lock's bit is no part of the counter.
            prop_assert_eq!(otp.open(&secret), Some(Counter { session: session & 0x7fff, uses }));
            prop_assert_eq!((otp.id, id.to_string().parse()), (id, Ok(id)));

            let mut changed = text.into_bytes();
            let place = MODHEX.iter().position(|letter| *letter == changed[at]).unwrap();
            changed[at] = MODHEX[(place + by) % 16];
            let changed = Otp::parse(std::str::from_utf8(&changed).unwrap()).unwrap();
            prop_assert_eq!(changed.open(&secret), None);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            if let Some(otp) = Otp::parse(&text) {
                prop_assert_eq!(&*otp.to_text(), &text.to_ascii_lowercase());
            }
        }
    }
}
