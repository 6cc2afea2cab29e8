//! Hardware that an administrator has brought in or somebody has enrolled: keys and tokens that exist once, whoever has
//! them. What must hold over all users is kept here and not with any of them: whose it is, and how far its counter is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::data::Data;
use super::ids::{DeviceNumber, UserId};
use crate::crypto::sealing::{Place, Sealed};

/// One key or token. Its id, by which it is kept, begins with what it is: `yubikey:cccccccccccb`, `hotp:00412345`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hardware {
    /// What is printed on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// What it shares with us, sealed for [`place`]; `None` where somebody else validates its codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Sealed>,
    /// Whose device it is. Kept beside the record, so that it is given up with the device or the user.
    #[serde(skip)]
    pub owner: Option<Owner>,
    /// How far its counter is: its factor's own record.
    #[serde(default)]
    pub state: Data,
}

/// The one device that a piece of hardware is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Whose it is.
    pub user: UserId,
    /// The device.
    pub device: DeviceNumber,
}

/// The hardware that a decision has read, by id. What it changes or adds is committed with it.
pub type Known = BTreeMap<String, Hardware>;

/// Where a secret of the hardware with this id is sealed.
pub fn place(purpose: &'static str, id: &str) -> Place {
    let digest = Sha256::digest(id);
    let mut record = [0; 8];
    record.copy_from_slice(&digest[..8]);
    Place {
        purpose,
        user: 0,
        record: u64::from_be_bytes(record),
    }
}
