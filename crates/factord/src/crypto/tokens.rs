//! Secrets that machines carry: client secrets, bearer tokens, links. 256 random bits, kept as SHA-256 alone; a
//! password hash would add nothing, since nobody chose them.

use std::fmt;
use std::hash::{Hash, Hasher};

use data_encoding::HEXLOWER;
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Draws a token of 256 bits: 64 lower-case hexadecimal digits.
pub fn generate(rng: &mut dyn CryptoRng) -> SecretString {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    rng.fill_bytes(bytes.as_mut());
    SecretString::from(HEXLOWER.encode(bytes.as_ref()))
}

/// The SHA-256 of a token: what is stored, and what it is looked up by.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token as it was presented.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// The hash of a secret of ours.
    pub fn of_secret(token: &SecretString) -> Self {
        Self::of(token.expose_secret())
    }

    /// Takes a hash as it was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash as bytes, for a database key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_token_has_256_bits_and_is_found_by_its_hash_alone() {
        let token = generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(token.expose_secret().len(), 64);
        assert_eq!(
            TokenHash::of(token.expose_secret()),
            TokenHash::of_secret(&token)
        );
        assert_ne!(TokenHash::of("a"), TokenHash::of("b"));
        // FIPS 180-2, appendix B.1
        assert_eq!(
            HEXLOWER.encode(TokenHash::of("abc").as_bytes()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
