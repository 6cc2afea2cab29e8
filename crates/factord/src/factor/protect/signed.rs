//! What an app signs. Each part is a netstring (its length in bytes, a colon, the bytes, a comma), so that no two different
//! things read the same.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::mfa::Core;
use crate::mfa::ids::{DeviceNumber, UserId};
use crate::mfa::user::Verification;

/// A challenge, with all that the person was shown.
#[derive(Debug)]
pub struct Challenged<'a> {
    verification: Uuid,
    user: UserId,
    device: DeviceNumber,
    service: &'a str,
    at: Timestamp,
    message: &'a str,
}

impl<'a> Challenged<'a> {
    /// The challenge of `pending`.
    pub fn of(core: &'a Core, user: UserId, pending: &'a Verification) -> Self {
        Self {
            verification: pending.id,
            user,
            device: pending.device,
            service: &core.service_name,
            at: pending.created_at,
            message: pending.display_name.as_deref().unwrap_or_default(),
        }
    }
}

/// What is signed to approve or deny; `number` is what the person typed, and empty where none is to be matched.
pub fn answer(challenged: &Challenged<'_>, number: &str, approve: bool) -> Vec<u8> {
    netstrings(&[
        "factord app v1 answer",
        &challenged.verification.to_string(),
        &challenged.user.to_string(),
        &challenged.device.get().to_string(),
        challenged.service,
        &challenged.at.to_string(),
        challenged.message,
        number,
        if approve { "approve" } else { "deny" },
    ])
}

/// What is signed to see what is pending; `at` as it was sent.
pub fn list(user: UserId, device: DeviceNumber, at: &str) -> Vec<u8> {
    let (user, device) = (user.to_string(), device.get().to_string());
    netstrings(&["factord app v1 list", &user, &device, at])
}

fn netstrings(parts: &[&str]) -> Vec<u8> {
    let written: Vec<_> = parts
        .iter()
        .map(|part| format!("{}:{part},", part.len()))
        .collect();
    written.concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_run_into_each_other_read_differently() {
        assert_eq!(netstrings(&["é", "", "a,"]), "2:é,0:,2:a,,".as_bytes());
        assert_ne!(netstrings(&["ab", "c"]), netstrings(&["a", "bc"]));
    }
}
