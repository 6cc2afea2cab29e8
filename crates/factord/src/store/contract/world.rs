//! A store to test, whichever it is, and what it is tested with.

use super::*;

/// A store, and what it was made with.
pub(in crate::store) struct World {
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
    /// Where the files are, until the test ends.
    pub folder: TempDir,
}

impl World {
    pub fn on_sqlite() -> Self {
        Self::of(|core, clock, folder| Arc::new(SqliteStore::open(folder, core, clock).unwrap()))
    }

    /// On the server under test, if there is one.
    pub async fn on_postgres() -> Option<Self> {
        let settings = postgres::tests::scratch().await?;
        let clock = Arc::new(ManualClock::at(START));
        let given = Arc::clone(&clock) as Arc<dyn Clock>;
        Some(Self {
            store: Arc::new(postgres::tests::at(settings, core(1), given).await),
            clock,
            folder: TempDir::new().unwrap(),
        })
    }

    pub fn in_memory() -> Self {
        Self::of(|core, clock, _| Arc::new(MemoryStore::new(core, clock)))
    }

    fn of(
        store: impl FnOnce(Arc<Core>, Arc<dyn Clock>, &std::path::Path) -> Arc<dyn Store>,
    ) -> Self {
        let (core, clock) = (core(1), Arc::new(ManualClock::at(START)));
        let folder = TempDir::new().unwrap();
        Self {
            store: store(core, Arc::clone(&clock) as Arc<dyn Clock>, folder.path()),
            clock,
            folder,
        }
    }

    pub fn profile(&self, username: &str) -> Profile {
        Profile {
            username: Some(username.to_owned()),
            email: Some(format!("{username}@example.com")),
            phone: Some("+491701234567".to_owned()),
            state: 1,
            status: 1,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
            attributes: serde_json::Map::new(),
        }
    }

    pub async fn user(&self, username: &str) -> User {
        self.store
            .create_user(self.profile(username))
            .await
            .unwrap()
    }

    pub async fn load(&self, user: UserId) -> Loaded {
        self.store.load(user, None).await.unwrap().unwrap()
    }

    pub(super) async fn finished(&self, user: UserId, id: Uuid) -> Option<Finished> {
        self.store
            .load(user, Some(id))
            .await
            .unwrap()
            .unwrap()
            .finished
    }

    pub async fn decide<D: Decide>(&self, user: UserId, command: D) -> Result<D::Answer, Refusal> {
        decide(&*self.store, user, command).await.unwrap().unwrap()
    }

    /// The same command many times at once.
    pub(super) async fn race<D: Decide>(
        &self,
        times: usize,
        user: UserId,
        command: impl Fn() -> D,
    ) -> Vec<Result<D::Answer, Refusal>> {
        let racing: Vec<_> = (0..times)
            .map(|_| {
                let (store, command) = (Arc::clone(&self.store), command());
                tokio::spawn(async move { decide(&*store, user, command).await })
            })
            .collect();
        let mut answers = Vec::new();
        for answer in racing {
            answers.push(answer.await.unwrap().unwrap().unwrap());
        }
        answers
    }

    pub async fn events(&self, user: UserId) -> Vec<StoredEvent> {
        let filter = EventFilter {
            user: Some(user),
            limit: 1_000,
            ..EventFilter::default()
        };
        self.store.events(filter).await.unwrap()
    }

    pub(super) async fn waiting(&self) -> Vec<StoredMessage> {
        self.store.waiting_messages(1_000).await.unwrap()
    }

    pub(super) async fn outbox(&self) -> Vec<StoredMessage> {
        let filter = OutboxFilter {
            limit: 1_000,
            ..OutboxFilter::default()
        };
        self.store.outbox(filter).await.unwrap()
    }

    pub(super) async fn credential(&self, id: &str) -> Credential {
        let credential = Credential {
            id: id.to_owned(),
            secret: TokenHash::of("secret"),
            scope: Scope::ManageAll,
            created_at: self.clock.now(),
            revoked_at: None,
        };
        self.store
            .insert_credential(credential.clone())
            .await
            .unwrap();
        credential
    }

    pub(super) fn pair(&self, access: &str, credential: &str) -> TokenPair {
        pair(access, credential, self.clock.now())
    }

    /// A pair as it was given at the start.
    pub(super) fn old_pair(&self, access: &str, credential: &str) -> TokenPair {
        pair(
            access,
            credential,
            self.clock.now().plus(-self.clock.offset()),
        )
    }
}

pub(in crate::store) fn core(seed: u64) -> Arc<Core> {
    Arc::new(Core {
        service_name: "Example".to_owned(),
        redirects: RedirectPolicy::Loopback,
        ..Core::new(
            Keys::derive(&MasterKey::generate(&mut StdRng::seed_from_u64(seed))),
            "http://localhost:8080".parse().unwrap(),
        )
    })
}

fn pair(access: &str, credential: &str, now: Timestamp) -> TokenPair {
    TokenPair {
        access: TokenHash::of(access),
        refresh: TokenHash::of(&format!("{access} refresh")),
        credential: credential.to_owned(),
        scope: Scope::VerifyMfa,
        created_at: now,
        expires_at: now.plus(36_000),
    }
}

/// When every test begins.
pub(in crate::store) const START: Timestamp = Timestamp::from_seconds(1_700_000_000);
