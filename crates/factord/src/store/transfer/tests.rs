use std::io::Cursor;
use std::sync::Arc;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::contract::{START, command, core, count_up, finish, open_verification, send};
use super::super::postgres::tests::{connect, profile, scratch};
use super::super::postgres::{PostgresSettings, PostgresStore};
use super::super::sqlite::{self, SqliteStore};
use super::super::{Location, Store, decide};
use super::stream::{Header, Reader, Writer};
use super::*;
use crate::auth::Credential;
use crate::auth::scope::Scope;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::crypto::keys::{Keys, MasterKey};
use crate::crypto::tokens::TokenHash;
use crate::mfa::ids::UserId;
use crate::mfa::profile::DeleteUser;

fn keys(seed: u64) -> Keys {
    Keys::derive(&MasterKey::generate(&mut StdRng::seed_from_u64(seed)))
}

fn write(rows: &[Row], keys: &Keys, seed: u64) -> (Vec<u8>, Totals) {
    let at = Timestamp::from_seconds(1_800_000_000);
    let rng = &mut StdRng::seed_from_u64(seed);
    let header = Header::new(keys, rng, at, ("sqlite", 1), true);
    let mut writer = Writer::begin(Vec::new(), keys, &header).unwrap();
    for row in rows {
        writer.add(row).unwrap();
    }
    let (totals, bytes) = writer.end().unwrap();
    (bytes, totals)
}

fn read(bytes: &[u8], keys: &Keys) -> Result<(Vec<Row>, Totals), TransferError> {
    let mut reader = Reader::begin(Box::new(Cursor::new(bytes.to_vec())), keys)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row()? {
        rows.push(row);
    }
    Ok((rows, reader.totals().unwrap().clone()))
}

fn any_row() -> impl Strategy<Value = Row> {
    (0..TABLES.len()).prop_flat_map(|table| {
        let values: Vec<_> = TABLES[table]
            .columns
            .iter()
            .map(|(_, kind)| any_value(*kind))
            .collect();
        values.prop_map(move |values| Row { table, values })
    })
}

fn any_value(kind: Type) -> BoxedStrategy<Value> {
    let value = match kind {
        Type::Integer => any::<i64>().prop_map(Value::Integer).boxed(),
        Type::Text => any::<String>().prop_map(Value::Text).boxed(),
        Type::Bytes => prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(Value::Bytes)
            .boxed(),
        Type::Uuid => any::<[u8; 16]>()
            .prop_map(|bytes| Value::Bytes(bytes.into()))
            .boxed(),
    };
    prop_oneof![9 => value, 1 => Just(Value::Null)].boxed()
}

proptest! {
    #[test]
    fn every_row_comes_back(rows in prop::collection::vec(any_row(), 0..20)) {
        let (bytes, totals) = write(&rows, &keys(1), 2);
        let (back, read_totals) = read(&bytes, &keys(1)).unwrap();
        prop_assert_eq!(back, rows);
        prop_assert_eq!(read_totals, totals);
    }

    #[test]
    fn the_hashes_do_not_depend_on_the_order_and_on_nothing_but_the_rows(
        rows in prop::collection::vec(any_row(), 1..20), at in any::<prop::sample::Index>(),
    ) {
        let (_, totals) = write(&rows, &keys(1), 2);
        let mut turned = rows.clone();
        turned.rotate_left(at.index(rows.len()));
        prop_assert_eq!(&write(&turned, &keys(1), 3).1, &totals);
        prop_assert_ne!(&write(&rows, &keys(2), 2).1, &totals);
        turned.pop();
        prop_assert_ne!(&write(&turned, &keys(1), 2).1, &totals);
    }

    #[test]
    fn no_stream_reads_as_whole_that_was_changed_anywhere(
        rows in prop::collection::vec(any_row(), 0..8), at in any::<prop::sample::Index>(), bit in 0..8u8,
    ) {
        let (bytes, _) = write(&rows, &keys(1), 2);
        let at = at.index(bytes.len());
        let mut altered = bytes.clone();
        altered[at] ^= 1 << bit;
        prop_assert!(read(&altered, &keys(1)).is_err());
        prop_assert!(read(&bytes[..at], &keys(1)).is_err());
        let mut longer = bytes.clone();
        longer.extend_from_slice(&bytes[at..]);
        prop_assert!(read(&longer, &keys(1)).is_err());
        prop_assert!(read(&bytes, &keys(2)).is_err());
    }

    #[test]
    fn no_lines_put_together_from_two_streams_read_as_whole(
        rows in prop::collection::vec(any_row(), 3..8), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        same_stream in any::<bool>(),
    ) {
        let (one, _) = write(&rows, &keys(1), 2);
        let (other, _) = write(&rows, &keys(1), if same_stream { 2 } else { 3 });
        let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
            bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
        };
        let (mut lines, other) = (lines(&one), lines(&other));
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        prop_assume!(lines[to] != other[from]);
        lines[to].clone_from(&other[from]);
        prop_assert!(read(&lines.concat(), &keys(1)).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&text, &keys(1)).is_err());
        let mut after_header = write(&[], &keys(1), 2).0;
        let header = after_header.iter().position(|byte| *byte == b'\n').unwrap();
        after_header.truncate(header + 1);
        after_header.extend_from_slice(&text);
        prop_assert!(read(&after_header, &keys(1)).is_err());
    }
}

