//! `factord-hot FUNCTION TIMES`: does one hot thing so many times and ends, for `scripts/instructions.sh`, which counts
//! its instructions. One thread serves the requests, as one worker of the server would: through the whole router, with
//! authentication, metrics and the JSON log, but without sockets.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Body;
use clap::{Parser, ValueEnum};
use data_encoding::BASE32_NOPAD;
use factord::auth::Credential;
use factord::auth::scope::Scope;
use factord::clock::{Clock, ManualClock, Timestamp, system_rng};
use factord::config::LogSettings;
use factord::crypto::keys::{Keys, MasterKey};
use factord::crypto::otp::{self, Algorithm};
use factord::crypto::sealing::Place;
use factord::crypto::tokens::TokenHash;
use factord::delivery::callback::CallbackKeys;
use factord::http::{AppState, router};
use factord::mfa::Core;
use factord::mfa::redirect::RedirectPolicy;
use factord::net::Observe;
use factord::service::Service;
use factord::service::access::Access;
use factord::service::rate_limit::RateLimiter;
use factord::store::Store;
use factord::store::memory::MemoryStore;
use factord::store::sqlite::SqliteStore;
use factord::telemetry::Telemetry;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use mimalloc::MiMalloc;
use rand::CryptoRng;
use serde_json::{Value, json};
use tower::ServiceExt;
use url::Url;

/// The server's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, Parser)]
struct Arguments {
    /// What to do
    #[arg(value_enum)]
    function: Function,
    /// How often
    times: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Function {
    /// A one-time code is computed
    Totp,
    /// A secret is sealed and opened
    Seal,
    /// A bearer token is hashed
    TokenHash,
    /// A right code in one call, over the store in memory
    HttpVerify,
    /// A challenge and its code, over the store in memory
    HttpLogin,
    /// A wrong code and a right one, over the store in memory
    HttpWrong,
    /// A pending verification is polled, over the store in memory
    HttpPoll,
    /// A device list, over the store in memory
    HttpDevices,
    /// A token, over the store in memory
    HttpToken,
    /// A right code in one call, over the store on SQLite
    SqliteVerify,
    /// A challenge and its code, over the store on SQLite
    SqliteLogin,
    /// A pending verification is polled, over the store on SQLite
    SqlitePoll,
}

fn main() -> anyhow::Result<()> {
    let Arguments { function, times } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut work = runtime.block_on(Work::prepare(function))?;
    measured(|| {
        runtime.block_on(async {
            for turn in 0..times {
                work.once(function, turn).await?;
            }
            Ok(())
        })
    })
}

/// What is counted is what happens in here, and in the store's writer: setting up waits for clocks, which takes now more
/// and now fewer instructions.
#[inline(never)]
fn measured(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    std::hint::black_box(work())
}

/// What it takes.
enum Work {
    Crypto {
        keys: Box<Keys>,
        rng: Box<dyn CryptoRng>,
    },
    Served {
        served: Served,
        pending: String,
    },
}

impl Work {
    async fn prepare(function: Function) -> anyhow::Result<Self> {
        if matches!(
            function,
            Function::Totp | Function::Seal | Function::TokenHash
        ) {
            return Ok(Self::Crypto {
                keys: Box::new(keys()),
                rng: Box::new(system_rng()),
            });
        }
        let mut served = Served::new(function).await?;
        let pending = served.challenge(0).await?;
        Ok(Self::Served { served, pending })
    }

