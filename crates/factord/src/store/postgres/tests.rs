//! What PostgreSQL's store promises beyond the contract. The server is named by `FACTORD_TEST_POSTGRES`; `make test` starts
//! one. Each test has a schema of its own.

use std::time::Duration;

use tokio_postgres::Client;

use super::super::contract::{
    START, command, core, count_of, count_up, finish, open_verification, send,
};
use super::*;
use crate::clock::SystemClock;
use crate::mfa::Core;
use crate::mfa::data::Data;
use crate::mfa::decision::{Decide, Draft};
use crate::mfa::ids::DeviceNumber;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Finished, Registration, Status};
use crate::store::{StoreError, decide};

/// A schema of its own on the server under test; `None` where there is no server.
pub(in crate::store) async fn scratch() -> Option<PostgresSettings> {
    let Ok(url) = std::env::var("FACTORD_TEST_POSTGRES") else {
        assert!(
            std::env::var_os("FACTORD_TEST_POSTGRES_REQUIRED").is_none(),
            "FACTORD_TEST_POSTGRES names no server"
        );
        return None;
    };
    let number: u128 = rand::RngExt::random(&mut clock::system_rng());
    let name = format!("test_{number:032x}");
    let settings = PostgresSettings::parse(&url).unwrap();
    let client = connect(&settings).await;
    let create = format!("CREATE SCHEMA {name}");
    client.batch_execute(&create).await.unwrap();
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
    PostgresStore::open_at(settings, core.into(), Some(clock))
        .await
        .unwrap()
}

/// A test that is passed over where there is no server.
macro_rules! on_postgres {
    ($(async fn $name:ident($settings:ident: PostgresSettings) $body:block)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            let Some($settings) = scratch().await else { return };
            $body
        })+
    };
}

