//! Into PostgreSQL: COPY, users and events on a connection each, so that two of the server's processes work.

use std::fmt::Write;
use std::path::Path;

use bytes::Bytes;
use factord::crypto::keys::{Keys, MasterKey};
use factord::node::DEV_KEY_FILE;
use futures_util::SinkExt;
use tokio::runtime::Handle;
use tokio_postgres::{Client, CopyInSink, NoTls};

use super::{Record, Recorder, records};

/// Writes `count` users into the empty database at `url` that `factord dev` has made with the key in `folder` and does not
/// use now; `now` is its time in seconds since 1970.
///
/// # Errors
/// If the database is not empty, or cannot be written.
pub async fn fill(url: &str, folder: &Path, count: usize, now: i64) -> anyhow::Result<()> {
    let key = MasterKey::parse(&std::fs::read_to_string(folder.join(DEV_KEY_FILE))?)?;
    let recorder = Recorder::new(Keys::derive(&key), now)?;
    let (users, events) = (connect(url).await?, connect(url).await?);
    // The start has left events about credentials.
    let sql =
        "SELECT (SELECT count(*) FROM users), (SELECT coalesce(max(id), 0) FROM audit_events)";
    let row = users.query_one(sql, &[]).await?;
    let (found, last_event): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    anyhow::ensure!(found == 0, "the database is not empty");
    let sql = "COPY users (id, username, email, last_event, profile, mfa) FROM STDIN";
    let to_users = users.copy_in(sql).await?;
    let sql = "COPY audit_events (id, user_id, at, device, action, previous) FROM STDIN";
    let to_events = events.copy_in(sql).await?;
    let runtime = Handle::current();
    let copied = tokio::task::spawn_blocking(move || {
        let (mut users, mut events) = (Box::pin(to_users), Box::pin(to_events));
        let mut lines = Lines {
            last_event,
            ..Lines::default()
        };
        records(&recorder, count, |made| {
            for record in &made {
                lines.add(record)?;
            }
            let (users_text, events_text) = lines.take();
            runtime.block_on(async {
                let sent = tokio::join!(users.send(users_text), events.send(events_text));
                Ok(sent.0.and(sent.1)?)
            })
        })?;
        let finish = async |sink: &mut std::pin::Pin<Box<CopyInSink<Bytes>>>| {
            sink.as_mut().finish().await.map(drop)
        };
        runtime.block_on(async {
            let done = tokio::join!(finish(&mut users), finish(&mut events));
            anyhow::Ok(done.0.and(done.1)?)
        })?;
        anyhow::Ok(lines.last_event)
    });
    let last_event = copied.await??;
    // Else the server would do all this while it is measured.
    users
        .batch_execute(&format!(
            "SELECT setval('user_ids', {count}); SELECT setval('event_ids', {last_event})"
        ))
        .await?;
    users.batch_execute("VACUUM (ANALYZE) users").await?;
    users.batch_execute("VACUUM (ANALYZE) audit_events").await?;
    users.batch_execute("CHECKPOINT").await?;
    Ok(())
}

/// Opens a connection to a server on this machine.
///
/// # Errors
/// If it cannot be reached.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Rows in COPY's text format.
#[derive(Default)]
struct Lines {
    users: String,
    events: String,
    last_event: i64,
}

impl Lines {
    fn add(&mut self, record: &Record) -> anyhow::Result<()> {
        let (id, mut previous) = (record.id.get(), None);
        for event in &record.events {
            self.last_event += 1;
            write!(
                self.events,
                "{}\t{id}\t{}\t",
                self.last_event,
                record.at.seconds()
            )?;
            match event.device {
                Some(device) => write!(self.events, "{device}")?,
                None => self.events.push_str(NULL),
            }
            write!(self.events, "\t{}\t", event.action.as_str())?;
            match previous {
                Some(previous) => writeln!(self.events, "{previous}")?,
                None => writeln!(self.events, "{NULL}")?,
            }
            previous = Some(self.last_event);
        }
        write!(
            self.users,
            "{id}\t{}\t{}\t{}\t",
            record.username, record.email, self.last_event
        )?;
        escape(&record.profile, &mut self.users);
        self.users.push('\t');
        escape(&record.mfa, &mut self.users);
        self.users.push('\n');
        Ok(())
    }

    fn take(&mut self) -> (Bytes, Bytes) {
        let taken = |text: &mut String| Bytes::from(std::mem::take(text));
        (taken(&mut self.users), taken(&mut self.events))
    }
}

/// Writes JSON, which holds none of the characters that COPY needs escaped but the backslash.
fn escape(json: &str, to: &mut String) {
    for (number, part) in json.split('\\').enumerate() {
        if number > 0 {
            to.push_str("\\\\");
        }
        to.push_str(part);
    }
}

const NULL: &str = "\\N";
