//! Decisions that tests make, and what they look at afterwards.

use super::*;

/// A command made of a closure.
pub(in crate::store) struct Command<F, A> {
    reads: Reads,
    decide: F,
    answer: PhantomData<fn() -> A>,
}

impl<F, A> Decide for Command<F, A>
where
    F: Fn(&mut Draft<'_>) -> Result<A, Refusal> + Send + 'static,
    A: Send + 'static,
{
    type Answer = A;
    const ACTION: Action = Action::UpdateUser;

    fn reads(&self, _: &Core, _: &User) -> Reads {
        self.reads.clone()
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<A, Refusal> {
        (self.decide)(draft)
    }
}

pub(in crate::store) fn command<F, A>(decide: F) -> Command<F, A>
where
    F: Fn(&mut Draft<'_>) -> Result<A, Refusal> + Send + 'static,
{
    reading(Reads::default(), decide)
}

pub(super) fn reading<F, A>(reads: Reads, decide: F) -> Command<F, A>
where
    F: Fn(&mut Draft<'_>) -> Result<A, Refusal> + Send + 'static,
{
    Command {
        reads,
        decide,
        answer: PhantomData,
    }
}

/// Takes hardware for a device, counts a press of it and gives the number.
pub(super) fn press(id: &'static str, device: u32) -> impl Decide<Answer = i64> {
    let reads = Reads {
        hardware: vec![id.to_owned()],
        ..Reads::default()
    };
    reading(reads, move |draft| {
        let kept = draft.hardware.entry(id.to_owned()).or_default();
        let presses = kept.state.read::<Option<i64>>().unwrap().unwrap_or(0) + 1;
        kept.state = Data::of(&presses);
        kept.owner = Some(Owner {
            user: draft.user.id,
            device: DeviceNumber::from_stored(device),
        });
        Ok(presses)
    })
}

/// Adds one to a number of the user's, and gives it.
pub(in crate::store) fn count_up(draft: &mut Draft<'_>) -> i64 {
    let count = count_of(draft.user) + 1;
    draft
        .user
        .profile
        .attributes
        .insert("count".to_owned(), json!(count));
    count
}

pub(in crate::store) fn count_of(user: &User) -> i64 {
    let count = user.profile.attributes.get("count");
    count.and_then(serde_json::Value::as_i64).unwrap_or(0)
}

pub(in crate::store) fn open_verification(id: Uuid) -> impl Decide<Answer = ()> {
    command(move |draft| {
        let device = DeviceNumber::draw(draft.rng);
        draft.user.mfa.verifications.push(Verification {
            id,
            device,
            factor_id: 1,
            created_at: draft.now,
            expires_at: draft.now.plus(120),
            status: Status::Pending,
            ending: None,
            guesses: 0,
            display_name: None,
            redirect_to: None,
            on_page: false,
            page_otp: None,
            data: Data::of(&json!({"code": 1})),
        });
        Ok(())
    })
}

/// Accepts a pending verification.
pub(in crate::store) fn finish(id: Uuid) -> impl Decide<Answer = ()> {
    command(move |draft| {
        let pending = &mut draft.user.mfa.verifications;
        let index = pending.iter().position(|it| it.id == id);
        let mut accepted = pending.remove(index.ok_or(Refusal::NotFound)?);
        accepted.finish(None);
        draft
            .effects
            .finished
            .push(Finished::Verification(accepted));
        Ok(())
    })
}

/// What a decision sees of a finished verification.
pub(super) fn finished_status(id: Uuid) -> impl Decide<Answer = Option<Status>> {
    let reads = Reads {
        finished: Some(id),
        ..Reads::default()
    };
    reading(reads, |draft| {
        Ok(draft.finished.map(|finished| match finished {
            Finished::Registration(it) => it.status,
            Finished::Verification(it) => it.status,
        }))
    })
}

pub(super) fn to(address: &str) -> Reads {
    Reads {
        destination: Some(address.to_owned()),
        ..Reads::default()
    }
}

/// Counts a message to a destination, within the rules.
pub(super) fn send_to(address: &str) -> impl Decide<Answer = ()> {
    reading(to(address), |draft| {
        draft
            .history
            .admit_message(draft.now, &draft.core.rules)
            .map_err(|enough| Refusal::TooManyMessages(enough.0))
    })
}

/// How many messages a destination has had.
pub(super) fn sent_to(address: &str) -> impl Decide<Answer = usize> {
    reading(to(address), |draft| Ok(draft.history.messages.len()))
}

/// Sends a message.
pub(in crate::store) fn send(code: &'static str) -> impl Decide<Answer = ()> {
    command(move |draft| {
        draft.effects.messages.push(message(draft.now, code));
        Ok(())
    })
}

pub(super) fn message(now: Timestamp, code: &str) -> Message {
    Message {
        channel: Channel::Sms,
        to: "+491701234567".to_owned(),
        subject: None,
        body: format!("{code} is your code"),
        html: None,
        code: Some(code.to_owned()),
        link: None,
        about: None,
        expires_at: now.plus(120),
    }
}

pub(super) fn codes(messages: &[StoredMessage]) -> Vec<&str> {
    messages
        .iter()
        .filter_map(|it| it.message.code.as_deref())
        .collect()
}

pub(super) fn filter(equal: Vec<(&'static str, String)>) -> UserFilter {
    UserFilter {
        equal,
        limit: 100,
        ..UserFilter::default()
    }
}

pub(super) fn ids(page: &UserPage) -> Vec<UserId> {
    page.users.iter().map(|user| user.id).collect()
}

pub(super) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(10), future)
        .await
        .expect("it comes in time")
}
