//! The master key that the operator keeps, and the working keys derived from it, one for each purpose.

use std::fmt;
use std::sync::Arc;

use aes_gcm::Aes256Gcm;
use data_encoding::{BASE64, BASE64_NOPAD};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::web_push::WebPushKey;

/// 256 random bits, from which every other key is derived. Whoever holds it can open what is sealed in the
/// database; without it nothing that is sealed can be read again.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Draws a new key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Reads a key as [`MasterKey::to_text`] writes it: base64 of 32 bytes, padded or not, blanks around it ignored.
    ///
    /// # Errors
    /// [`NotAKey`] if it is anything else.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim().trim_end_matches('=');
        let bytes = Zeroizing::new(BASE64_NOPAD.decode(text.as_bytes()).map_err(|_| NotAKey)?);
        <[u8; 32]>::try_from(bytes.as_slice())
            .map(Self)
            .map_err(|_| NotAKey)
    }

    /// The key as one line of base64, for a key file.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(&self.0))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// A text is not the base64 form of 32 bytes.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a sealing key: expected the base64 form of 32 bytes, as `factord key generate` writes it"
)]
pub struct NotAKey;

/// The working keys, their schedules computed once.
#[derive(Clone)]
pub struct Keys {
    pub(super) sealing: Aes256Gcm,
    pub(super) id: [u8; 4],
    codes: Hmac<Sha256>,
    destinations: Hmac<Sha256>,
    streams: Hmac<Sha256>,
    rows: Hmac<Sha256>,
    web_push: Arc<WebPushKey>,
}

impl Keys {
    /// Derives the working keys (HKDF-SHA-256, RFC 5869, one `info` for each purpose).
    #[expect(
        clippy::expect_used,
        reason = "the lengths are fixed in the lines above"
    )]
    pub fn derive(master: &MasterKey) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, &master.0);
        let mut key = Zeroizing::new([0; 32]);
        let mut derive = |info: &[u8]| {
            hkdf.expand(info, key.as_mut())
                .expect("32 bytes are a valid length for HKDF-SHA-256");
            key.clone()
        };
        let mac = |key: &[u8; 32]| {
            <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any length will do")
        };
        let id = derive(b"factord key id");
        let web_push = (0..=u8::MAX)
            .find_map(|attempt| {
                WebPushKey::from_bytes(&derive(&[b"factord web push ", &[attempt][..]].concat()))
            })
            .expect("of 256 draws one is a key");
        Self {
            sealing: Aes256Gcm::new_from_slice(derive(b"factord sealing").as_ref())
                .expect("32 bytes are a key"),
            id: [id[0], id[1], id[2], id[3]],
            codes: mac(&derive(b"factord codes")),
            destinations: mac(&derive(b"factord destinations")),
            streams: mac(&derive(b"factord transfer streams")),
            rows: mac(&derive(b"factord transfer rows")),
            web_push: Arc::new(web_push),
        }
    }

    /// The keyed hash under which a short code is kept: HMAC-SHA-256, cut to 128 bits, over `context` (which says
    /// whose code it is, for what) and the code.
    pub fn code_hash(&self, context: &[&[u8]], code: &str) -> KeyedHash {
        keyed_hash(&self.codes, context, code)
    }

    /// The key that requests to push services are signed with.
    pub const fn web_push(&self) -> &Arc<WebPushKey> {
        &self.web_push
    }

    /// Four bytes by which the master key is told from others; they say nothing else of it.
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The cipher of one stream that a database is moved by; `header` must be unique to it.
    pub fn stream_cipher(&self, header: &[u8]) -> Aes256Gcm {
        let mut mac = self.streams.clone();
        mac.update(header);
        let mut key = mac.finalize().into_bytes();
        let cipher = Aes256Gcm::new(&key);
        key.zeroize();
        cipher
    }

    /// What hashes the rows of a database that is moved.
    pub fn transfer_mac(&self) -> Hmac<Sha256> {
        self.rows.clone()
    }

    /// The keyed hash under which messages to one address or number are counted.
    pub fn destination_hash(&self, address: &str) -> KeyedHash {
        keyed_hash(&self.destinations, &[], address)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// Every part is preceded by its length, so that no two different inputs read the same.
fn keyed_hash(key: &Hmac<Sha256>, context: &[&[u8]], text: &str) -> KeyedHash {
    let mut mac = key.clone();
    for part in context.iter().copied().chain([text.as_bytes()]) {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    let digest = mac.finalize().into_bytes();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    KeyedHash(hash)
}

/// 128 bits of HMAC-SHA-256. Compared in constant time.
#[derive(Clone, Copy)]
pub struct KeyedHash([u8; 16]);

impl KeyedHash {
    /// The hash as bytes, for a database key.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl PartialEq for KeyedHash {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyedHash {}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHash(…)")
    }
}

impl serde::Serialize for KeyedHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 22];
        BASE64_NOPAD.encode_mut(&self.0, &mut text);
        serializer.collect_str(&String::from_utf8_lossy(&text))
    }
}

impl<'de> serde::Deserialize<'de> for KeyedHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = BASE64_NOPAD
            .decode(text.as_bytes())
            .map_err(serde::de::Error::custom)?;
        let bytes = bytes
            .try_into()
            .map_err(|_| serde::de::Error::custom("expected 16 bytes"))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn keys(seed: u64) -> Keys {
        Keys::derive(&MasterKey::generate(&mut StdRng::seed_from_u64(seed)))
    }

    #[test]
    fn a_key_file_reads_back_with_or_without_padding_and_blanks() {
        let key = MasterKey::generate(&mut StdRng::seed_from_u64(1));
        let text = key.to_text();
        for text in [
            text.to_string(),
            format!("  {}\n", text.trim_end_matches('=')),
        ] {
            assert_eq!(MasterKey::parse(&text).unwrap().0, key.0);
        }
        for wrong in [
            "",
            "c2hvcnQ=",
            "not base64!",
            &format!("{}AAAA", text.trim_end_matches('=')),
        ] {
            assert!(MasterKey::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hash_depends_on_the_key_the_context_and_the_code_and_not_on_where_one_ends() {
        let a = keys(1);
        let hash = a.code_hash(&[b"ab", b"c"], "123456");
        assert_eq!(hash, a.code_hash(&[b"ab", b"c"], "123456"));
        assert_ne!(hash, a.code_hash(&[b"a", b"bc"], "123456"));
        assert_ne!(hash, a.code_hash(&[b"ab", b"c"], "123457"));
        assert_ne!(hash, keys(2).code_hash(&[b"ab", b"c"], "123456"));
        assert_ne!(a.code_hash(&[], "x"), a.destination_hash("x"));
    }

    #[test]
    fn a_hash_survives_json_and_does_not_print() {
        let hash = keys(1).code_hash(&[], "123456");
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<KeyedHash>(&json).unwrap(), hash);
        assert_eq!(format!("{hash:?}"), "KeyedHash(…)");
        assert!(serde_json::from_str::<KeyedHash>("\"AAAA\"").is_err());
    }
}
