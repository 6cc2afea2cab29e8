//! Into SQLite: one transaction without a journal, since whoever fails here begins anew.

use std::path::Path;

use factord::crypto::keys::{Keys, MasterKey};
use factord::node::DEV_KEY_FILE;
use factord::store::sqlite::FILE;
use rusqlite::{Connection, Statement};

use super::{Record, Recorder, records};

/// Writes `count` users into the empty database that `factord dev` has made in `folder` and does not use now; `now` is its
/// time in seconds since 1970.
///
/// # Errors
/// If the database is not empty, or cannot be written.
pub fn fill(folder: &Path, count: usize, now: i64) -> anyhow::Result<()> {
    let key = MasterKey::parse(&std::fs::read_to_string(folder.join(DEV_KEY_FILE))?)?;
    let recorder = Recorder::new(Keys::derive(&key), now)?;
    let path = folder.join(FILE);
    let mut conn = Connection::open(&path)?;
    conn.execute_batch(SETTINGS)?;
    let transaction = conn.transaction()?;
    // The start has left events about credentials.
    let (found, last_event): (i64, i64) = transaction.query_row(
        "SELECT (SELECT count(*) FROM users), (SELECT coalesce(max(id), 0) FROM audit_events)",
        (),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    anyhow::ensure!(found == 0, "{} is not empty", path.display());
    let mut writer = Writer {
        user: transaction.prepare(
            "INSERT INTO users (id, username, email, last_event, profile, mfa) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?,
        event: transaction.prepare(
            "INSERT INTO audit_events (id, at, user_id, device, action, previous) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?,
        last_event,
    };
    records(&recorder, count, |made| {
        made.iter().try_for_each(|record| writer.write(record))
    })?;
    drop(writer);
    transaction.commit()?;
    conn.close().map_err(|(_, error)| error)?;
    std::fs::File::open(&path)?.sync_all()?;
    Ok(())
}

struct Writer<'a> {
    user: Statement<'a>,
    event: Statement<'a>,
    last_event: i64,
}

impl Writer<'_> {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        let (id, mut previous) = (record.id.get(), None);
        for event in &record.events {
            self.last_event += 1;
            self.event.execute((
                self.last_event,
                record.at.seconds(),
                id,
                event.device.map(|device| device.to_string()),
                event.action.as_str(),
                previous,
            ))?;
            previous = Some(self.last_event);
        }
        self.user.execute((
            id,
            &record.username,
            &record.email,
            self.last_event,
            &record.profile,
            &record.mfa,
        ))?;
        Ok(())
    }
}

const SETTINGS: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -262144;
";