/// Columns that are not carried, each with the reason.
const LEFT_OUT: [(&str, &str, &str); 14] = [
    ("users", "username", "computed from the profile"),
    ("users", "email", "computed from the profile"),
    ("users", "external_id", "computed from the profile"),
    ("users", "next_expiry", "computed from what is pending"),
    ("users", "version", "says what one database has read"),
    ("histories", "version", "says what one database has read"),
    ("hardware", "version", "says what one database has read"),
    (
        "finished",
        "previous",
        "the order in which one database came to know them",
    ),
    (
        "users",
        "last_finished",
        "the order in which one database came to know them",
    ),
    ("expiries", "*", "computed from what is pending"),
    ("rate_windows", "*", "the requests of the current hour"),
    ("schema_migrations", "*", "the schema of one database"),
    ("sqlite_sequence", "*", "carried as counters"),
    ("sqlite_stat1", "*", "SQLite's own"),
];

fn assert_all_carried(engine: &str, columns: &[(String, String)]) {
    assert!(!columns.is_empty());
    for (table, column) in columns {
        let carried = TABLES.iter().any(|known| {
            known.name == table && known.columns.iter().any(|(name, _)| name == column)
        });
        let left_out = LEFT_OUT
            .iter()
            .any(|(t, c, _)| t == table && (c == column || *c == "*"));
        assert!(
            carried != left_out,
            "{engine}: {table}.{column} must be either in TABLES or in LEFT_OUT"
        );
    }
    let exists =
        |table: &str, column: &str| columns.contains(&(table.to_owned(), column.to_owned()));
    for table in TABLES.iter().filter(|table| table.name != "counters") {
        for (column, _) in table.columns {
            assert!(
                exists(table.name, column),
                "{engine}: {}.{column}",
                table.name
            );
        }
    }
}

#[test]
fn every_column_of_sqlite_is_carried_or_left_out_for_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    drop(sqlite_store(folder.path()));
    let conn = rusqlite::Connection::open(folder.path().join(sqlite::FILE)).unwrap();
    let sql = "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'";
    let mut statement = conn.prepare(sql).unwrap();
    let columns = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
    let columns: Vec<_> = columns.unwrap().map(Result::unwrap).collect();
    assert_all_carried("sqlite", &columns);
}

#[tokio::test]
async fn every_column_of_postgres_is_carried_or_left_out_for_a_reason() {
    let Some(settings) = scratch().await else {
        return;
    };
    drop(postgres_store(&settings).await);
    let client = connect(&settings).await;
    let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns
        WHERE table_schema = current_schema()";
    let rows = client.query(sql, &[]).await.unwrap();
    let columns: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_all_carried("postgres", &columns);
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(START))
}

fn sqlite_store(folder: &std::path::Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(folder, core(1), clock()).unwrap())
}

async fn postgres_store(settings: &PostgresSettings) -> Arc<dyn Store> {
    Arc::new(
        PostgresStore::open(settings.clone(), core(1))
            .await
            .unwrap(),
    )
}

async fn open(location: &Location) -> Arc<dyn Store> {
    match location {
        Location::Directory(folder) => sqlite_store(folder),
        Location::Postgres(settings) => postgres_store(settings).await,
    }
}

async fn export(location: &Location) -> (Vec<u8>, Totals) {
    let mut mover = Mover::open(location).await.unwrap();
    let keys = &core(1).keys;
    let rng = &mut StdRng::seed_from_u64(9);
    mover.close("test").await.unwrap();
    let header = Header::new(keys, rng, START, ("any", 1), true);
    let mut writer = Writer::begin(Vec::new(), keys, &header).unwrap();
    mover.export(|row| writer.add(&row)).await.unwrap();
    let (totals, bytes) = writer.end().unwrap();
    (bytes, totals)
}

async fn import(location: &Location, bytes: &[u8]) -> Totals {
    drop(open(location).await);
    let keys = &core(1).keys;
    let mut reader = Reader::begin(Box::new(Cursor::new(bytes.to_vec())), keys).unwrap();
    let mut mover = Mover::open(location).await.unwrap();
    mover.import(&mut reader, keys).await.unwrap()
}

/// Users with names that engines keep differently, more rows than a batch, and messages.
async fn fill(store: &dyn Store) {
    for number in 0..520 {
        let name = format!("Ümläut\u{0}{number}");
        let user = store.create_user(profile(&name)).await.unwrap().id;
        if number % 40 == 0 {
            decide(store, user, command(|draft| Ok(count_up(draft))))
                .await
                .unwrap();
            decide(store, user, send("1")).await.unwrap();
            finish_three(store, user).await;
        }
    }
}

