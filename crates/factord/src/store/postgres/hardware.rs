//! Rows of hardware: read for the decisions that concern them, and brought in by an administrator.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::Inner;
use super::database::Kind;
use super::error::{corrupt, unreadable};
use super::statement::draw_version;
use super::users::{json, user_id};
use crate::clock;
use crate::mfa::hardware::{Hardware, Known, Owner};
use crate::mfa::ids::DeviceNumber;
use crate::store::StoreError;

/// Hardware as it was read, each with the version of it.
pub(super) struct Versioned(BTreeMap<String, (Hardware, i64)>);

impl Versioned {
    /// The records alone.
    pub fn records(&self) -> Known {
        let records = self.0.iter().map(|(id, (it, _))| (id.clone(), it.clone()));
        records.collect()
    }

    /// The record with this id.
    pub fn get(&self, id: &str) -> Option<&Hardware> {
        self.0.get(id).map(|(hardware, _)| hardware)
    }

    /// The version of it: 0 if there is none.
    pub fn version(&self, id: &str) -> i64 {
        self.0.get(id).map_or(0, |(_, version)| *version)
    }
}

impl Inner {
    /// What is known of the hardware with these ids.
    pub async fn hardware_of(&self, ids: Vec<String>) -> Result<Versioned, StoreError> {
        if ids.is_empty() {
            return Ok(Versioned(BTreeMap::new()));
        }
        let sql = format!("{SELECT} WHERE id = ANY ($1)");
        let rows = self.db.read(&sql, &[&ids]).await?;
        rows.iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Versioned)
    }

    /// All hardware.
    pub async fn all_hardware(&self) -> Result<Known, StoreError> {
        let rows = self.db.read(SELECT, &[]).await?;
        let rows: Result<_, _> = rows.iter().map(parse).collect();
        Ok(Versioned(rows?).records())
    }

    /// Keeps new hardware, or gives the ids of what is known already and changes nothing.
    pub async fn import_hardware(
        &self,
        new: Vec<(String, Hardware)>,
    ) -> Result<Vec<String>, StoreError> {
        let ids: Vec<_> = new.iter().map(|(id, _)| id.clone()).collect();
        let known = self.hardware_of(ids.clone()).await?;
        let has_secret = |id: &&String| known.get(id).is_some_and(|it| it.secret.is_some());
        let imported: Vec<_> = ids.iter().filter(has_secret).cloned().collect();
        if !imported.is_empty() {
            return Ok(imported);
        }
        let (mut read, mut versions, mut documents) = (Vec::new(), Vec::new(), Vec::new());
        for (id, new) in new {
            let kept = known.get(&id).cloned().unwrap_or_default();
            documents.push(json(&Hardware {
                serial: new.serial,
                secret: new.secret,
                ..kept
            })?);
            read.push(known.version(&id));
            versions.push(draw_version(&mut clock::system_rng()));
        }
        let sql = "WITH new AS MATERIALIZED (
                 SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])
                 AS new (id, read, version, document)),
             kept AS (
                 INSERT INTO hardware (id, version, document) SELECT id, version, document FROM new
                 ON CONFLICT (id) DO UPDATE SET version = excluded.version, document = excluded.document
                 WHERE hardware.version = (SELECT read FROM new WHERE new.id = hardware.id) RETURNING 1)
             SELECT 1 / (count(*) = $5::bigint)::int FROM kept";
        let count = super::integer(ids.len());
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&ids, &read, &versions, &documents, &count];
        let written = self.db.once(Kind::Write, sql, &values).await;
        written.map_err(super::error::Failure::into_error)?;
        Ok(Vec::new())
    }
}

fn parse(row: &Row) -> Result<(String, (Hardware, i64)), StoreError> {
    let text = |index| row.try_get::<_, &str>(index).map_err(corrupt);
    let hardware: Hardware =
        serde_json::from_str(text(2)?).map_err(unreadable("a piece of hardware"))?;
    let device: Option<i64> = row.try_get(4).map_err(corrupt)?;
    let owner = device.map(|device| {
        let device = u32::try_from(device)
            .map_err(|_| StoreError::Corrupt("a device's number".to_owned()))?;
        Ok::<_, StoreError>(Owner {
            user: user_id(row, 3)?,
            device: DeviceNumber::from_stored(device),
        })
    });
    let hardware = Hardware {
        owner: owner.transpose()?,
        ..hardware
    };
    let version = row.try_get(1).map_err(corrupt)?;
    Ok((text(0)?.to_owned(), (hardware, version)))
}

const SELECT: &str = "SELECT id, version, document, user_id, device FROM hardware";
