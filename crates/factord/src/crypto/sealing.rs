//! Sealing at rest: AES-256-GCM with a random nonce, the key's id in front, and the record's identity as associated
//! data, so that a sealed value copied to another record does not open.

use std::fmt;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, Nonce};
use data_encoding::BASE64_NOPAD;
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keys::Keys;

/// A sealed value in text form: base64 of key id (4 bytes), nonce (12), ciphertext and tag (16).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Takes a sealed value as it was stored; whether it opens is seen when it is opened.
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// What a sealed value is and whose: bound to the ciphertext, so that it opens only in its own place.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// What kind of secret this is, for example `"authenticator secret"`.
    pub purpose: &'static str,
    /// The user that the record belongs to; 0 where it belongs to none.
    pub user: u64,
    /// The record's own number within that user.
    pub record: u64,
}

impl Place {
    fn associated_data(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(self.purpose.len() + 17);
        data.extend_from_slice(self.purpose.as_bytes());
        data.push(0);
        data.extend_from_slice(&self.user.to_be_bytes());
        data.extend_from_slice(&self.record.to_be_bytes());
        data
    }
}

/// A sealed value does not open: another key sealed it, it was altered, or it stands in another record's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open: sealed by another key, altered, or moved")]
pub struct DoesNotOpen;

impl Keys {
    /// Seals `secret` for `place`.
    #[expect(
        clippy::expect_used,
        reason = "AES-GCM refuses only texts of 64 GiB and more"
    )]
    pub fn seal(&self, rng: &mut dyn CryptoRng, place: Place, secret: &[u8]) -> Sealed {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let mut bytes = Vec::with_capacity(PREFIX + secret.len() + TAG);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(secret);
        let tag = self
            .sealing
            .encrypt_inout_detached(
                &Nonce::<Aes256Gcm>::from(nonce),
                &place.associated_data(),
                (&mut bytes[PREFIX..]).into(),
            )
            .expect("a secret is shorter than 64 GiB");
        bytes.extend_from_slice(&tag);
        Sealed(BASE64_NOPAD.encode(&bytes))
    }

    /// Opens what [`Keys::seal`] sealed for the same `place`.
    ///
    /// # Errors
    /// [`DoesNotOpen`] if the key, the place or any bit differs.
    pub fn open(&self, place: Place, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let bytes = BASE64_NOPAD
            .decode(sealed.0.as_bytes())
            .map_err(|_| DoesNotOpen)?;
        let length = bytes.len().checked_sub(PREFIX + TAG).ok_or(DoesNotOpen)?;
        if bytes[..KEY_ID] != self.id {
            return Err(DoesNotOpen);
        }
        let nonce = <[u8; NONCE]>::try_from(&bytes[KEY_ID..PREFIX]).map_err(|_| DoesNotOpen)?;
        let tag = <[u8; TAG]>::try_from(&bytes[PREFIX + length..]).map_err(|_| DoesNotOpen)?;
        let mut secret = Zeroizing::new(bytes[PREFIX..PREFIX + length].to_vec());
        self.sealing
            .decrypt_inout_detached(
                &Nonce::<Aes256Gcm>::from(nonce),
                &place.associated_data(),
                secret.as_mut_slice().into(),
                &tag.into(),
            )
            .map_err(|_| DoesNotOpen)?;
        Ok(secret)
    }
}

const KEY_ID: usize = 4;
const NONCE: usize = 12;
const TAG: usize = 16;
const PREFIX: usize = KEY_ID + NONCE;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::super::keys::MasterKey;
    use super::*;

    const PLACE: Place = Place {
        purpose: "test",
        user: 7,
        record: 9,
    };

    fn keys(seed: u64) -> Keys {
        Keys::derive(&MasterKey::generate(&mut StdRng::seed_from_u64(seed)))
    }

    fn seal(secret: &[u8]) -> Sealed {
        keys(1).seal(&mut StdRng::seed_from_u64(2), PLACE, secret)
    }

    #[test]
    fn a_sealed_value_opens_only_in_its_own_place_and_under_its_own_key() {
        let sealed = seal(b"secret");
        assert_eq!(keys(1).open(PLACE, &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(keys(2).open(PLACE, &sealed), Err(DoesNotOpen));
        for place in [
            Place {
                purpose: "other",
                ..PLACE
            },
            Place { user: 8, ..PLACE },
            Place { record: 8, ..PLACE },
        ] {
            assert_eq!(keys(1).open(place, &sealed), Err(DoesNotOpen));
        }
    }

    #[test]
    fn the_same_secret_never_seals_to_the_same_text() {
        let (keys, mut rng) = (keys(1), StdRng::seed_from_u64(2));
        assert_ne!(
            keys.seal(&mut rng, PLACE, b"secret"),
            keys.seal(&mut rng, PLACE, b"secret")
        );
    }

    proptest! {
        #[test]
        fn every_secret_comes_back_and_no_altered_text_opens(
            secret in prop::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0..6,
        ) {
            let sealed = seal(&secret);
            let opened = keys(1).open(PLACE, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), secret.as_slice());
            let mut bytes = BASE64_NOPAD.decode(sealed.as_str().as_bytes()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert_eq!(keys(1).open(PLACE, &Sealed(BASE64_NOPAD.encode(&bytes))), Err(DoesNotOpen));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            prop_assert!(keys(1).open(PLACE, &Sealed(text)).is_err());
        }
    }
}
