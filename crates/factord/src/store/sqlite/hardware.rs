//! Rows of hardware: read and written with the decisions that concern them, and brought in by an administrator.

use rusqlite::{Connection, OptionalExtension, Row};

use super::error::unreadable;
use super::users;
use crate::mfa::hardware::{Hardware, Known, Owner};
use crate::mfa::ids::{DeviceNumber, UserId};
use crate::store::StoreError;

/// What is known of the hardware with these ids.
pub(super) fn find(conn: &Connection, ids: Vec<String>) -> Result<Known, StoreError> {
    let mut known = Known::new();
    for id in ids {
        if let Some(found) = one(conn, &id)? {
            known.insert(id, found);
        }
    }
    Ok(known)
}

/// All hardware.
pub(super) fn all(conn: &Connection) -> Result<Known, StoreError> {
    let mut rows = conn.prepare("SELECT document, user_id, device, id FROM hardware")?;
    let rows = rows.query_map((), |row| Ok((row.get(3)?, Stored::from_row(row)?)))?;
    rows.map(|row| {
        let (id, stored): (String, Stored) = row?;
        Ok((id, stored.parse()?))
    })
    .collect()
}

/// Keeps a row as it is after a decision.
pub(super) fn keep(conn: &Connection, id: &str, hardware: &Hardware) -> Result<(), StoreError> {
    let owner = hardware.owner;
    conn.prepare_cached(
        "INSERT INTO hardware (id, user_id, device, document) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, device = excluded.device,
         document = excluded.document",
    )?
    .execute((
        id,
        owner.map(|owner| owner.user.get()),
        owner.map(|owner| owner.device.get()),
        users::json(hardware)?,
    ))?;
    Ok(())
}

/// The hardware that a device was is nobody's.
pub(super) fn release(
    conn: &Connection,
    user: UserId,
    device: DeviceNumber,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "UPDATE hardware SET user_id = NULL, device = NULL WHERE user_id = ?1 AND device = ?2",
    )?
    .execute((user.get(), device.get()))?;
    Ok(())
}

/// Keeps new hardware, or gives the ids of what is known already and changes nothing.
pub(super) fn import(
    conn: &Connection,
    new: &[(String, Hardware)],
) -> Result<Vec<String>, StoreError> {
    let mut merged = Vec::with_capacity(new.len());
    let mut known = Vec::new();
    for (id, new) in new {
        let kept = one(conn, id)?.unwrap_or_default();
        if kept.secret.is_some() {
            known.push(id.clone());
        }
        let (serial, secret) = (new.serial.clone(), new.secret.clone());
        let hardware = Hardware {
            serial,
            secret,
            ..kept
        };
        merged.push((id, hardware));
    }
    if known.is_empty() {
        for (id, hardware) in merged {
            keep(conn, id, &hardware)?;
        }
    }
    Ok(known)
}

fn one(conn: &Connection, id: &str) -> Result<Option<Hardware>, StoreError> {
    conn.prepare_cached("SELECT document, user_id, device FROM hardware WHERE id = ?1")?
        .query_row([id], Stored::from_row)
        .optional()?
        .map(Stored::parse)
        .transpose()
}

/// A row that begins with `document, user_id, device`.
struct Stored {
    document: String,
    owner: Option<(i64, DeviceNumber)>,
}

impl Stored {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (user, device): (Option<i64>, Option<u32>) = (row.get(1)?, row.get(2)?);
        Ok(Self {
            document: row.get(0)?,
            owner: user.zip(device.map(DeviceNumber::from_stored)),
        })
    }

    fn parse(self) -> Result<Hardware, StoreError> {
        let hardware: Hardware =
            serde_json::from_str(&self.document).map_err(unreadable("a piece of hardware"))?;
        let owner = self.owner.map(|(user, device)| {
            let user = super::user_id(user)?;
            Ok::<_, StoreError>(Owner { user, device })
        });
        Ok(Hardware {
            owner: owner.transpose()?,
            ..hardware
        })
    }
}

/// The hardware of a user is nobody's.
pub(super) const RELEASE_ALL: &str =
    "UPDATE hardware SET user_id = NULL, device = NULL WHERE user_id = ?1";
