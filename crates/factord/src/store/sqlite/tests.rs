//! What SQLite's store promises beyond the contract: durability, groups whose members fail alone, and files that tell
//! nothing.

use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use rusqlite::ffi;
use tempfile::TempDir;

use super::super::contract::{START, World, command, core, count_of, count_up, send};
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
async fn writes_that_wait_together_share_one_commit() {
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
    // The user, the decision that holds the others up, and the group.
    assert_eq!(commits.load(Ordering::Relaxed), 3);
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
    let full = Arc::new(AtomicBool::default());
    let world = Scene::committing({
        let full = Arc::clone(&full);
        move |conn| {
            if full.load(Ordering::Relaxed) {
                Err(failure(ffi::SQLITE_FULL))
            } else {
                writer::commit(conn)
            }
        }
    });
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
    let broken = Arc::new(AtomicBool::default());
    let world = Scene::committing({
        let broken = Arc::clone(&broken);
        move |conn| {
            if broken.load(Ordering::Relaxed) {
                Err(failure(ffi::SQLITE_IOERR_FSYNC))
            } else {
                writer::commit(conn)
            }
        }
    });
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
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self::committing(writer::commit)
    }

    fn committing(
        commit: impl FnMut(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let fatal: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&fatal);
        let surroundings = Surroundings {
            commit: Box::new(commit),
            fatal: Box::new(move |reason| heard.lock().unwrap().push(reason.to_owned())),
            ..Surroundings::of(core(1).into(), Arc::new(ManualClock::at(START)))
        };
        Self {
            store: Arc::new(SqliteStore::open_in(folder.path(), surroundings).unwrap()),
            fatal,
            _folder: folder,
        }
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
            going.send(()).unwrap();
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
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone)
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