    async fn once(&mut self, function: Function, turn: usize) -> anyhow::Result<()> {
        match self {
            Self::Crypto { keys, rng } => crypto(function, turn, keys, rng),
            Self::Served { served, pending } => served.once(function, turn, pending).await,
        }
    }
}

fn crypto(
    function: Function,
    turn: usize,
    keys: &Keys,
    rng: &mut dyn CryptoRng,
) -> anyhow::Result<()> {
    match function {
        Function::Totp => {
            let code = otp::hotp(Algorithm::Sha1, SECRET, turn as u64, otp::DIGITS);
            std::hint::black_box(code);
        }
        Function::TokenHash => {
            std::hint::black_box(TokenHash::of(std::hint::black_box(BEARER)));
        }
        _ => {
            let place = Place {
                purpose: "measured",
                user: 1,
                record: 1,
            };
            let sealed = keys.seal(rng, place, SECRET);
            ensure!(keys.open(place, &sealed)?.as_slice() == SECRET);
        }
    }
    Ok(())
}

/// The router with some people who have a device each.
struct Served {
    router: Router,
    clock: Arc<ManualClock>,
    bearer: String,
    people: Vec<Person>,
    /// How often everyone has had a turn.
    rounds: usize,
    _telemetry: Telemetry,
    _folder: tempfile::TempDir,
}

struct Person {
    user: u64,
    device: String,
    secret: Vec<u8>,
}

impl Served {
    async fn once(&mut self, function: Function, turn: usize, pending: &str) -> anyhow::Result<()> {
        match function {
            Function::HttpVerify | Function::SqliteVerify => self.verify(turn).await,
            Function::HttpLogin | Function::SqliteLogin => self.login(turn).await,
            Function::HttpWrong => {
                self.wrong(turn).await?;
                self.verify(turn).await
            }
            Function::HttpPoll | Function::SqlitePoll => self.get(pending).await,
            Function::HttpDevices => {
                let path = format!("/api/2/mfa/users/{}/devices", self.people[0].user);
                self.get(&path).await
            }
            _ => self.token().await.map(drop),
        }
    }

    async fn get(&self, path: &str) -> anyhow::Result<()> {
        let answer = self.call(Method::GET, path, String::new(), StatusCode::OK);
        answer.await.map(drop)
    }

    async fn new(function: Function) -> anyhow::Result<Self> {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let (folder, core) = (tempfile::tempdir()?, Arc::new(core()));
        let (its_core, its_clock) = (Arc::clone(&core), Arc::clone(&clock) as Arc<dyn Clock>);
        let sqlite = matches!(
            function,
            Function::SqliteVerify | Function::SqliteLogin | Function::SqlitePoll
        );
        let store: Arc<dyn Store> = if sqlite {
            Arc::new(SqliteStore::open(folder.path(), its_core, its_clock)?)
        } else {
            Arc::new(MemoryStore::new(its_core, its_clock))
        };
        let credential = Credential {
            id: "bench".to_owned(),
            secret: TokenHash::of("secret"),
            scope: Scope::ManageAll,
            created_at: clock.now(),
            revoked_at: None,
        };
        store.insert_credential(credential).await?;
        let telemetry = Telemetry::install(&LogSettings::default())?;
        let metrics = telemetry.metrics();
        let router = router(AppState {
            service: Service::new(core, Arc::clone(&store)),
            access: Arc::new(Access::new(store, RateLimiter::new(None))),
            dev: None,
            public_url: Url::parse("https://mfa.example.com")?,
            gateways: CallbackKeys::default(),
            body_bytes: 65_536,
            body_timeout: Duration::from_secs(10),
            metrics: Arc::new(move || metrics.render()),
            observe: Observe::new(42),
        });
        let mut served = Self {
            router,
            clock,
            bearer: String::new(),
            people: Vec::new(),
            rounds: 0,
            _telemetry: telemetry,
            _folder: folder,
        };
        let token = served.token().await?;
        let token = token["access_token"].as_str().context("no token")?;
        served.bearer = format!("Bearer {token}");
        for number in 0..PEOPLE {
            let person = served.enrol(number).await?;
            served.people.push(person);
        }
        served.clock.advance(60);
        Ok(served)
    }

