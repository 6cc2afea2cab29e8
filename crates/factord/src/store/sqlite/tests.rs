//! What SQLite's store promises beyond the contract: durability, groups whose members fail alone, and files that tell
//! nothing.

use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Condvar, Mutex};
use std::task::Poll;

use rusqlite::ffi;
use tempfile::TempDir;

use super::super::contract::{
    START, World, command, core, count_of, count_up, finish, open_verification, send,
};
use super::*;
use crate::clock::ManualClock;
use crate::mfa::decision::Decide;
use crate::mfa::profile::{DeleteUser, UpdateProfile};
use crate::store::{Decided, TypedJob, decide};

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let world = World::on_sqlite();
    let user = world.user("ada").await;
    world.decide(user.id, counting()).await.unwrap();
    world.decide(user.id, send("123456")).await.unwrap();
    let before = world.load(user.id).await;
    let world = world.reopened();
    assert_eq!(world.load(user.id).await, before);
    assert_eq!(world.events(user.id).await.len(), 3);
    let waiting = world.store.waiting_messages(10).await.unwrap();
    assert_eq!(waiting[0].message.code.as_deref(), Some("123456"));
}

#[tokio::test]
async fn closing_waits_for_what_was_submitted() {
    let world = World::on_sqlite();
    let user = world.user("ada").await.id;
    let waiting: Vec<_> = (0..100)
        .map(|_| submit(&*world.store, user, counting()))
        .collect();
    let world = world.reopened();
    assert_eq!(count_of(&world.load(user).await.user), 100);
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn writes_that_wait_together_share_commits() {
    let commits = Arc::new(AtomicUsize::default());
    let world = Scene::committing({
        let commits = Arc::clone(&commits);
        move |conn| {
            commits.fetch_add(1, Ordering::Relaxed);
            writer::commit(conn)
        }
    });
    let user = world.user().await;
    let answers = world.together(user, || (0..50).map(|_| counting()));
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(world.count(user).await, 50);
    // The user, the decision that holds the others up, and they in two halves.
    assert!(commits.load(Ordering::Relaxed) <= 4);
}

#[tokio::test]
async fn a_write_that_fails_in_a_group_fails_alone() {
    let world = Scene::new();
    let (user, other) = (world.user().await, world.user().await);
    let rename = |_| UpdateProfile {
        username: Some("taken".to_owned()),
        ..UpdateProfile::default()
    };
    decide(&*world.store, other, rename(0)).await.unwrap();
    let answers = world.together(user, || {
        (0..3).map(move |number| {
            command(move |draft| {
                if number == 1 {
                    draft.user.profile.username = Some("TAKEN".to_owned());
                }
                Ok(count_up(draft))
            })
        })
    });
    let mut results = Vec::new();
    for answer in answers {
        results.push(answer.await.unwrap());
    }
    assert_eq!(results[0], Ok(Some(Ok(1))));
    assert_eq!(results[1], Err(StoreError::Conflict("username")));
    assert_eq!(results[2], Ok(Some(Ok(2))));
    assert_eq!(world.count(user).await, 2);
}

#[tokio::test]
async fn what_a_deleted_user_has_finished_is_deleted_too() {
    let world = World::on_sqlite();
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    for number in 1..=5 {
        for user in [ada, bob] {
            let id = Uuid::from_u128(number);
            world.decide(user, open_verification(id)).await.unwrap();
            world.decide(user, finish(id)).await.unwrap();
        }
    }
    world.clock.advance(86_400);
    // Two of ada's five and one of bob's are gone before.
    world.store.clean_up(3).await.unwrap();
    let id = Uuid::from_u128(6);
    world.decide(ada, open_verification(id)).await.unwrap();
    world.decide(ada, finish(id)).await.unwrap();
    world.decide(ada, DeleteUser).await.unwrap();
    let conn = Connection::open(world.folder.path().join(FILE)).unwrap();
    let owners: Vec<i64> = conn
        .prepare("SELECT user_id FROM finished")
        .unwrap()
        .query_map((), |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(owners, [bob.get(); 4]);
}

#[tokio::test]
async fn the_log_of_a_large_file_is_copied_beforehand_and_that_of_a_small_one_in_the_end() {
    for large in [0, u64::MAX] {
        let world = Scene::of(|surroundings| surroundings.large = large);
        let length = |name: &str| {
            std::fs::metadata(world.folder.path().join(name))
                .unwrap()
                .len()
        };
        for _ in 0..3 {
            world.fill_a_thousand_pages().await;
        }
        if large == 0 {
            in_time(async || length(FILE) > 1_000 * 4_096).await;
        } else {
            assert!(length(FILE) < 1_000 * 4_096);
        }
        for _ in 0..17 {
            world.fill_a_thousand_pages().await;
        }
        assert!(length(FILE) > 8_000 * 4_096);
        assert!(length(LOG) < 10_000 * 4_200);
        let filled = "SELECT count(*) FROM filler WHERE length(bytes) = 4000000";
        let filled = world
            .store
            .read(move |conn| Ok(conn.query_row(filled, (), |row| row.get::<_, i64>(0))?));
        assert_eq!(filled.await, Ok(20));
    }
}

#[tokio::test]
async fn a_full_database_refuses_what_needs_room_and_goes_on_with_the_rest() {
    let world = Scene::new();
    let user = world.user().await;
    world
        .store
        .write(|writing| {
            let pages: i64 = writing
                .conn
                .query_row("PRAGMA page_count", (), |row| row.get(0))?;
            let limit = format!("PRAGMA max_page_count = {}", pages + 5);
            Ok(writing.conn.query_row(&limit, (), |_| Ok(()))?)
        })
        .await
        .unwrap();
    let before = world.store.load(user, None).await.unwrap();
    let large = command(|draft| {
        draft.user.profile.email = Some("x".repeat(1_000_000));
        Ok(count_up(draft))
    });
    let failed = decide(&*world.store, user, large).await;
    assert!(
        matches!(failed, Err(StoreError::Unavailable(_))),
        "{failed:?}"
    );
    assert_eq!(world.store.load(user, None).await.unwrap(), before);
    assert_eq!(
        decide(&*world.store, user, counting()).await,
        Ok(Some(Ok(1)))
    );
}

#[tokio::test]
async fn a_commit_that_finds_the_disk_full_changes_nothing_and_stops_nothing() {
    let (world, full) = Scene::failing_when_told(ffi::SQLITE_FULL);
    let user = world.user().await;
    full.store(true, Ordering::Relaxed);
    for answer in world.together(user, || (0..10).map(|_| counting())) {
        let answer = answer.await.unwrap();
        assert!(matches!(answer, Err(StoreError::Unavailable(_))));
    }
    full.store(false, Ordering::Relaxed);
    assert_eq!(
        decide(&*world.store, user, counting()).await,
        Ok(Some(Ok(1)))
    );
    assert_eq!(*world.fatal.lock().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_failed_sync_stops_the_process_and_acknowledges_nothing() {
    let (world, broken) = Scene::failing_when_told(ffi::SQLITE_IOERR_FSYNC);
    let user = world.user().await;
    broken.store(true, Ordering::Relaxed);
    for answer in world.together(user, || (0..10).map(|_| counting())) {
        assert!(!matches!(answer.await, Ok(Ok(_))));
    }
    assert!(decide(&*world.store, user, counting()).await.is_err());
    let fatal = world.fatal.lock().unwrap().clone();
    assert_eq!(fatal.len(), 1);
    assert!(fatal[0].contains("commit failed"), "{fatal:?}");
}

#[tokio::test]
async fn a_log_that_cannot_be_synced_stops_the_process_and_nothing_of_it_is_acknowledged_or_shown()
{
    let broken = Arc::new(AtomicBool::default());
    let world = Scene::syncing({
        let broken = Arc::clone(&broken);
        move |log| {
            if broken.load(Ordering::Relaxed) {
                Err(std::io::Error::from_raw_os_error(5))
            } else {
                log.sync_data()
            }
        }
    });
    let user = world.user().await;
    broken.store(true, Ordering::Relaxed);
    assert!(decide(&*world.store, user, counting()).await.is_err());
    assert!(world.store.load(user, None).await.is_err());
    assert!(decide(&*world.store, user, counting()).await.is_err());
    let fatal = world.fatal.lock().unwrap().clone();
    assert_eq!(fatal.len(), 1, "{fatal:?}");
    assert!(fatal[0].contains("sync failed"), "{fatal:?}");
}

#[tokio::test]
async fn what_is_not_synced_yet_is_neither_acknowledged_nor_shown() {
    let gate = Gate::default();
    let world = Scene::syncing({
        let gate = gate.clone();
        move |log| {
            gate.pass();
            log.sync_data()
        }
    });
    let user = world.user().await;
    gate.close();
    let mut acknowledged = submit(&*world.store, user, counting());
    gate.reached();
    // It is committed: any other connection reads it.
    let raw = Connection::open(world.folder.path().join(FILE)).unwrap();
    let stored: String = raw
        .query_row("SELECT mfa FROM users", (), |row| row.get(0))
        .unwrap();
    let mut shown = std::pin::pin!(world.count(user));
    let mut listed = std::pin::pin!(world.store.users(UserFilter {
        limit: 1,
        ..UserFilter::default()
    }));
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(is_pending(shown.as_mut()).await, "{stored}");
        assert!(is_pending(listed.as_mut()).await);
        assert!(acknowledged.try_recv().is_err());
    }
    gate.open();
    assert_eq!(shown.await, 1);
    assert_eq!(listed.await.unwrap().total, 1);
    assert_eq!(acknowledged.await.unwrap(), Ok(Some(Ok(1))));
}

#[tokio::test]
async fn what_comes_during_a_sync_shares_the_next_ones() {
    let (gate, syncs) = (Gate::default(), Arc::new(AtomicUsize::default()));
    let world = Scene::syncing({
        let (gate, syncs) = (gate.clone(), Arc::clone(&syncs));
        move |log| {
            gate.pass();
            syncs.fetch_add(1, Ordering::Relaxed);
            log.sync_data()
        }
    });
    let user = world.user().await;
    gate.close();
    let first = submit(&*world.store, user, counting());
    gate.reached();
    let rest: Vec<_> = (0..50)
        .map(|_| submit(&*world.store, user, counting()))
        .collect();
    gate.open();
    assert_eq!(first.await.unwrap(), Ok(Some(Ok(1))));
    for answer in rest {
        answer.await.unwrap().unwrap();
    }
    // The user, the first, and all the others in two halves at most.
    assert!(syncs.load(Ordering::Relaxed) <= 4);
    assert_eq!(world.count(user).await, 51);
}

#[tokio::test]
async fn a_store_whose_work_has_waited_too_long_is_congested_until_nothing_waits() {
    for (patience, congested) in [(Duration::ZERO, true), (Duration::MAX, false)] {
        let world = Scene::of(|surroundings| surroundings.patience = patience);
        let user = world.user().await;
        let (going, gone) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let holding = command(move |_| {
            going.send(()).ok();
            held.recv().ok();
            Ok(())
        });
        let answer = submit(&*world.store, user, holding);
        gone.recv().unwrap();
        assert_eq!(world.store.is_congested(), congested);
        drop(release);
        answer.await.unwrap().unwrap();
        // The writer looks for more before it waits.
        while world.store.is_congested() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_commit_that_failed_holds_up_nobody_who_reads() {
    let (world, full) = Scene::failing_when_told(ffi::SQLITE_FULL);
    let user = world.user().await;
    full.store(true, Ordering::Relaxed);
    assert!(decide(&*world.store, user, counting()).await.is_err());
    assert_eq!(world.count(user).await, 0);
}

#[tokio::test]
async fn a_writer_that_panics_stops_the_process() {
    let world = Scene::new();
    let user = world.user().await;
    let broken = command(|_| -> Result<(), crate::mfa::refusal::Refusal> { panic!("on purpose") });
    assert!(decide(&*world.store, user, broken).await.is_err());
    while world.fatal.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*world.fatal.lock().unwrap(), ["the writer panicked"]);
}

#[tokio::test]
async fn more_writes_than_can_wait_are_refused_at_once() {
    let world = Scene::new();
    let user = world.user().await;
    let answers = world.together(user, || (0..10_000).map(|_| counting()));
    let (mut done, mut refused) = (0, 0);
    for answer in answers {
        match answer.await.unwrap() {
            Ok(_) => done += 1,
            Err(error) => {
                assert!(error.to_string().contains("too many"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 1_000);
    assert_eq!(world.count(user).await, done);
}

#[tokio::test]
async fn two_processes_can_open_and_write_one_new_file_at_once() {
    let folder = TempDir::new().unwrap();
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let folder = folder.path().to_owned();
            std::thread::spawn(move || Arc::new(open(&folder, 1).unwrap()))
        })
        .collect();
    let stores: Vec<_> = opening.into_iter().map(|it| it.join().unwrap()).collect();
    let profile = World::in_memory().profile("ada");
    let user = stores[0].create_user(profile).await.unwrap().id;
    let mut answers = Vec::new();
    for round in 0..100 {
        answers.push(submit(&*stores[round % 4], user, counting()));
    }
    let mut counts = Vec::new();
    for answer in answers {
        counts.push(answer.await.unwrap().unwrap().unwrap().unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_database_that_a_newer_factord_wrote_is_refused() {
    let world = World::on_sqlite();
    let folder = world.closed();
    let raw = Connection::open(folder.path().join(FILE)).unwrap();
    raw.execute_batch("PRAGMA user_version = 99").unwrap();
    let error = open(folder.path(), 1).err().unwrap().to_string();
    assert!(
        error.contains("schema 99") && error.contains("newer factord"),
        "{error}"
    );
    let found: i64 = raw
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .unwrap();
    assert_eq!(found, 99);
}

#[tokio::test]
async fn a_database_opens_only_with_the_key_that_sealed_it() {
    let folder = World::on_sqlite().closed();
    assert!(matches!(
        open(folder.path(), 2),
        Err(OpenError::WrongKey { .. })
    ));
    let error = open(folder.path(), 2).err().unwrap().to_string();
    assert!(error.contains("start factord with the key"), "{error}");
    open(folder.path(), 1).unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(FILE);
    let text = "not a database ".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(
        open(folder.path(), 1),
        Err(OpenError::Sqlite { .. })
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn no_file_holds_the_text_of_a_message() {
    let world = World::on_sqlite();
    let user = world.user("ada").await.id;
    world.decide(user, send("918273")).await.unwrap();
    let waiting = world.store.waiting_messages(1).await.unwrap();
    assert_eq!(waiting[0].message.body, "918273 is your code");
    world.store.move_to_outbox(waiting[0].id).await.unwrap();
    for needle in ["918273", "is your code"] {
        assert!(!files_hold(world.folder.path(), needle), "{needle}");
    }
    assert!(
        files_hold(world.folder.path(), "ada@example.com"),
        "nothing was searched"
    );
}

#[tokio::test]
async fn a_deleted_user_is_overwritten_in_the_file() {
    let world = World::on_sqlite();
    let user = world.user("zebulon").await.id;
    let padding = command(|draft| {
        let padding = serde_json::json!("quartermaine ".repeat(2_000));
        draft
            .user
            .profile
            .attributes
            .insert("note".to_owned(), padding);
        Ok(())
    });
    world.decide(user, padding).await.unwrap();
    let world = world.reopened();
    assert!(files_hold(world.folder.path(), "quartermaine"));
    world.decide(user, DeleteUser).await.unwrap();
    let folder = world.closed();
    for needle in ["zebulon", "quartermaine"] {
        assert!(!files_hold(folder.path(), needle), "{needle}");
    }
}

#[tokio::test]
async fn what_was_deleted_goes_out_of_the_log_as_soon_as_nobody_reads_it() {
    let world = World::on_sqlite();
    let user = world.user("zebulon").await.id;
    let reader = Connection::open(world.folder.path().join(FILE)).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM users").unwrap();
    world.decide(user, DeleteUser).await.unwrap();
    world.store.ping().await.unwrap();
    assert!(files_hold(world.folder.path(), "zebulon"));
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(world.store.clean_up(100).await, Ok(0));
    until_gone(world.folder.path(), "zebulon").await;
}

#[tokio::test]
async fn the_files_and_their_folder_are_their_owners_alone() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("some/data");
    let store = open(&data, 1).unwrap();
    store.ping().await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}

impl World {
    /// The same data under a new store, as after a restart.
    fn reopened(self) -> Self {
        let clock = Arc::clone(&self.clock);
        let folder = self.closed();
        let store = SqliteStore::open(folder.path(), core(1), Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            store: Arc::new(store.unwrap()),
            clock,
            folder,
        }
    }

    /// The files, after the store was closed.
    fn closed(self) -> TempDir {
        assert_eq!(Arc::strong_count(&self.store), 1);
        self.folder
    }
}

/// A store whose ways to fail are in the test's hand.
struct Scene {
    store: Arc<SqliteStore>,
    /// What the process would have been stopped for.
    fatal: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self::of(|_| {})
    }

    /// One whose commits fail with this code of SQLite's while the flag is up.
    fn failing_when_told(code: std::ffi::c_int) -> (Self, Arc<AtomicBool>) {
        let fails = Arc::new(AtomicBool::default());
        let told = Arc::clone(&fails);
        let world = Self::committing(move |conn| {
            if told.load(Ordering::Relaxed) {
                Err(failure(code))
            } else {
                writer::commit(conn)
            }
        });
        (world, fails)
    }

    fn committing(
        commit: impl FnMut(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Self {
        Self::of(|surroundings| surroundings.commit = Box::new(commit))
    }

    fn syncing(sync: impl FnMut(&File) -> std::io::Result<()> + Send + 'static) -> Self {
        Self::of(|surroundings| surroundings.sync = Box::new(sync))
    }

    fn of(change: impl FnOnce(&mut Surroundings)) -> Self {
        let folder = TempDir::new().unwrap();
        let fatal: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&fatal);
        let mut surroundings = Surroundings {
            fatal: Arc::new(move |reason: &str| heard.lock().unwrap().push(reason.to_owned())),
            ..Surroundings::of(core(1).into(), Arc::new(ManualClock::at(START)))
        };
        change(&mut surroundings);
        Self {
            store: Arc::new(SqliteStore::open_in(folder.path(), surroundings).unwrap()),
            fatal,
            folder,
        }
    }

    async fn fill_a_thousand_pages(&self) {
        let fill = "CREATE TABLE IF NOT EXISTS filler (bytes BLOB);
                    INSERT INTO filler VALUES (zeroblob(4000000))";
        let filled = self
            .store
            .write(move |writing| Ok(writing.conn.execute_batch(fill)?));
        filled.await.unwrap();
    }

    async fn user(&self) -> UserId {
        let profile = Profile {
            username: None,
            ..World::in_memory().profile("x")
        };
        self.store.create_user(profile).await.unwrap().id
    }

    async fn count(&self, user: UserId) -> i64 {
        count_of(&self.store.load(user, None).await.unwrap().unwrap().user)
    }

    /// Submits commands so that all of them wait when the writer comes to the first.
    fn together<D: Decide, I: Iterator<Item = D>>(
        &self,
        user: UserId,
        commands: impl FnOnce() -> I,
    ) -> Vec<oneshot::Receiver<Decided<D::Answer>>> {
        let (going, gone) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let holding = command(move |_| {
            // It may run again, when nobody listens any more.
            going.send(()).ok();
            // Until the sender is dropped.
            held.recv().ok();
            Ok(())
        });
        drop(submit(&*self.store, user, holding));
        gone.recv().unwrap();
        let answers = commands()
            .map(|command| submit(&*self.store, user, command))
            .collect();
        drop(release);
        answers
    }
}

/// A gate that a thread passes through, and can be made to wait at.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    closed: bool,
    waiting: bool,
}

impl Gate {
    fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.waiting = true;
        changed.notify_all();
        let mut state = changed.wait_while(state, |state| state.closed).unwrap();
        state.waiting = false;
    }

    fn close(&self) {
        self.0.0.lock().unwrap().closed = true;
    }

    fn open(&self) {
        self.0.0.lock().unwrap().closed = false;
        self.0.1.notify_all();
    }

    /// Waits until somebody waits at it.
    fn reached(&self) {
        let state = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(state, |state| !state.waiting).unwrap());
    }
}

/// Whether a future is not ready yet.
async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// Submits at once; the answer comes later.
fn submit<D: Decide>(
    store: &dyn Store,
    user: UserId,
    command: D,
) -> oneshot::Receiver<Decided<D::Answer>> {
    let (sender, receiver) = oneshot::channel();
    store.submit(
        user,
        Box::new(TypedJob {
            command,
            answer: None,
            sender,
        }),
    );
    receiver
}

fn counting() -> impl Decide<Answer = i64> {
    command(|draft| Ok(count_up(draft)))
}

fn open(folder: &Path, key: u64) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(folder, core(key), Arc::new(ManualClock::at(START)))
}

fn failure(code: std::ffi::c_int) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

/// Waits until the writer finds the time to empty the log.
async fn until_gone(folder: &Path, text: &str) {
    let gone = async {
        while files_hold(folder, text) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("it goes out of the files");
}

/// Whether any file in the folder holds the text.
fn files_hold(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(|bytes| bytes.windows(text.len()).any(|it| it == text.as_bytes()))
}

async fn in_time(mut condition: impl AsyncFnMut() -> bool) {
    let reached = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached)
        .await
        .expect("it comes in time");
}
