//! The dispatcher over a store in memory, with a clock that stands still and senders that do as they are told.

use std::sync::{Mutex, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::audit::Action;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::crypto::keys::{Keys, MasterKey};
use crate::delivery::message::{Channel, Message};
use crate::mfa::Core;
use crate::mfa::decision::{Decide, Draft};
use crate::mfa::ids::UserId;
use crate::mfa::redirect::RedirectPolicy;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Profile, STATE_APPROVED, STATUS_ACTIVE};
use crate::store::EventFilter;
use crate::store::memory::MemoryStore;

#[tokio::test]
async fn a_message_is_sent_once_and_erased() {
    let scene = Scene::new();
    let (sender, running) = scene.run(|_| Sent::Done);
    scene.commit(scene.user().await, Channel::Sms, "1").await;
    scene.until_none_is_due().await;
    scene.commit(scene.user().await, Channel::Sms, "2").await;
    scene.until_none_is_due().await;
    running.stop().await;
    assert_eq!(sender.asked(), ["1", "2"]);
}

#[tokio::test]
async fn what_cannot_be_sent_now_is_tried_again_until_it_would_come_too_late_and_then_ended() {
    let scene = Scene::new();
    let user = scene.user().await;
    scene.commit(user, Channel::Sms, "1").await;
    let (sender, running) = scene.run(|_| Sent::Later);
    scene.until_none_is_due().await;
    assert_eq!(scene.given_up(user).await, 0);
    scene.clock.advance(LIFETIME - 1);
    scene.until_none_is_due().await;
    running.stop().await;
    assert_eq!(sender.asked(), ["1", "1"]);
    assert_eq!(scene.given_up(user).await, 1);
    scene.clock.advance(-LIFETIME);
    assert_eq!(scene.due().await, 0, "it is erased");
}

#[tokio::test]
async fn what_can_never_be_sent_ends_what_it_was_for() {
    let scene = Scene::new();
    let user = scene.user().await;
    scene.commit(user, Channel::Sms, "1").await;
    let (_, running) = scene.run(|_| Sent::Never);
    scene.until_none_is_due().await;
    running.stop().await;
    assert_eq!(scene.given_up(user).await, 1);
}

#[tokio::test]
async fn what_is_too_late_is_not_sent_and_ends_what_it_was_for() {
    let scene = Scene::new();
    let late = scene.user().await;
    scene.commit(late, Channel::Sms, "late").await;
    scene.clock.advance(LIFETIME);
    let user = scene.user().await;
    scene.commit(user, Channel::Sms, "in time").await;
    let (sender, running) = scene.run(|_| Sent::Done);
    scene.until_none_is_due().await;
    running.stop().await;
    assert_eq!(sender.asked(), ["in time"]);
    assert_eq!(scene.given_up(late).await, 1);
}

#[tokio::test]
async fn a_channel_that_hangs_holds_up_no_other_however_much_waits_for_it() {
    let scene = Scene::new();
    for _ in 0..300 {
        scene
            .commit(scene.user().await, Channel::Sms, "stuck")
            .await;
    }
    scene
        .commit(scene.user().await, Channel::Email, "letter")
        .await;
    let (sender, running) = scene.run_hanging(Channel::Sms);
    eventually(async || sender.asked().contains(&"letter".to_owned())).await;
    let stuck = sender
        .asked()
        .iter()
        .filter(|body| *body == "stuck")
        .count();
    assert_eq!(stuck, PARALLEL);
    sender.let_go();
    running.stop().await;
}

#[tokio::test]
async fn a_user_s_messages_are_sent_in_the_order_in_which_they_were_committed() {
    let scene = Scene::new();
    let user = scene.user().await;
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    for body in &expected {
        scene.commit(user, Channel::Sms, body).await;
    }
    let (sender, running) = scene.run(|_| Sent::Done);
    scene.until_none_is_due().await;
    running.stop().await;
    assert_eq!(sender.asked(), expected);
}

#[tokio::test]
async fn what_is_under_way_at_the_end_is_finished() {
    let scene = Scene::new();
    scene.commit(scene.user().await, Channel::Sms, "1").await;
    let (sender, running) = scene.run_hanging(Channel::Sms);
    eventually(async || sender.asked().len() == 1).await;
    let stopped = tokio::spawn(running.stop());
    task::yield_now().await;
    sender.let_go();
    stopped.await.unwrap();
    assert_eq!(scene.due().await, 0);
}

#[tokio::test]
async fn a_sender_that_panics_takes_nothing_with_it() {
    let scene = Scene::new();
    scene.commit(scene.user().await, Channel::Sms, "1").await;
    let (sender, running) = scene.run(|earlier| {
        assert!(earlier > 0, "the first attempt panics");
        Sent::Done
    });
    scene.until_none_is_due().await;
    running.stop().await;
    assert_eq!(sender.asked(), ["1", "1"]);
}

