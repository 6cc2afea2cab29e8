//! Background work is done by one node at a time: whose session holds a lock of the database. A node that dies, or loses
//! its connection, loses the lock with it.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tracing::{debug, info, warn};

use super::open::DUTY_LOCK;
use super::settings::PostgresSettings;
use crate::store::Duty;

/// Waits until the lock is this node's.
pub(super) async fn acquire(settings: &PostgresSettings, schema: i32) -> Duty {
    loop {
        match try_acquire(settings, schema).await {
            Ok(Some(client)) => {
                info!("the background work is this node's");
                return Duty::until(held(client));
            }
            Ok(None) => {}
            Err(error) => debug!(%error, "cannot ask for the background work"),
        }
        sleep(BETWEEN_TRIES).await;
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn try_acquire(settings: &PostgresSettings, schema: i32) -> Result<Option<Client>, AnyError> {
    let (client, connection) = settings.config.connect(settings.tls()?).await?;
    tokio::spawn(async move {
        // Whoever holds the lock finds out by asking.
        drop(connection.await);
    });
    let sql = format!("SELECT pg_try_advisory_lock({DUTY_LOCK}, {schema})");
    let row = timeout(ANSWER, client.query_one(&sql, &[])).await??;
    Ok(row.try_get::<_, bool>(0)?.then_some(client))
}

/// Ends when the session that holds the lock is not certain to live any more.
async fn held(client: Client) {
    loop {
        sleep(BETWEEN_QUESTIONS).await;
        match timeout(ANSWER, client.check_connection()).await {
            Ok(Ok(())) => {}
            _ => break warn!("the background work is this node's no more"),
        }
    }
}

const BETWEEN_TRIES: Duration = Duration::from_secs(1);
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);
