//! What PostgreSQL's store promises beyond the contract. The server is named by `FACTORD_TEST_POSTGRES`; `make test` starts
//! one. Each test has a schema of its own.

use super::*;

/// A schema of its own on the server under test; `None` where there is no server.
pub(in crate::store) async fn scratch() -> Option<PostgresSettings> {
    let Ok(url) = std::env::var("FACTORD_TEST_POSTGRES") else {
        assert!(
            std::env::var_os("FACTORD_TEST_POSTGRES_REQUIRED").is_none(),
            "FACTORD_TEST_POSTGRES names no server"
        );
        return None;
    };
    let name = format!(
        "test_{}",
        Uuid::from_u128(rand::RngExt::random(&mut clock::system_rng())).simple()
    );
    let settings = PostgresSettings::parse(&url).unwrap();
    let (client, connection) = settings
        .config
        .connect(settings.tls().unwrap())
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(&format!("CREATE SCHEMA {name}"))
        .await
        .unwrap();
    let joint = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{joint}options=-c%20search_path%3D{name}");
    let mut settings = PostgresSettings::parse(&url).unwrap();
    settings.connections = 8;
    Some(settings)
}

/// A store that decides by a given clock.
pub(in crate::store) async fn at(
    settings: PostgresSettings,
    core: Arc<Core>,
    clock: Arc<dyn Clock>,
) -> PostgresStore {
    PostgresStore::open_at(settings, core, Some(clock))
        .await
        .unwrap()
}
