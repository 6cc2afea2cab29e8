//! The one-time code of a hosted page (contract, Hosted pages): it goes through the browser to the caller, so that a login
//! is finished where it began, whoever answered on the page.

use data_encoding::BASE64URL_NOPAD;
use secrecy::SecretString;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Core;
use super::code::Code;
use super::decision::Draft;
use super::ids::UserId;
use super::user::{PageOtp, Verification};
use crate::crypto::keys::KeyedHash;

/// Draws a code for the verification, 128 bits that live for a minute; the one before is void.
pub(super) fn issue(draft: &mut Draft<'_>, id: Uuid) -> SecretString {
    let mut bytes = Zeroizing::new([0; 16]);
    draft.rng.fill_bytes(bytes.as_mut());
    let otp = Zeroizing::new(BASE64URL_NOPAD.encode(bytes.as_ref()));
    let issued = PageOtp {
        code: hash(draft.core, draft.user.id, id, &otp),
        expires_at: draft.now.plus(SECONDS),
    };
    let pending = draft.user.mfa.verifications.iter_mut();
    for verification in pending.filter(|pending| pending.id == id) {
        verification.page_otp = Some(issued);
    }
    SecretString::from(otp.as_str())
}

/// Whether `code` is what the page of this verification gave last, in time.
pub(super) fn accepts(draft: &Draft<'_>, verification: &Verification, code: &Code) -> bool {
    let Code::Text(text) = code else { return false };
    verification.page_otp.is_some_and(|issued| {
        draft.now < issued.expires_at
            && issued.code == hash(draft.core, draft.user.id, verification.id, text)
    })
}

fn hash(core: &Core, user: UserId, id: Uuid, otp: &str) -> KeyedHash {
    core.keys
        .code_hash(&[b"page", &user.get().to_be_bytes(), id.as_bytes()], otp)
}

/// How long a page's code lives (contract, Hosted pages).
const SECONDS: i64 = 60;