    async fn enrol(&self, number: usize) -> anyhow::Result<Person> {
        let body = json!({ "username": format!("person{number}") }).to_string();
        let user = self
            .call(Method::POST, "/api/2/users", body, StatusCode::CREATED)
            .await?;
        let user = user["id"].as_u64().context("no id")?;
        let path = format!("/api/2/mfa/users/{user}/registrations");
        let body = json!({"factor_id": 58_957, "display_name": "phone"}).to_string();
        let begun = self
            .call(Method::POST, &path, body, StatusCode::CREATED)
            .await?;
        let text = |pointer: &str| begun.pointer(pointer).and_then(Value::as_str);
        let secret = text("/factor_data/verification_token").context("no secret")?;
        let person = Person {
            user,
            device: text("/device_id").context("no device")?.to_owned(),
            secret: BASE32_NOPAD.decode(secret.as_bytes())?,
        };
        let path = format!("{path}/{}", text("/id").context("no id")?);
        let code = format!("{:06}", person.number(self.clock.now()));
        self.call(
            Method::PUT,
            &path,
            json!({ "otp": code }).to_string(),
            StatusCode::OK,
        )
        .await?;
        Ok(person)
    }

    /// Whose turn it is, and the right code; whenever everyone has had a turn, the clock goes on by a time step.
    fn turn(&mut self, turn: usize) -> (&Person, u32) {
        let round = turn / PEOPLE;
        if round > self.rounds {
            self.rounds = round;
            self.clock.advance(otp::STEP_SECONDS);
        }
        let person = &self.people[turn % PEOPLE];
        (person, person.number(self.clock.now()))
    }

    async fn verify(&mut self, turn: usize) -> anyhow::Result<()> {
        let (person, code) = self.turn(turn);
        let (path, device) = (person.path(), person.device.clone());
        let body = format!("{{\"device_id\":{device},\"otp\":\"{code:06}\"}}");
        let answer = self.call(Method::POST, &path, body, StatusCode::OK);
        answer.await.map(drop)
    }

    async fn wrong(&mut self, turn: usize) -> anyhow::Result<()> {
        let (person, code) = self.turn(turn);
        let (path, device, code) = (person.path(), person.device.clone(), (code + 1) % 1_000_000);
        let body = format!("{{\"device_id\":{device},\"otp\":\"{code:06}\"}}");
        let answer = self.call(Method::POST, &path, body, StatusCode::UNAUTHORIZED);
        answer.await.map(drop)
    }

    async fn login(&mut self, turn: usize) -> anyhow::Result<()> {
        let path = self.challenge(turn).await?;
        let (_, code) = self.turn(turn);
        let body = format!("{{\"otp\":\"{code:06}\"}}");
        let answer = self.call(Method::PUT, &path, body, StatusCode::OK);
        answer.await.map(drop)
    }

    /// Begins a verification, and gives its path.
    async fn challenge(&mut self, turn: usize) -> anyhow::Result<String> {
        let (person, _) = self.turn(turn);
        let (path, device) = (person.path(), person.device.clone());
        let body = format!("{{\"device_id\":{device},\"expires_in\":900}}");
        let begun = self
            .call(Method::POST, &path, body, StatusCode::CREATED)
            .await?;
        Ok(format!("{path}/{}", begun["id"].as_str().context("no id")?))
    }

    async fn token(&self) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/auth/oauth2/v2/token")
            .header(header::AUTHORIZATION, "Basic YmVuY2g6c2VjcmV0")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(r#"{"grant_type":"client_credentials"}"#))?;
        self.send(request, StatusCode::OK).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: String,
        expected: StatusCode,
    ) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, &self.bearer)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))?;
        self.send(request, expected).await
    }

    async fn send(&self, request: Request<Body>, expected: StatusCode) -> anyhow::Result<Value> {
        let answer = self.router.clone().oneshot(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(
            status == expected,
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(serde_json::from_slice(&body)?)
    }
}

impl Person {
    fn number(&self, now: Timestamp) -> u32 {
        let step = otp::time_step(now);
        otp::hotp(Algorithm::Sha1, &self.secret, step, otp::DIGITS)
    }

    fn path(&self) -> String {
        format!("/api/2/mfa/users/{}/verifications", self.user)
    }
}

fn core() -> Core {
    Core {
        service_name: "Example".to_owned(),
        redirects: RedirectPolicy::Loopback,
        ..Core::new(keys(), "http://localhost".parse().expect("an address"))
    }
}

fn keys() -> Keys {
    Keys::derive(&MasterKey::generate(&mut system_rng()))
}

const PEOPLE: usize = 20;
const SECRET: &[u8] = b"twenty secret bytes!";
const BEARER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
