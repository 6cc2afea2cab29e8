//! The key of an app: ECDSA over P-256 with SHA-256, as every phone's key store and every browser has it.

use data_encoding::{BASE64URL_NOPAD, Encoding};
use p256::PublicKey;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The public key of an app; a point of the curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppKey(VerifyingKey);

impl AppKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280) in base64 or base64url.
    pub fn from_spki(text: &str) -> Option<Self> {
        let der = bytes(text)?;
        let key = PublicKey::from_public_key_der(&der).ok()?;
        Some(Self(key.into()))
    }

    /// Takes the coordinates of a JWK (RFC 7518 section 6.2.1), each 32 bytes in base64url.
    pub fn from_coordinates(x: &str, y: &str) -> Option<Self> {
        let (x, y) = (bytes(x)?, bytes(y)?);
        if (x.len(), y.len()) != (32, 32) {
            return None;
        }
        let point = [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat();
        VerifyingKey::from_sec1_bytes(&point).ok().map(Self)
    }

    /// Whether `signature` (r and s, 64 bytes, in base64 or base64url) is this key's over `text`.
    pub fn has_signed(&self, text: &[u8], signature: &str) -> bool {
        let signature = bytes(signature).and_then(|bytes| Signature::from_slice(&bytes).ok());
        signature.is_some_and(|signature| self.0.verify(text, &signature).is_ok())
    }
}

impl Serialize for AppKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64URL_NOPAD.encode(&self.0.to_sec1_bytes()))
    }
}

impl<'de> Deserialize<'de> for AppKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = bytes(&text).and_then(|bytes| VerifyingKey::from_sec1_bytes(&bytes).ok());
        key.map(Self).ok_or_else(|| Error::custom("not a point"))
    }
}

/// Base64 of either alphabet, padded or not.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let encoding: &Encoding = if text.contains(['-', '_']) {
        &BASE64URL_NOPAD
    } else {
        &data_encoding::BASE64_NOPAD
    };
    encoding.decode(text.as_bytes()).ok()
}

/// What an uncompressed point begins with (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6979, appendix A.2.5: P-256 with SHA-256, message "sample".
    const X: &str = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6";
    const Y: &str = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";
    const R: &str = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716";
    const S: &str = "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXUPPER.decode(text.as_bytes()).unwrap()
    }

    fn url(text: &str) -> String {
        BASE64URL_NOPAD.encode(&hex(text))
    }

    #[test]
    fn a_signature_of_rfc_6979_is_right_and_no_other() {
        let key = AppKey::from_coordinates(&url(X), &url(Y)).unwrap();
        let signature = BASE64URL_NOPAD.encode(&[hex(R), hex(S)].concat());
        assert!(key.has_signed(b"sample", &signature));
        assert!(!key.has_signed(b"Sample", &signature));
        for wrong in ["", "AAAA", "!", &signature[2..]] {
            assert!(!key.has_signed(b"sample", wrong));
        }
    }

    #[test]
    fn a_key_is_read_in_both_forms_and_survives_json() {
        let head = "3059301306072A8648CE3D020106082A8648CE3D03010703420004";
        let spki = [hex(head), hex(X), hex(Y)].concat();
        let key = AppKey::from_spki(&data_encoding::BASE64.encode(&spki)).unwrap();
        assert_eq!(AppKey::from_coordinates(&url(X), &url(Y)).unwrap(), key);
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<AppKey>(&json).unwrap(), key);
        // A point that is not on the curve.
        assert_eq!(AppKey::from_coordinates(&url(X), &url(X)), None);
        assert_eq!(AppKey::from_spki(&BASE64URL_NOPAD.encode(&spki[1..])), None);
    }
}
