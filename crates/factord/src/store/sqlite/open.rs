//! Opening the database file: its permissions, its settings, its schema, and whether the key is the right one.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::CryptoRng;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::crypto::keys::Keys;
use crate::crypto::sealing::{Place, Sealed};
use crate::store::transfer::CLOSED;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file cannot be made.
    #[error("cannot create {path}: {source}")]
    Create {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The thread that writes cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// SQLite cannot open the file or bring its schema up to date.
    #[error("cannot open the database {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A newer factord has written the file.
    #[error(
        "the database {path} has schema {found}, and this factord knows schemas up to {known}: use the newer factord"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// The newest schema that is known here.
        known: usize,
    },
    /// It was exported for good, and its schema is an older one.
    #[error(
        "the database {path} was exported for good, and is not brought up to date: use the factord that exported it"
    )]
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// The file was sealed with another key.
    #[error(
        "the database {path} was sealed with another key: start factord with the key that the database was created \
         with, or choose a new data folder; without that key nothing sealed in it can be read"
    )]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
}

/// Opens the connection that writes; the file, its folder and its tables are made if they are not there.
pub(super) fn writer(
    path: &Path,
    keys: &Keys,
    rng: &mut dyn CryptoRng,
) -> Result<Connection, OpenError> {
    create(path).map_err(|source| OpenError::Create {
        path: path.to_owned(),
        source,
    })?;
    let sqlite = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
    conn.execute_batch(WRITER_SETTINGS).map_err(sqlite)?;
    write_ahead(&conn).map_err(sqlite)?;
    let fits = in_transaction(&conn, |conn| -> rusqlite::Result<_> {
        let found = migrate(conn)?;
        match found {
            Schema::Known => key_fits(conn, keys, rng).map(Ok),
            Schema::Newer(found) => Ok(Err(OpenError::Newer {
                path: path.to_owned(),
                found,
                known: MIGRATIONS.len(),
            })),
            Schema::Closed => Ok(Err(OpenError::Closed {
                path: path.to_owned(),
            })),
        }
    })
    .map_err(sqlite)?;
    if !fits? {
        return Err(OpenError::WrongKey {
            path: path.to_owned(),
        });
    }
    empty_log(&conn).map_err(sqlite)?;
    conn.execute_batch(SYNCED_BY_US).map_err(sqlite)?;
    Ok(conn)
}

/// The schema of the file in `folder` (0 if there is none) and the newest that is known here. Changes nothing.
///
/// # Errors
/// [`OpenError::Sqlite`] if the file cannot be read.
pub fn schema(folder: &Path) -> Result<(i64, i64), OpenError> {
    let path = folder.join(super::FILE);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if !path.exists() {
        return Ok((0, known));
    }
    let found = reader(&path)
        .and_then(|conn| conn.query_row("PRAGMA user_version", (), |row| row.get(0)))
        .map_err(|source| OpenError::Sqlite { path, source })?;
    Ok((found, known))
}

/// Copies the database in `folder` to the new file `to`, for its owner alone, as it is at one moment, also while a server
/// writes. The copy is on the disk when this returns.
///
/// # Errors
/// [`OpenError`]; there is no file `to` then.
pub fn backup(folder: &Path, to: &Path) -> Result<(), OpenError> {
    let path = folder.join(super::FILE);
    let cannot = |source| OpenError::Create {
        path: to.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(to)
        .map_err(cannot)?;
    let copied = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|conn| conn.execute("VACUUM INTO ?1", [to.to_string_lossy()]));
    let synced = copied
        .map_err(|source| OpenError::Sqlite { path, source })
        .and_then(|_| file.sync_all().map_err(cannot));
    if synced.is_err() {
        // What is there is no copy; that it cannot be removed says nothing new.
        drop(std::fs::remove_file(to));
    }
    synced
}

/// Opens a connection that only reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.execute_batch(READER_SETTINGS)?;
    Ok(conn)
}

pub(super) fn connect(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    // Else a statement whose plan might depend on a parameter is compiled anew for every value.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(conn)
}