#[test]
fn attempts_come_ever_later_and_not_all_at_the_same_moment() {
    for (attempts, least, most) in [
        (0, 1, 1),
        (1, 1, 3),
        (2, 2, 6),
        (4, 8, 24),
        (5, 15, 45),
        (99, 15, 45),
    ] {
        let waits: Vec<_> = (0..500).map(|_| wait_after(attempts)).collect();
        assert!(
            waits.iter().all(|wait| (least..=most).contains(wait)),
            "{attempts}: {waits:?}"
        );
        assert!(
            least == most || waits.iter().any(|wait| *wait != waits[0]),
            "{attempts}"
        );
    }
}

/// A store and a clock.
struct Scene {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
}

impl Scene {
    fn new() -> Self {
        let core = Core {
            service_name: "Example".to_owned(),
            redirects: RedirectPolicy::Loopback,
            ..Core::new(
                Keys::derive(&MasterKey::generate(&mut StdRng::seed_from_u64(1))),
                "http://localhost:8080".parse().unwrap(),
            )
        };
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_700_000_000)));
        let store = MemoryStore::new(Arc::new(core), Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            store: Arc::new(store),
            clock,
        }
    }

    async fn user(&self) -> UserId {
        let profile = Profile {
            username: None,
            email: None,
            phone: None,
            state: STATE_APPROVED,
            status: STATUS_ACTIVE,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
            attributes: serde_json::Map::new(),
        };
        self.store.create_user(profile).await.unwrap().id
    }

    async fn commit(&self, user: UserId, channel: Channel, body: &str) {
        let command = Commit {
            channel,
            body: body.to_owned(),
        };
        store::decide(&*self.store, user, command)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    /// Runs a dispatcher whose sender does what `outcome` says, which is told how often it was asked before.
    fn run(
        &self,
        outcome: impl Fn(usize) -> Sent + Send + Sync + 'static,
    ) -> (Arc<Scripted>, Running) {
        self.run_sender(Scripted {
            outcome: Box::new(outcome),
            hanging: None,
            asked: Mutex::default(),
            let_go: Notify::new(),
        })
    }

    /// Runs a dispatcher whose sender takes everything, but on `channel` only once it is let go.
    fn run_hanging(&self, channel: Channel) -> (Arc<Scripted>, Running) {
        self.run_sender(Scripted {
            outcome: Box::new(|_| Sent::Done),
            hanging: Some(channel),
            asked: Mutex::default(),
            let_go: Notify::new(),
        })
    }

    fn run_sender(&self, sender: Scripted) -> (Arc<Scripted>, Running) {
        let (sender, (stop, stopped)) = (Arc::new(sender), oneshot::channel::<()>());
        let (store, clone) = (Arc::clone(&self.store), Arc::clone(&sender));
        let task = tokio::spawn(run(store, clone, async move { drop(stopped.await) }));
        (sender, Running { stop, task })
    }

    async fn due(&self) -> usize {
        self.store.waiting_messages(1_000).await.unwrap().len()
    }

    async fn until_none_is_due(&self) {
        eventually(async || self.due().await == 0).await;
    }

    /// How often something was ended since its message could not be sent.
    async fn given_up(&self, user: UserId) -> usize {
        let filter = EventFilter {
            user: Some(user),
            limit: 100,
            ..EventFilter::default()
        };
        let events = self.store.events(filter).await.unwrap();
        events
            .iter()
            .filter(|event| event.action == Action::GiveUpMessage.as_str())
            .count()
    }
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

struct Scripted {
    outcome: Box<dyn Fn(usize) -> Sent + Send + Sync>,
    hanging: Option<Channel>,
    asked: Mutex<Vec<String>>,
    let_go: Notify,
}

impl Scripted {
    fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, message: &StoredMessage) -> usize {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(message.message.body.clone());
        asked.len() - 1
    }

    fn let_go(&self) {
        self.let_go.notify_waiters();
    }
}

impl Sender for Scripted {
    fn send<'a>(
        &'a self,
        message: &'a StoredMessage,
    ) -> Pin<Box<dyn Future<Output = Result<Sent, StoreError>> + Send + 'a>> {
        Box::pin(async move {
            let let_go = self.let_go.notified();
            let earlier = self.remember(message);
            if self.hanging == Some(message.message.channel) {
                let_go.await;
            }
            Ok((self.outcome)(earlier))
        })
    }
}

/// A decision that does no more than send a message.
struct Commit {
    channel: Channel,
    body: String,
}

impl Decide for Commit {
    type Answer = ();
    const ACTION: Action = Action::CreateVerification;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        draft.effects.messages.push(Message {
            channel: self.channel,
            to: "somewhere".to_owned(),
            subject: None,
            body: self.body.clone(),
            html: None,
            code: None,
            link: None,
            about: Some(Uuid::from_u128(1)),
            expires_at: draft.now.plus(LIFETIME),
        });
        draft.record(None, Self::ACTION, None);
        Ok(())
    }
}

async fn eventually(condition: impl AsyncFn() -> bool) {
    let polling = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), polling)
        .await
        .expect("it comes in time");
}

/// Seconds that a message is of use: after one second less, the next attempt would come too late.
const LIFETIME: i64 = 4;