on_postgres! {
    async fn two_nodes_see_each_others_commits_and_lose_none(settings: PostgresSettings) {
        let (one, two) = (node(&settings).await, node(&settings).await);
        let user = user(&one).await;
        let mut racing = Vec::new();
        for number in 0..60 {
            let store = if number % 2 == 0 { &one } else { &two };
            let store = Arc::clone(store);
            racing.push(tokio::spawn(async move { decide(&*store, user, counting()).await }));
        }
        let mut counts = Vec::new();
        for answer in racing {
            counts.push(answer.await.unwrap().unwrap().unwrap().unwrap());
        }
        counts.sort_unstable();
        assert_eq!(counts, (1..=60).collect::<Vec<_>>());
        let loaded = two.load(user, None).await.unwrap().unwrap();
        assert_eq!(count_of(&loaded.user), 60);
    }

    async fn decisions_go_by_the_databases_clock_and_the_offset_that_is_kept_there(settings: PostgresSettings) {
        let (one, two) = (node(&settings).await, node(&settings).await);
        let user = user(&one).await;
        let own = SystemClock::default();
        let time = |store: &Arc<PostgresStore>| {
            let store = Arc::clone(store);
            async move { decide(&*store, user, telling_time()).await.unwrap().unwrap().unwrap() }
        };
        assert!(time(&one).await.since(own.now()).abs() <= 5);
        one.set_setting("clock_offset", "100000".to_owned()).await.unwrap();
        // The other node has heard nothing of it, and reads it with the state.
        assert!((time(&two).await.since(own.now()) - 100_000).abs() <= 5);
        assert!((two.now().since(own.now()) - 100_000).abs() <= 5);
        assert_eq!(two.clock().offset(), 100_000);
    }

    async fn nothing_that_most_decisions_change_of_a_user_is_in_an_index(settings: PostgresSettings) {
        // Else PostgreSQL could not change the row in place, and every index would grow with every login.
        drop(node(&settings).await);
        let sql = "SELECT attname::text FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
            WHERE indrelid = 'users'::regclass ORDER BY attname";
        let rows = connect(&settings).await.query(sql, &[]).await.unwrap();
        let indexed: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(indexed, ["email", "external_id", "id", "username"]);
    }

    async fn the_clean_up_looks_once_at_what_was_to_expire(settings: PostgresSettings) {
        let store = node(&settings).await;
        let user = user(&store).await;
        for number in 1..=3 {
            let id = Uuid::from_u128(number);
            decide(&*store, user, open_verification(id)).await.unwrap();
            decide(&*store, user, finish(id)).await.unwrap();
        }
        let expiries = async || {
            let row = connect(&settings).await.query_one("SELECT count(*) FROM expiries", &[]).await;
            row.unwrap().get::<_, i64>(0)
        };
        assert!((1..=3).contains(&expiries().await));
        assert_eq!(store.clean_up(100).await, Ok(0));
        store.set_setting("clock_offset", "1000".to_owned()).await.unwrap();
        assert_eq!(store.clean_up(1).await, Ok(0));
        assert_eq!(expiries().await, 0);
    }

    async fn a_message_of_one_node_is_heard_by_another(settings: PostgresSettings) {
        let (one, two) = (node(&settings).await, node(&settings).await);
        let user = user(&one).await;
        let heard = two.message_signal();
        // Until the other node listens it looks once a second; either way it hears.
        decide(&*one, user, send("1")).await.unwrap();
        in_time(heard.notified()).await;
        let outbox = two.outbox_signal();
        let waiting = outbox.notified();
        let id = two.waiting_messages(1).await.unwrap()[0].id;
        one.move_to_outbox(id).await.unwrap();
        in_time(waiting).await;
    }

    async fn the_background_work_is_one_nodes_until_its_session_ends(settings: PostgresSettings) {
        let (one, two) = (node(&settings).await, node(&settings).await);
        let mut held = in_time(one.duty()).await;
        assert!(tokio::time::timeout(Duration::from_millis(300), two.duty()).await.is_err());
        let admin = connect(&settings).await;
        terminate(&admin, &format!("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = {} AND objid = {}",
            open::DUTY_LOCK, one.schema.cast_unsigned())).await;
        in_time(held.lost()).await;
        in_time(two.duty()).await;
    }

    async fn requests_are_counted_over_all_nodes_in_one_window(settings: PostgresSettings) {
        let (one, two) = (node(&settings).await, node(&settings).await);
        let now = one.now();
        let count = |caller: &str, used| RequestCount { caller: caller.to_owned(), ends: now.plus(3_600), used };
        let told = one.count_requests(vec![count("a", 3), count("b", 1)]).await.unwrap().unwrap();
        assert_eq!(told.iter().map(|it| it.used).collect::<Vec<_>>(), [3, 1]);
        let later = RequestCount { ends: now.plus(5_000), ..count("a", 4) };
        let told = two.count_requests(vec![later]).await.unwrap().unwrap();
        assert_eq!(told, [count("a", 7)]);
        two.set_setting("clock_offset", "3601".to_owned()).await.unwrap();
        two.load(UserId::new(1).unwrap(), None).await.unwrap();
        two.inner.db.ask_time().await.unwrap();
        let next = RequestCount { ends: now.plus(7_201), ..count("a", 1) };
        assert_eq!(two.count_requests(vec![next.clone()]).await.unwrap().unwrap(), [next]);
    }

    async fn connections_that_the_server_ended_are_made_anew(settings: PostgresSettings) {
        let (mut named, name) = (settings.clone(), "to be ended");
        named.config.application_name(name);
        let store = node(&named).await;
        let user = user(&store).await;
        let admin = connect(&settings).await;
        for round in 1..=5 {
            terminate(&admin, &format!("SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' AND pid <> pg_backend_pid()")).await;
            assert_eq!(decide(&*store, user, counting()).await, Ok(Some(Ok(round))));
        }
    }

    async fn a_database_that_writes_nothing_is_unavailable_and_nothing_is_changed(settings: PostgresSettings) {
        let store = node(&settings).await;
        let user = user(&store).await;
        let before = store.load(user, None).await.unwrap().unwrap().user;
        let admin = connect(&settings).await;
        admin.batch_execute("ALTER TABLE users ADD CONSTRAINT shut CHECK (version < 2) NOT VALID").await.unwrap();
        let failed = decide(&*store, user, counting()).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
        assert_eq!(store.load(user, None).await.unwrap().unwrap().user, before);
        assert_eq!(events(&store, user).await, 1);
        admin.batch_execute("ALTER TABLE users DROP CONSTRAINT shut").await.unwrap();
        assert_eq!(decide(&*store, user, counting()).await, Ok(Some(Ok(1))));
    }

    async fn a_row_that_is_locked_for_long_is_unavailable_and_does_not_hold_up_others(settings: PostgresSettings) {
        let store = node(&settings).await;
        let (held, free) = (user(&store).await, user(&store).await);
        let admin = connect(&settings).await;
        admin.batch_execute("BEGIN").await.unwrap();
        admin.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", &[&held.get()]).await.unwrap();
        let waiting = tokio::spawn({
            let store = Arc::clone(&store);
            async move { decide(&*store, held, counting()).await }
        });
        assert_eq!(decide(&*store, free, counting()).await, Ok(Some(Ok(1))));
        let failed = waiting.await.unwrap();
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
        admin.batch_execute("COMMIT").await.unwrap();
        assert_eq!(decide(&*store, held, counting()).await, Ok(Some(Ok(1))));
    }

    async fn decisions_about_many_users_at_once_are_all_written_and_recorded(settings: PostgresSettings) {
        let (one, two) = (node(&settings).await, node(&settings).await);
        let mut users = Vec::new();
        for _ in 0..20 {
            users.push(user(&one).await);
        }
        let mut asked = Vec::new();
        for number in 0..200 {
            let store = Arc::clone(if number % 3 == 0 { &two } else { &one });
            let user = users[number % users.len()];
            asked.push(tokio::spawn(async move { decide(&*store, user, guess()).await }));
        }
        for answer in asked {
            assert_eq!(answer.await.unwrap(), Ok(Some(Ok(()))));
        }
        for user in users {
            let loaded = one.load(user, None).await.unwrap().unwrap();
            assert_eq!(loaded.user.mfa.verifications.len(), 10);
            assert_eq!(events(&one, user).await, 11);
        }
    }

    async fn a_user_whose_row_is_locked_holds_up_nobody_in_the_same_group(settings: PostgresSettings) {
        let store = node(&settings).await;
        let mut users = Vec::new();
        for _ in 0..40 {
            users.push(user(&store).await);
        }
        let admin = connect(&settings).await;
        admin.batch_execute("BEGIN").await.unwrap();
        admin.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", &[&users[7].get()]).await.unwrap();
        let asked: Vec<_> = users.iter().map(|user| {
            let (store, user) = (Arc::clone(&store), *user);
            tokio::spawn(async move { decide(&*store, user, guess()).await })
        }).collect();
        for (number, answer) in asked.into_iter().enumerate() {
            if number == 7 {
                assert!(!answer.is_finished());
                admin.batch_execute("COMMIT").await.unwrap();
            }
            assert_eq!(in_time(answer).await.unwrap(), Ok(Some(Ok(()))));
        }
    }

    async fn a_server_that_may_lose_what_it_acknowledges_is_refused(settings: PostgresSettings) {
        let mut careless = settings.clone();
        let options = settings.config.get_options().unwrap().to_owned();
        careless.config.options(format!("{options} -c synchronous_commit=off"));
        let refused = PostgresStore::open(careless, core(1)).await.err().unwrap();
        assert!(matches!(&refused, PostgresOpenError::Undurable { reason, .. } if reason.contains("synchronous_commit")));
    }

    async fn another_key_is_refused(settings: PostgresSettings) {
        node(&settings).await;
        let refused = PostgresStore::open(settings, core(2)).await.err().unwrap();
        assert!(matches!(refused, PostgresOpenError::WrongKey { .. }), "{refused}");
    }

    async fn many_nodes_that_start_at_once_migrate_once(settings: PostgresSettings) {
        let opening: Vec<_> = (0..6)
            .map(|_| tokio::spawn(PostgresStore::open(settings.clone(), core(1))))
            .collect();
        for node in opening {
            node.await.unwrap().unwrap();
        }
        let status = status(&settings).await.unwrap();
        assert_eq!((status.found, status.known), (1, 1));
    }

    async fn an_older_node_goes_on_after_an_expansion_and_not_after_a_contraction(settings: PostgresSettings) {
        let store = node(&settings).await;
        let user = user(&store).await;
        let admin = connect(&settings).await;
        admin.batch_execute("ALTER TABLE users ADD COLUMN later text; ALTER TABLE audit_events ADD COLUMN later text;
            INSERT INTO schema_migrations (number, usable_from) VALUES (2, 1)").await.unwrap();
        assert_eq!(decide(&*store, user, counting()).await, Ok(Some(Ok(1))));
        assert_eq!(events(&store, user).await, 2);
        node(&settings).await;
        admin.batch_execute("INSERT INTO schema_migrations (number, usable_from) VALUES (3, 2)").await.unwrap();
        let refused = PostgresStore::open(settings, core(1)).await.err().unwrap();
        assert!(matches!(refused, PostgresOpenError::Newer { found: 3, known: 1, .. }), "{refused}");
    }

    async fn a_trail_with_a_missing_event_is_not_shown_as_whole(settings: PostgresSettings) {
        let store = node(&settings).await;
        let user = user(&store).await;
        for _ in 0..3 {
            decide(&*store, user, counting()).await.unwrap();
        }
        let admin = connect(&settings).await;
        admin.batch_execute("DELETE FROM audit_events WHERE id = (SELECT previous FROM audit_events ORDER BY id DESC LIMIT 1)")
            .await
            .unwrap();
        let filter = EventFilter { user: Some(user), limit: 10, ..EventFilter::default() };
        assert!(matches!(store.events(filter).await, Err(StoreError::Corrupt(_))));
    }

    async fn a_nul_in_a_profile_is_kept_and_found(settings: PostgresSettings) {
        let store = node(&settings).await;
        let mut profile = profile("a\0b");
        profile.attributes.insert("firstname".to_owned(), "x\0y".into());
        let made = store.create_user(profile).await.unwrap();
        assert_eq!(store.load(made.id, None).await.unwrap().unwrap().user, made);
        for (field, wanted) in [("username", "a\0b"), ("firstname", "x\0*"), ("firstname", "x\0y")] {
            let filter = UserFilter { equal: vec![(field, wanted.to_owned())], limit: 2, ..UserFilter::default() };
            assert_eq!(store.users(filter).await.unwrap().total, 1, "{field}");
        }
    }

    async fn every_part_of_a_decisions_statement_carries_the_users_id(settings: PostgresSettings) {
        let store = node(&settings).await;
        let user = user(&store).await;
        let admin = connect(&settings).await;
        for every in [everything(false), everything(true)] {
            let (stored, now) = store.inner.stored(user).await.unwrap().unwrap();
            let effects = every;
            let mut rng = clock::system_rng();
            let user = stored.parse(user).unwrap();
            let mut change = statement::Change {
                core: &store.inner.cores.current(),
                rng: &mut rng,
                now,
                stored: &stored,
                user: &user,
                effects: &effects,
                channel: "c",
                fails_if_stale: false,
            };
            let statement = change.statement().unwrap().unwrap();
            // Each table that is written is written from `kept`, which is one user's row or none.
            for part in statement.sql.split(",\n").filter(|it| !it.contains("numbered AS")) {
                let keyed = part.contains("kept") || part.contains("WHERE id = $");
                assert!(keyed, "{part}");
            }
            admin.prepare(&statement.sql).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_so() {
    let settings = PostgresSettings::parse("postgres://a@127.0.0.1:1/f").unwrap();
    let refused = PostgresStore::open(settings, core(1)).await.err().unwrap();
    let text = refused.to_string();
    assert!(text.contains("the database f on 127.0.0.1"), "{text}");
}

fn everything(delete_user: bool) -> crate::mfa::decision::Effects {
    use crate::audit::{Action, Event, Reason, Repeatable};
    use crate::delivery::message::{Channel, Message};
    use crate::mfa::decision::{Effects, Link};

    let event = Event {
        device: None,
        action: Action::UpdateUser,
        refused: None,
    };
    let again = Repeatable {
        device: None,
        action: Action::UpdateUser,
        reason: Reason::Throttled,
    };
    Effects {
        events: vec![event],
        repeats: vec![again],
        messages: vec![Message {
            channel: Channel::Sms,
            to: "+491701234567".to_owned(),
            subject: None,
            body: "1".to_owned(),
            html: None,
            code: None,
            link: None,
            about: None,
            expires_at: START,
        }],
        finished: vec![Finished::Registration(registration())],
        links: vec![Link {
            token: TokenHash::of("a"),
            expires_at: START,
        }],
        released: vec![DeviceNumber::from_stored(1)],
        delete_user,
    }
}

fn registration() -> Registration {
    Registration {
        id: Uuid::nil(),
        device: DeviceNumber::from_stored(1),
        factor_id: 1,
        display_name: String::new(),
        created_at: START,
        expires_at: START,
        status: Status::Rejected,
        ending: None,
        destination: None,
        guesses: 0,
        redirect_to: None,
        data: Data::default(),
    }
}

async fn node(settings: &PostgresSettings) -> Arc<PostgresStore> {
    let opened = PostgresStore::open(settings.clone(), core(1)).await;
    Arc::new(opened.unwrap())
}

async fn user(store: &PostgresStore) -> UserId {
    let number: u64 = rand::RngExt::random(&mut clock::system_rng());
    let made = store.create_user(profile(&number.to_string())).await;
    made.unwrap().id
}

pub(in crate::store) fn profile(username: &str) -> Profile {
    Profile {
        username: Some(username.to_owned()),
        email: None,
        phone: None,
        state: 1,
        status: 1,
        created_at: START,
        updated_at: START,
        attributes: serde_json::Map::new(),
    }
}

async fn events(store: &PostgresStore, user: UserId) -> usize {
    let filter = EventFilter {
        user: Some(user),
        limit: 1_000,
        ..EventFilter::default()
    };
    store.events(filter).await.unwrap().len()
}

fn counting() -> impl Decide<Answer = i64> {
    command(|draft| Ok(count_up(draft)))
}

/// Writes what most decisions write, and no more.
fn guess() -> impl Decide<Answer = ()> {
    open_verification(Uuid::from_u128(1))
}

fn telling_time() -> impl Decide<Answer = Timestamp> {
    command(|draft: &mut Draft<'_>| Ok::<_, Refusal>(draft.now))
}

pub(in crate::store) async fn connect(settings: &PostgresSettings) -> Client {
    let tls = settings.tls().unwrap();
    let (client, connection) = settings.config.connect(tls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Ends the sessions that a query names.
async fn terminate(admin: &Client, pids: &str) {
    let sql = format!("SELECT pg_terminate_backend(pid, 5000) FROM ({pids}) AS victim");
    admin.query(&sql, &[]).await.unwrap();
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("it comes in time")
}