/// Makes the folder and an empty file for their owner alone; SQLite gives its other files the same permissions.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Turns the write-ahead log on. SQLite does not wait by itself while another process does the same for a new file.
fn write_ahead(conn: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        match conn.query_row("PRAGMA journal_mode = WAL", (), |row| {
            row.get::<_, String>(0)
        }) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Err(error)
                if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || tries == 100 =>
            {
                return Err(error);
            }
            Ok(_) if tries == 100 => return Err(rusqlite::Error::InvalidQuery),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
        tries += 1;
    }
}

/// What is in the log goes into the file, written and synced once more, and the log becomes empty; `false` if somebody
/// else uses it just now. So what was erased is not kept there; and what a crash left is certainly on the disk: if a
/// sync had failed, the system may say so of the log though it is not true.
pub(super) fn empty_log(conn: &Connection) -> rusqlite::Result<bool> {
    conn.busy_timeout(Duration::ZERO)?;
    let busy = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| {
        row.get::<_, i64>(0)
    });
    conn.busy_timeout(BUSY_TIMEOUT)?;
    Ok(busy? == 0)
}

pub(super) fn in_transaction<T, E: From<rusqlite::Error>>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let transaction =
        rusqlite::Transaction::new_unchecked(conn, rusqlite::TransactionBehavior::Immediate)?;
    let answer = work(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

/// What a file's schema is, once the migrations were run that it has not seen.
enum Schema {
    /// The newest.
    Known,
    /// One that is newer.
    Newer(usize),
    /// An older one, of a file that must not be changed.
    Closed,
}

fn migrate(conn: &Connection) -> rusqlite::Result<Schema> {
    let found: usize =
        conn.query_row("PRAGMA user_version", (), |row| row.get::<_, u32>(0))? as usize;
    if found > MIGRATIONS.len() {
        return Ok(Schema::Newer(found));
    }
    if found == MIGRATIONS.len() {
        return Ok(Schema::Known);
    }
    let closed = "SELECT EXISTS (SELECT 1 FROM settings WHERE name = ?1)";
    if found > 0 && conn.query_row(closed, [CLOSED], |row| row.get(0))? {
        return Ok(Schema::Closed);
    }
    for migration in MIGRATIONS.iter().skip(found) {
        conn.execute_batch(migration)?;
    }
    conn.execute_batch(&format!("PRAGMA user_version = {}", MIGRATIONS.len()))?;
    Ok(Schema::Known)
}

/// Whether `keys` open what the first opening sealed; the first opening seals it.
fn key_fits(conn: &Connection, keys: &Keys, rng: &mut dyn CryptoRng) -> rusqlite::Result<bool> {
    let stored: Option<String> = conn
        .query_row(
            "SELECT value FROM settings WHERE name = ?1",
            [KEY_CHECK],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(sealed) = stored {
        return Ok(keys
            .open(KEY_CHECK_PLACE, &Sealed::from_stored(sealed))
            .is_ok());
    }
    let sealed = keys.seal(rng, KEY_CHECK_PLACE, KEY_CHECK.as_bytes());
    conn.execute(
        "INSERT INTO settings (name, value) VALUES (?1, ?2)",
        (KEY_CHECK, sealed.as_str()),
    )?;
    Ok(true)
}

/// The schema, one step a file; a step that was released never changes.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/sqlite/0001_initial.sql")];

/// Until the store is open a commit returns when the log is synced. What is deleted is overwritten, also in pages that become free: they are
/// in the cache already, and so it costs little. Older versions stay in the log until the next idle clean-up, or until
/// it is written over after 32 MiB. A store that is open [copies](super::copying) the log by itself.
pub(super) const WRITER_SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -65536;
    PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA foreign_keys = OFF;
    PRAGMA wal_autocheckpoint = 8000;
    PRAGMA journal_size_limit = 33554432;
";

/// From then on commits leave the syncing to the [writer](super::writer). SQLite goes on to sync the log before a
/// checkpoint copies from it, and the head of a log that begins anew.
const SYNCED_BY_US: &str = "PRAGMA synchronous = NORMAL";

const READER_SETTINGS: &str = "
    PRAGMA query_only = ON;
    PRAGMA temp_store = MEMORY;
";

/// How long a connection waits while another process writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More than there are statements.
const PREPARED_STATEMENTS: usize = 64;
const KEY_CHECK: &str = "key_check";
const KEY_CHECK_PLACE: Place = Place {
    purpose: "key check",
    user: 0,
    record: 0,
};
