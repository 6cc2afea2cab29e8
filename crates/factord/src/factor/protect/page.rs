//! The page that shows the number of a challenge, where the caller can show none: to one browser, which is known by a
//! secret that it keeps in a cookie.

use secrecy::SecretString;
use uuid::Uuid;

use super::{Challenge, NUMBER, approved, open_text, place};
use crate::audit::Reason;
use crate::crypto::keys::KeyedHash;
use crate::factor::{Ceremony, Step};
use crate::mfa::Core;
use crate::mfa::data::{Data, Fault};
use crate::mfa::ids::UserId;
use crate::mfa::user::{Device, Verification};

/// How the hosted page of a challenge stands, for the browser that asks.
#[derive(Debug)]
pub enum PageState {
    /// No browser shows the number yet.
    Unopened,
    /// This browser shows it.
    Here {
        /// What the person types in the app.
        number: SecretString,
        /// Whether they have, and the page's code waits to be taken.
        approved: bool,
    },
    /// Another browser shows it.
    Elsewhere,
    /// The page's code has been taken.
    Done,
}

/// How the hosted page of `pending` stands for a browser with this secret.
///
/// # Errors
/// [`Fault`] if something stored cannot be used.
pub fn state(
    core: &Core,
    user: UserId,
    pending: &Verification,
    secret: Option<&str>,
) -> Result<PageState, Fault> {
    let Some(challenge) = pending.data.read::<Option<Challenge>>()? else {
        return Ok(PageState::Done);
    };
    let Some(shown_by) = challenge.browser else {
        return Ok(PageState::Unopened);
    };
    match (secret, challenge.number) {
        (Some(secret), Some(sealed)) if browser(core, user, pending.id, secret) == shown_by => {
            let number = open_text(core, place(NUMBER, user, pending.device), &sealed)?;
            Ok(PageState::Here {
                number: number.as_str().into(),
                approved: challenge.approved,
            })
        }
        _ => Ok(PageState::Elsewhere),
    }
}

/// The first browser whose person presses the button is the one that shows the number.
pub(super) fn open(
    ceremony: &Ceremony<'_>,
    pending: &Verification,
    secret: &str,
) -> Result<Step, Fault> {
    let challenge = pending.data.read::<Option<Challenge>>()?;
    Ok(match challenge {
        Some(challenge) if challenge.browser.is_none() => {
            let browser = browser(ceremony.core, ceremony.user, pending.id, secret);
            Step::Continue(Data::of(&Challenge {
                browser: Some(browser),
                ..challenge
            }))
        }
        _ => Step::Continue(pending.data.clone()),
    })
}

/// The browser that shows the number gets the page's code, once the app has approved.
pub(super) fn take(
    ceremony: &Ceremony<'_>,
    device: &Device,
    pending: &Verification,
    secret: &str,
) -> Result<Step, Fault> {
    let Some(challenge) = pending.data.read::<Option<Challenge>>()? else {
        return Ok(Step::Wrong(Reason::Used));
    };
    let browser = browser(ceremony.core, ceremony.user, pending.id, secret);
    Ok(
        if challenge.approved && challenge.browser == Some(browser) {
            Step::AcceptedOnPage(approved(device.data.read()?))
        } else {
            Step::Wrong(Reason::Wrong)
        },
    )
}

fn browser(core: &Core, user: UserId, id: Uuid, secret: &str) -> KeyedHash {
    let context: [&[u8]; 3] = [b"push page", &user.get().to_be_bytes(), id.as_bytes()];
    core.keys.code_hash(&context, secret)
}
