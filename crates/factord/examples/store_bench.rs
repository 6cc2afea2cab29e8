//! Measures the SQLite store alone: durable decisions a second at several numbers of callers, and readings.
//!
//! `cargo run --release -p factord --example store_bench [FOLDER] [USERS] [SECONDS] [SCENARIO]`

#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use data_encoding::BASE32_NOPAD;
use factord::clock::{Clock, ManualClock, Timestamp, system_rng};
use factord::crypto::keys::{Keys, MasterKey};
use factord::crypto::otp::{self, Algorithm};
use factord::mfa::Core;
use factord::mfa::code::Code;
use factord::mfa::completion::{CompleteVerification, VerifyCode};
use factord::mfa::confirmation::ConfirmRegistration;
use factord::mfa::ids::{DeviceId, UserId};
use factord::mfa::redirect::RedirectPolicy;
use factord::mfa::registration::CreateRegistration;
use factord::mfa::user::Profile;
use factord::mfa::verification::{CreateVerification, Options};
use factord::store::sqlite::SqliteStore;
use factord::store::{Store, decide};
use secrecy::ExposeSecret;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder: PathBuf = arguments
        .next()
        .map_or_else(|| std::env::temp_dir().join("store-bench"), Into::into);
    let users: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let only = arguments.next();
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(measure(
            &folder,
            users,
            Duration::from_secs(seconds),
            only.as_deref(),
        ))
}

async fn measure(
    folder: &Path,
    users: usize,
    time: Duration,
    only: Option<&str>,
) -> anyhow::Result<()> {
    let core = Arc::new(Core {
        service_name: "Example".to_owned(),
        redirects: RedirectPolicy::Loopback,
        ..Core::new(
            Keys::derive(&MasterKey::generate(&mut system_rng())),
            url::Url::parse("http://localhost:8080")?,
        )
    });
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(
        folder,
        Arc::clone(&core),
        Arc::clone(&clock) as Arc<dyn Clock>,
    )?);
    let began = Instant::now();
    let people = Arc::new(People::enrol(&store, &clock, users).await?);
    println!(
        "{users} users with an authenticator in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    println!(
        "{:<8} {:>7} {:>10} {:>9} {:>9} {:>9}",
        "", "callers", "per second", "p50", "p99", "CPU each"
    );
    for scenario in [Scenario::Verify, Scenario::Login, Scenario::Load] {
        if only.is_some_and(|only| !format!("{scenario:?}").eq_ignore_ascii_case(only)) {
            continue;
        }
        for callers in [1, 8, 32, 128] {
            run(scenario, callers, time, &store, &people).await;
        }
    }
    drop(store);
    let began = Instant::now();
    let store = SqliteStore::open(folder, core, clock)?;
    let first = store.load(people.ring[0].user, None).await?;
    println!(
        "opened again, and the first user read ({}), in {:.1} ms",
        first.is_some(),
        began.elapsed().as_secs_f64() * 1_000.0
    );
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Scenario {
    /// A right code in one decision.
    Verify,
    /// A challenge and a right code.
    Login,
    /// A reading of one user.
    Load,
}

async fn run(
    scenario: Scenario,
    callers: usize,
    time: Duration,
    store: &Arc<dyn Store>,
    people: &Arc<People>,
) {
    let over = Arc::new(AtomicBool::default());
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (store, people) = (Arc::clone(store), Arc::clone(people));
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let (person, step) = people.next();
                    let began = Instant::now();
                    assert!(person.perform(scenario, &*store, step).await, "it failed");
                    latencies.push(began.elapsed());
                    // A reading is never pending: whoever measures it must let others in.
                    tokio::task::yield_now().await;
                }
                latencies
            })
        })
        .collect();
    let (began, cpu) = (Instant::now(), cpu_time());
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for task in tasks {
        match task.await {
            Ok(of_task) => latencies.extend(of_task),
            Err(error) => println!("{error}"),
        }
    }
    let rate = f64::from(u32::try_from(latencies.len()).unwrap_or(u32::MAX))
        / began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100];
    println!(
        "{:<8} {callers:>7} {rate:>10.0} {:>7}us {:>7}us {:>7}us",
        format!("{scenario:?}"),
        at(50).as_micros(),
        at(99).as_micros(),
        cpu_time().saturating_sub(cpu).as_micros() / latencies.len() as u128
    );
}