async fn finish_three(store: &dyn Store, user: UserId) {
    for number in 1..=3 {
        let id = uuid::Uuid::from_u128(number);
        decide(store, user, open_verification(id)).await.unwrap();
        decide(store, user, finish(id)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_imported_user_has_finished_is_deleted_with_the_user() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let from = Location::Directory(from.path().to_owned());
    let store = open(&from).await;
    let mut users = Vec::new();
    for name in ["ada", "bob"] {
        let user = store.create_user(profile(name)).await.unwrap().id;
        finish_three(&*store, user).await;
        users.push(user);
    }
    let (bytes, _) = export(&from).await;
    let there = Location::Directory(to.path().to_owned());
    import(&there, &bytes).await;
    let store = open(&there).await;
    decide(&*store, users[0], DeleteUser).await.unwrap();
    let conn = rusqlite::Connection::open(to.path().join(sqlite::FILE)).unwrap();
    let left = "SELECT count(*) FILTER (WHERE user_id = ?1), count(*) FROM finished";
    let left = conn.query_row(left, [users[0].get()], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(left, Ok((0, 3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_again_nothing_has_changed() {
    let Some(settings) = scratch().await else {
        return;
    };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = Location::Directory(one.path().to_owned());
    let other = Location::Postgres(Box::new(settings));
    let back = Location::Directory(two.path().to_owned());
    fill(&*open(&one).await).await;
    let (bytes, totals) = export(&one).await;
    assert_eq!(import(&other, &bytes).await, totals);
    let (bytes, totals_there) = export(&other).await;
    assert_eq!(totals_there, totals);
    assert_eq!(import(&back, &bytes).await, totals);
    assert_eq!(export(&back).await.1, totals);
    let user = open(&back).await.create_user(profile("late")).await;
    assert!(user.is_err(), "a closed database was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pending_in_an_imported_database_expires_there() {
    let Some(settings) = scratch().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let long_ago = Arc::new(ManualClock::at(Timestamp::from_seconds(1_700_000_000)));
    let store = SqliteStore::open(folder.path(), core(1), long_ago).unwrap();
    let user = store.create_user(profile("ada")).await.unwrap().id;
    let id = uuid::Uuid::from_u128(1);
    decide(&store, user, open_verification(id)).await.unwrap();
    drop(store);
    let (bytes, _) = export(&Location::Directory(folder.path().to_owned())).await;
    let there = Location::Postgres(Box::new(settings));
    import(&there, &bytes).await;
    let store = open(&there).await;
    store.clean_up(100).await.unwrap();
    let loaded = store.load(user, Some(id)).await.unwrap().unwrap();
    assert!(!loaded.user.mfa.has_pending(id));
    assert!(loaded.finished.is_some());
}

/// A store that was open before goes on to refuse every change, until the database is opened again.
async fn is_closed_to_all(location: Location) {
    let store = open(&location).await;
    let user = store.create_user(profile("ada")).await.unwrap().id;
    let credential = |id: &str| Credential {
        id: id.to_owned(),
        secret: TokenHash::of("secret"),
        scope: Scope::ReadUsers,
        created_at: START,
        revoked_at: None,
    };
    store.insert_credential(credential("kept")).await.unwrap();
    let mut mover = Mover::open(&location).await.unwrap();
    mover.close("test").await.unwrap();
    assert_eq!(mover.standing().await.unwrap(), Standing::Exported);
    let closed = |result: Result<(), StoreError>| {
        let Err(StoreError::Unavailable(said)) = result else {
            panic!("{result:?}");
        };
        assert!(said.contains(CLOSED_SAYS), "{said}");
    };
    closed(store.create_user(profile("bob")).await.map(drop));
    let counting = command(|draft| Ok(count_up(draft)));
    closed(decide(&*store, user, counting).await.map(drop));
    closed(decide(&*store, user, send("1")).await.map(drop));
    closed(store.set_setting("any", "thing".to_owned()).await);
    closed(store.insert_credential(credential("new")).await);
    closed(store.revoke_credential("kept".to_owned()).await.map(drop));
    assert!(store.load(user, None).await.unwrap().is_some());
    mover.close("again").await.unwrap();
    mover.reopen().await.unwrap();
    assert_eq!(mover.standing().await.unwrap(), Standing::Open);
    let counting = command(|draft| Ok(count_up(draft)));
    assert_eq!(decide(&*store, user, counting).await, Ok(Some(Ok(1))));
    assert_eq!(
        store.create_user(profile("ada")).await,
        Err(StoreError::Conflict("username"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_file_is_closed_to_all() {
    let folder = tempfile::tempdir().unwrap();
    is_closed_to_all(Location::Directory(folder.path().to_owned())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_database_on_a_server_is_closed_to_all() {
    if let Some(settings) = scratch().await {
        is_closed_to_all(Location::Postgres(Box::new(settings))).await;
    }
}
