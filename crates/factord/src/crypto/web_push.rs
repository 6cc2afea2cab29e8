//! Web Push: messages that only the app can read (RFC 8291), from a server that the push service can name (VAPID, RFC 8292).

use aes_gcm::aead::{AeadInOut, Nonce};
use aes_gcm::{Aes128Gcm, KeyInit};
use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::{PublicKey, SecretKey};
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// The key that this installation signs its requests to push services with: the same at every start and on every node.
pub struct WebPushKey(SigningKey);

impl WebPushKey {
    /// The key that `bytes` are, if they are one: but for one in 2^32 all are.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    /// The public key as an uncompressed point, in base64url: the `applicationServerKey` of a subscription.
    pub fn public_text(&self) -> String {
        let point = self.0.verifying_key().to_sec1_point(false);
        BASE64URL_NOPAD.encode(point.as_bytes())
    }

    /// The `Authorization` of a request at `now` to a push service of this origin; `contact` is where its operator can
    /// reach ours.
    pub fn authorization(&self, origin: &str, contact: &str, now: Timestamp) -> String {
        let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"ES256"}"#);
        let expires = now.plus(TOKEN_SECONDS).seconds();
        let claims = serde_json::json!({"aud": origin, "exp": expires, "sub": contact});
        let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
        let text = format!("{header}.{claims}");
        let signature: Signature = self.0.sign(text.as_bytes());
        let signature = BASE64URL_NOPAD.encode(&signature.to_bytes());
        format!("vapid t={text}.{signature}, k={}", self.public_text())
    }
}

/// A message for the app with this key and secret, in the form `aes128gcm` (RFC 8188), one record.
pub fn encrypt(
    rng: &mut dyn CryptoRng,
    app: &PublicKey,
    auth: &[u8; 16],
    text: &[u8],
) -> Option<Vec<u8>> {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let ours = loop {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        if let Ok(key) = SecretKey::from_slice(bytes.as_ref()) {
            break key;
        }
    };
    encrypt_with(&ours, salt, app, auth, text)
}

/// `None` if the text is too long for the one record that push services take.
fn encrypt_with(
    ours: &SecretKey,
    salt: [u8; 16],
    app: &PublicKey,
    auth: &[u8; 16],
    text: &[u8],
) -> Option<Vec<u8>> {
    if text.len() > MOST_TEXT {
        return None;
    }
    let public = ours.public_key().to_sec1_bytes();
    let shared = ours.diffie_hellman(app);
    let info = [b"WebPush: info\0", app.to_sec1_bytes().as_ref(), &public].concat();
    let secret = expand::<32>(auth, shared.raw_secret_bytes(), &info)?;
    let key = expand::<16>(&salt, secret.as_ref(), b"Content-Encoding: aes128gcm\0")?;
    let nonce = expand::<12>(&salt, secret.as_ref(), b"Content-Encoding: nonce\0")?;

    let mut message = salt.to_vec();
    message.extend_from_slice(&RECORD.to_be_bytes());
    message.push(u8::try_from(public.len()).ok()?);
    message.extend_from_slice(&public);
    let start = message.len();
    message.extend_from_slice(text);
    message.push(LAST_RECORD);
    let cipher = Aes128Gcm::new_from_slice(key.as_ref()).ok()?;
    let sealed = (&mut message[start..]).into();
    let tag = cipher.encrypt_inout_detached(&Nonce::<Aes128Gcm>::from(*nonce), &[], sealed);
    message.extend_from_slice(&tag.ok()?);
    Some(message)
}

fn expand<const N: usize>(salt: &[u8], secret: &[u8], info: &[u8]) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    let hkdf = Hkdf::<Sha256>::new(Some(salt), secret);
    hkdf.expand(info, bytes.as_mut()).ok()?;
    Some(bytes)
}

/// Bytes of a record (RFC 8291 section 4: at least the message and its tag; what push services take whole).
const RECORD: u32 = 4_096;
/// Bytes of text that fit beside the header, the delimiter and the tag.
const MOST_TEXT: usize = 3_993;
/// What ends the text of the last record (RFC 8188 section 2).
const LAST_RECORD: u8 = 2;
/// How long a token is good for (RFC 8292 section 2: at most a day).
const TOKEN_SECONDS: i64 = 3_600;

#[cfg(test)]
mod tests {
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_message_is_the_one_of_rfc_8291_section_5() {
        let ours = SecretKey::from_slice(&bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"));
        let app = PublicKey::from_sec1_bytes(&bytes(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        ));
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let auth = bytes("BTBZMqHH6r4Tts7J_aSIgg").try_into().unwrap();
        let text = b"When I grow up, I want to be a watermelon";
        let message = encrypt_with(&ours.unwrap(), salt, &app.unwrap(), &auth, text).unwrap();
        assert_eq!(
            BASE64URL_NOPAD.encode(&message),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_\
             yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
        assert_eq!(
            encrypt_with(
                &SecretKey::from_slice(&[1; 32]).unwrap(),
                salt,
                &app.unwrap(),
                &auth,
                &[0; 3_994]
            ),
            None
        );
    }

    #[test]
    fn an_authorization_is_a_token_that_the_public_key_has_signed() {
        let key = WebPushKey::from_bytes(&[7; 32]).unwrap();
        let now = Timestamp::from_seconds(1_700_000_000);
        let text = key.authorization("https://push.example", "mailto:ops@example.com", now);
        let (token, public) = text
            .strip_prefix("vapid t=")
            .unwrap()
            .split_once(", k=")
            .unwrap();
        assert_eq!(public, key.public_text());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let public = VerifyingKey::from_sec1_bytes(&bytes(public)).unwrap();
        let signature = Signature::from_slice(&bytes(signature)).unwrap();
        public.verify(signed.as_bytes(), &signature).unwrap();
        let claims = bytes(signed.split_once('.').unwrap().1);
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&claims).unwrap(),
            serde_json::json!({"aud": "https://push.example", "exp": 1_700_003_600, "sub": "mailto:ops@example.com"})
        );
        assert!(WebPushKey::from_bytes(&[255; 32]).is_none());
    }
}