/// What the process has used of the processors, where Linux says it: in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Users in a ring; whenever it comes round, the clock moves a time step on, so that every code is fresh.
struct People {
    ring: Vec<Person>,
    turn: AtomicUsize,
    clock: Arc<ManualClock>,
    began: Timestamp,
}

struct Person {
    user: UserId,
    device: DeviceId,
    secret: Vec<u8>,
}

impl People {
    async fn enrol(
        store: &Arc<dyn Store>,
        clock: &Arc<ManualClock>,
        users: usize,
    ) -> anyhow::Result<Self> {
        let mut people = Vec::with_capacity(users);
        let mut enrolling = tokio::task::JoinSet::new();
        for number in 0..users {
            if enrolling.len() == 256 {
                people.extend(enrolling.join_next().await.transpose()?.transpose()?);
            }
            let (store, now) = (Arc::clone(store), clock.now());
            enrolling.spawn(async move { Person::enrol(&*store, number, now).await });
        }
        while let Some(person) = enrolling.join_next().await {
            people.push(person??);
        }
        clock.advance(90);
        Ok(Self {
            ring: people,
            turn: AtomicUsize::default(),
            began: clock.now(),
            clock: Arc::clone(clock),
        })
    }

    /// The next person, and a time step whose code they have not used.
    fn next(&self) -> (&Person, u64) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let round = i64::try_from(turn / self.ring.len()).unwrap_or_default();
        let at = self.began.plus(30 * round);
        if turn.is_multiple_of(self.ring.len()) {
            self.clock.advance(at.since(self.clock.now()));
        }
        // Neighbours in the file do not come together, as in life.
        let person = turn.wrapping_mul(PRIME) % self.ring.len();
        (&self.ring[person], otp::time_step(at))
    }
}

impl Person {
    async fn enrol(store: &dyn Store, number: usize, now: Timestamp) -> anyhow::Result<Self> {
        let profile = Profile {
            username: Some(format!("user{number}")),
            email: Some(format!("user{number}@example.com")),
            phone: None,
            state: 1,
            status: 1,
            created_at: now,
            updated_at: now,
            attributes: serde_json::Map::new(),
        };
        let user = store.create_user(profile).await?.id;
        let create = CreateRegistration {
            factor_id: 58_957,
            display_name: "Telephone".to_owned(),
            expires_in: None,
            verified: false,
            redirect_to: None,
            custom_message: None,
        };
        let created = decide(store, user, create).await?.context("the user")?;
        let created = created.map_err(|refusal| anyhow!("{refusal:?}"))?;
        let secret = created.shown.verification_token.context("a secret")?;
        let mut person = Self {
            user,
            device: DeviceId::Device(created.registration.device),
            secret: BASE32_NOPAD.decode(secret.expose_secret().as_bytes())?,
        };
        let confirm = ConfirmRegistration {
            id: created.registration.id,
            code: Some(person.code(otp::time_step(now))),
            evidence: None,
        };
        let confirmed = decide(store, user, confirm).await?.context("the user")?;
        let confirmed = confirmed.map_err(|refusal| anyhow!("{refusal:?}"))?;
        person.device = DeviceId::Device(confirmed.device);
        Ok(person)
    }

    fn code(&self, step: u64) -> Code {
        let value = otp::hotp(Algorithm::Sha1, &self.secret, step, otp::DIGITS);
        Code::text(&format!("{value:06}"))
    }

    async fn perform(&self, scenario: Scenario, store: &dyn Store, step: u64) -> bool {
        match scenario {
            Scenario::Load => matches!(store.load(self.user, None).await, Ok(Some(_))),
            Scenario::Verify => {
                let command = VerifyCode {
                    device: Some(self.device),
                    options: Options::default(),
                    code: self.code(step),
                    evidence: None,
                };
                matches!(decide(store, self.user, command).await, Ok(Some(Ok(()))))
            }
            Scenario::Login => {
                let command = CreateVerification {
                    device: self.device,
                    options: Options::default(),
                };
                let Ok(Some(Ok(started))) = decide(store, self.user, command).await else {
                    return false;
                };
                let command = CompleteVerification {
                    id: started.verification.id,
                    device: None,
                    code: Some(self.code(step)),
                    evidence: None,
                };
                matches!(decide(store, self.user, command).await, Ok(Some(Ok(()))))
            }
        }
    }
}

/// No number of users is a multiple of it, so that each comes once in a round.
const PRIME: usize = 7_368_787;
