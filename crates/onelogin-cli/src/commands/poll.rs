//! `onelogin poll`: how a verification or a registration stands, now or at its end.

use std::time::Duration;

use onelogin::models::{Registration, Status, Verification};

use super::Session;
use crate::{
    arguments::Poll,
    exit::{Exit, Outcome},
    output::or_empty,
    terminal::spin,
};

pub(crate) async fn run(session: &Session, arguments: Poll) -> Outcome<Exit> {
    let (mfa, user_id) = (session.mfa(), session.user_id(&arguments.user).await?);
    let wait = Duration::from_secs(arguments.waiting.timeout);
    match (arguments.registration, arguments.waiting.watch) {
        (false, false) => show_verification(
            session,
            &mfa.get_user_verification(user_id, arguments.id).await?,
        ),
        (false, true) => {
            let waiting = mfa.wait_for_verification(user_id, arguments.id, wait);
            show_verification(session, &spin("waiting for the user", waiting).await?)
        }
        (true, false) => show_registration(
            session,
            &mfa.get_user_registration(user_id, arguments.id).await?,
        ),
        (true, true) => {
            let waiting = mfa.wait_for_registration(user_id, arguments.id, wait);
            show_registration(session, &spin("waiting for the user", waiting).await?)
        }
    }
}

/// Prints how a verification stands, and says it by the exit code.
pub(crate) fn show_verification(session: &Session, verification: &Verification) -> Outcome<Exit> {
    let fields = [
        ("verification", verification.id.to_string()),
        ("status", verification.status.to_string()),
        ("reason", or_empty(verification.reason.as_ref())),
        ("device", or_empty(verification.device_id.as_ref())),
    ];
    session.output.one(verification, &fields)?;
    Ok(exit(&verification.status))
}

/// Prints how a registration stands, and says it by the exit code.
pub(crate) fn show_registration(session: &Session, registration: &Registration) -> Outcome<Exit> {
    let fields = [
        ("registration", registration.id.to_string()),
        ("status", registration.status.to_string()),
        ("reason", or_empty(registration.reason.as_ref())),
        ("factor", registration.type_display_name.clone()),
        ("name", registration.user_display_name.clone()),
        ("device", or_empty(registration.device_id.as_ref())),
        ("expires", or_empty(registration.expires_at)),
    ];
    session.output.one(registration, &fields)?;
    Ok(exit(&registration.status))
}

/// The exit code that says how it stands.
pub(crate) fn exit(status: &Status) -> Exit {
    match status {
        Status::Accepted => Exit::Done,
        Status::Rejected => Exit::Rejected,
        Status::Pending | Status::Other(_) => Exit::Pending,
    }
}
