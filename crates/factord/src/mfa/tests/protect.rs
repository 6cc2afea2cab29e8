//! Pushes to an app: activation, signatures, numbers, and how much of it a person has to put up with.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};

use super::*;
use crate::audit::{Action, Reason};
use crate::factor::protect::key::AppKey;
use crate::factor::protect::page::{self, PageState};
use crate::factor::protect::signed::{self, Challenged};
use crate::factor::protect::{self, Answer, App, Decision, NumberMatching};
use crate::mfa::activation::Activate;
use crate::mfa::answer::{GiveAnswer, Origin, Outcome};
use crate::mfa::data::Data;
use crate::mfa::user::{Ending, Status};

/// An app, or somebody who would like to be one.
struct Phone(SigningKey);

impl Phone {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    fn app(&self, code: &str) -> App {
        let point = self.0.verifying_key().to_sec1_point(false);
        let coordinate = |part: &[u8]| data_encoding::BASE64URL_NOPAD.encode(part);
        let [x, y] = [1, 33].map(|at| coordinate(&point.as_bytes()[at..at + 32]));
        App {
            code: protect::normal(code),
            key: AppKey::from_coordinates(&x, &y).unwrap(),
            name: Some("Ada's phone".to_owned()),
            subscription: None,
        }
    }

    fn sign(&self, text: &[u8]) -> String {
        let signature: Signature = self.0.sign(text);
        data_encoding::BASE64URL_NOPAD.encode(&signature.to_bytes())
    }
}

impl World {
    fn activate(&mut self, phone: &Phone, code: &str) -> Result<DeviceId, Refusal> {
        let app = phone.app(code);
        let registration = self.run(&Activate { app })?;
        Ok(DeviceId::Device(registration.device))
    }

    fn enrol_phone(&mut self, phone: &Phone) -> DeviceId {
        let code = activation_code(&self.register(PROTECT).unwrap());
        self.activate(phone, &code).unwrap()
    }

    fn push(&mut self, device: DeviceId, options: Options) -> Result<VerificationView, Refusal> {
        self.run(&CreateVerification { device, options })
    }

    /// What the phone says of the verification with this id.
    fn say(
        &mut self,
        phone: &Phone,
        id: Uuid,
        approve: bool,
        number: &str,
    ) -> Result<Outcome, Refusal> {
        let mut verifications = self.user.mfa.verifications.iter();
        let text = verifications.find(|it| it.id == id).map(|pending| {
            let challenged = Challenged::of(&self.core, self.user.id, pending);
            signed::answer(&challenged, number, approve)
        });
        let signature = phone.sign(&text.unwrap_or_default());
        self.give(
            id,
            &Answer::Decide(Decision {
                approve,
                number: number.to_owned(),
                signature,
            }),
        )
    }

    fn give(&mut self, id: Uuid, answer: &Answer) -> Result<Outcome, Refusal> {
        self.run(&GiveAnswer {
            id,
            from: Origin::Person,
            answer: Data::of(answer),
        })
    }

    fn deny_one(&mut self, phone: &Phone, device: DeviceId) {
        let id = self.challenge(device).unwrap().verification.id;
        let denied = self.say(phone, id, false, "");
        assert!(matches!(denied, Ok(Outcome::Ended)), "{denied:?}");
    }

    fn approve_one(&mut self, phone: &Phone, device: DeviceId) {
        let id = self.challenge(device).unwrap().verification.id;
        let approved = self.say(phone, id, true, "");
        assert!(matches!(approved, Ok(Outcome::Accepted(_))), "{approved:?}");
    }

    fn ending(&self, id: Uuid) -> (Status, Option<Ending>) {
        let verification =
            crate::mfa::verification::view(&self.user, self.finished.get(&id), id, self.now);
        let verification = verification.unwrap();
        (verification.status, verification.ending)
    }

    fn alarms(&self) -> usize {
        let alarms = self.events.iter();
        let alarms = alarms.filter(|it| it.action == Action::RaiseAlarm);
        alarms
            .filter(|it| it.refused == Some(Reason::Fatigue))
            .count()
    }

    fn last_reason(&self) -> Option<Reason> {
        self.events.last().unwrap().refused
    }
}

fn activation_code(view: &RegistrationView) -> String {
    let code = view.shown.verification_token.as_ref().unwrap();
    code.expose_secret().to_owned()
}

fn asking_for_a_number() -> Options {
    Options {
        number_matching: true,
        ..Options::default()
    }
}

fn on_a_page() -> Options {
    Options {
        redirect_to: Some("http://localhost:3000/".to_owned()),
        ..asking_for_a_number()
    }
}

#[test]
fn a_code_activates_one_app_once_and_for_ten_minutes() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let registration = CreateRegistration {
        expires_in: Some(900),
        ..registration_of(PROTECT)
    };
    let view = world.run(&registration).unwrap();
    let code = activation_code(&view);
    assert_eq!(protect::normal(&code).len(), 26, "128 bits of base32");
    let url = view.shown.totp_url.unwrap().expose_secret().to_owned();
    assert_eq!(
        url,
        format!(
            "factord://activate?code={}&url=http%3A%2F%2Flocalhost%3A8080&service=Example%20%26%20Co",
            protect::normal(&code)
        )
    );
    world.advance(600);
    assert_eq!(
        world.activate(&phone, &code),
        Err(Refusal::Unauthorized(Reason::Expired))
    );
    let code = activation_code(&world.register(PROTECT).unwrap());
    let lower = code.to_lowercase().replace('-', " ");
    world.activate(&phone, &lower).unwrap();
    let again = world.activate(&Phone::new(2), &code);
    assert_eq!(again, Err(Refusal::Unauthorized(Reason::Used)));
    assert_eq!(world.last_reason(), Some(Reason::Used));
    assert_eq!(world.user.mfa.devices.len(), 1);
}

#[test]
fn nothing_that_the_phone_has_not_signed_counts_and_the_fifth_ends_it() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    let (first, second) = (
        world.challenge(device).unwrap().verification,
        world.challenge(device).unwrap().verification,
    );
    let core = Challenged::of(&world.core, world.user.id, &first);
    let denial = phone.sign(&signed::answer(&core, "", false));
    let of_first = phone.sign(&signed::answer(&core, "", true));
    let approve = |signature: &str| {
        Answer::Decide(Decision {
            approve: true,
            number: String::new(),
            signature: signature.to_owned(),
        })
    };
    let forged = Err(Refusal::Unauthorized(Reason::Forged));
    let say =
        |world: &mut World, id, signature: &str| world.give(id, &approve(signature)).map(|_| ());
    // A denial turned round, another challenge's approval, another's key, one bit, nothing.
    assert_eq!(say(&mut world, first.id, &denial), forged);
    assert_eq!(say(&mut world, second.id, &of_first), forged);
    let stranger = world.say(&Phone::new(2), second.id, true, "");
    assert_eq!(stranger.map(|_| ()), forged);
    assert_eq!(world.last_reason(), Some(Reason::Forged));
    assert_eq!(say(&mut world, second.id, ""), forged);
    let last = of_first.chars().last().unwrap();
    let bent = format!(
        "{}{}",
        &of_first[..of_first.len() - 1],
        if last == 'A' { 'Q' } else { 'A' }
    );
    assert_eq!(say(&mut world, first.id, &bent), forged);
    // The right one still counts.
    let accepted = world.give(first.id, &approve(&of_first));
    assert!(matches!(accepted, Ok(Outcome::Accepted(_))));
    assert_eq!(world.ending(first.id), (Status::Accepted, None));
    // Once more is too late; the fifth forgery of another ends that one.
    let again = say(&mut world, first.id, &of_first);
    assert_eq!(again, Err(Refusal::Unauthorized(Reason::Finished)));
    for _ in 0..2 {
        assert_eq!(say(&mut world, second.id, ""), forged);
    }
    assert_eq!(
        world.ending(second.id),
        (Status::Rejected, Some(Ending::TooManyGuesses))
    );
    // None of it bars the person.
    world.approve_one(&phone, device);
}

#[test]
fn what_is_shown_is_what_is_signed() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    let options = Options {
        display_name: Some("the wiki".to_owned()),
        ..Options::default()
    };
    let verification = world.push(device, options).unwrap().verification;
    let text = |verification: &crate::mfa::user::Verification| {
        let challenged = Challenged::of(&world.core, world.user.id, verification);
        signed::answer(&challenged, "", true)
    };
    let whole = text(&verification);
    let number = device.number().get().to_string();
    assert_eq!(
        String::from_utf8(whole.clone()).unwrap(),
        format!(
            "21:factord app v1 answer,36:{},1:7,{}:{number},12:Example & Co,20:2023-11-14T22:13:30Z,8:the wiki,0:,7:approve,",
            verification.id,
            number.len()
        )
    );
    let mut other = verification.clone();
    other.display_name = Some("the bank".to_owned());
    assert_ne!(text(&other), whole);
    other = verification;
    other.created_at = other.created_at.plus(1);
    assert_ne!(text(&other), whole);
}

#[test]
fn a_number_is_asked_for_as_the_policy_says() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    for (policy, asked, expected) in [
        (NumberMatching::Off, true, None),
        (NumberMatching::OnRequest, false, None),
        (NumberMatching::OnRequest, true, Some(2)),
        (NumberMatching::Always, false, Some(2)),
    ] {
        world.core.policies.everybody.number_matching = policy;
        let options = Options {
            number_matching: asked,
            ..Options::default()
        };
        let view = world.push(device, options).unwrap();
        let number = view.shown.number.clone();
        assert_eq!(number.as_ref().map(String::len), expected, "{policy:?}");
        let id = view.verification.id;
        let approved = world.say(&phone, id, true, &number.unwrap_or_default());
        assert!(matches!(approved, Ok(Outcome::Accepted(_))));
    }
    world.core.policies.everybody.number_digits = 6;
    let view = world.push(device, asking_for_a_number()).unwrap();
    assert_eq!(view.shown.number.unwrap().len(), 6);
}

#[test]
fn a_wrong_number_denies() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    let view = world.push(device, asking_for_a_number()).unwrap();
    let right = view.shown.number.unwrap();
    let wrong = format!("{:02}", (right.parse::<u32>().unwrap() + 1) % 100);
    let id = view.verification.id;
    let said = world.say(&phone, id, true, &wrong);
    assert!(matches!(said, Ok(Outcome::Ended)));
    assert_eq!(world.ending(id), (Status::Rejected, Some(Ending::Denied)));
    assert_eq!(world.last_reason(), Some(Reason::Wrong));
    assert_eq!(world.device_failures(device), 1);
    // A number where none is to be matched is wrong too.
    let id = world.challenge(device).unwrap().verification.id;
    let said = world.say(&phone, id, true, "42");
    assert!(matches!(said, Ok(Outcome::Ended)));
}

#[test]
fn three_denials_in_a_row_pause_push_and_raise_an_alarm() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    for _ in 0..2 {
        world.deny_one(&phone, device);
    }
    world.approve_one(&phone, device);
    for _ in 0..2 {
        world.deny_one(&phone, device);
    }
    assert_eq!(world.alarms(), 0);
    world.deny_one(&phone, device);
    assert_eq!(world.alarms(), 1);
    assert_eq!(world.challenge(device).unwrap_err(), Refusal::Paused(900));
    let told = |action, reason| {
        let events = world.events.iter();
        events
            .filter(|it| (it.action, it.refused) == (action, Some(reason)))
            .count()
    };
    let denied = told(Action::CompleteVerification, Reason::Denied);
    assert_eq!((denied, told(Action::RaiseAlarm, Reason::Fatigue)), (5, 1));
    world.advance(899);
    assert_eq!(world.challenge(device).unwrap_err(), Refusal::Paused(1));
    world.advance(1);
    // One more denial is enough, until there is an approval.
    world.deny_one(&phone, device);
    assert_eq!(
        (world.alarms(), world.challenge(device).unwrap_err()),
        (2, Refusal::Paused(900))
    );
    world.advance(900);
    world.approve_one(&phone, device);
    world.deny_one(&phone, device);
    world.challenge(device).unwrap();
}

#[test]
fn ten_pushes_without_an_answer_pause_push_and_an_approval_ends_the_pause() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    for _ in 0..5 {
        world.challenge(device).unwrap();
        world.advance(120);
    }
    world.approve_one(&phone, device);
    let mut last = Uuid::nil();
    for pushes in 0..10 {
        assert_eq!(world.alarms(), 0, "{pushes}");
        last = world.challenge(device).unwrap().verification.id;
    }
    assert_eq!(world.alarms(), 1);
    assert_eq!(world.challenge(device).unwrap_err(), Refusal::Paused(900));
    let approved = world.say(&phone, last, true, "");
    assert!(matches!(approved, Ok(Outcome::Accepted(_))));
    world.challenge(device).unwrap();
}

#[test]
fn three_are_open_at_most_and_the_oldest_ends() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    let ids: Vec<_> = (0..4)
        .map(|_| world.challenge(device).unwrap().verification.id)
        .collect();
    assert_eq!(
        world.ending(ids[0]),
        (Status::Rejected, Some(Ending::Superseded))
    );
    let (_, waiting) =
        protect::waiting(&world.core, &world.user, device.number(), world.now).unwrap();
    let waiting: Vec<_> = waiting.iter().map(|it| it.verification.id).collect();
    assert_eq!(waiting, ids[1..]);
    assert!(matches!(
        world.say(&phone, ids[0], true, ""),
        Err(Refusal::Unauthorized(Reason::Superseded))
    ));
    world.advance(120);
    assert!(matches!(
        world.say(&phone, ids[3], true, ""),
        Err(Refusal::Unauthorized(Reason::Expired))
    ));
}

#[test]
fn with_a_page_the_number_is_seen_in_one_browser_and_approving_accepts_nothing() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    let view = world.push(device, on_a_page()).unwrap();
    assert!(view.verification.on_page && view.shown.number.is_none());
    let id = view.verification.id;
    let state = |world: &World, secret| {
        let pending = world.user.mfa.verifications.iter().find(|it| it.id == id);
        page::state(&world.core, world.user.id, pending.unwrap(), secret).unwrap()
    };
    assert!(matches!(state(&world, Some("one")), PageState::Unopened));
    for secret in ["one", "two"] {
        let opened = world.give(id, &Answer::Open(secret.to_owned()));
        assert!(matches!(opened, Ok(Outcome::Pending)));
    }
    assert!(matches!(state(&world, Some("two")), PageState::Elsewhere));
    assert!(matches!(state(&world, None), PageState::Elsewhere));
    let PageState::Here {
        number,
        approved: false,
    } = state(&world, Some("one"))
    else {
        panic!()
    };
    let early = world.give(id, &Answer::Take("one".to_owned()));
    assert!(early.is_err());
    let said = world.say(&phone, id, true, number.expose_secret());
    assert!(matches!(said, Ok(Outcome::Pending)));
    assert_eq!(world.ending(id), (Status::Pending, None));
    let (_, waiting) =
        protect::waiting(&world.core, &world.user, device.number(), world.now).unwrap();
    assert!(waiting.is_empty());
    let foreign = world.give(id, &Answer::Take("two".to_owned()));
    assert!(foreign.is_err());
    let Ok(Outcome::OnPage { otp, .. }) = world.give(id, &Answer::Take("one".to_owned())) else {
        panic!()
    };
    assert_eq!(world.ending(id), (Status::Pending, None));
    assert!(matches!(state(&world, Some("one")), PageState::Done));
    world.complete(id, otp.expose_secret()).unwrap();
    assert_eq!(world.ending(id), (Status::Accepted, None));
}

#[test]
fn a_number_that_nobody_could_see_is_wrong_whatever_it_is() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    for number in 0..100 {
        let id = world.push(device, on_a_page()).unwrap().verification.id;
        let said = world.say(&phone, id, true, &format!("{number:02}"));
        assert!(matches!(said, Ok(Outcome::Ended)), "{number}");
        world.advance(900);
    }
}

#[test]
fn a_login_that_was_approved_on_a_page_can_still_be_denied() {
    let (mut world, phone) = (World::new(), Phone::new(1));
    let device = world.enrol_phone(&phone);
    let id = world.push(device, on_a_page()).unwrap().verification.id;
    world.give(id, &Answer::Open("one".to_owned())).unwrap();
    let pending = world.user.mfa.verifications.last().unwrap();
    let PageState::Here { number, .. } =
        page::state(&world.core, world.user.id, pending, Some("one")).unwrap()
    else {
        panic!()
    };
    world.say(&phone, id, true, number.expose_secret()).unwrap();
    world.say(&phone, id, false, "").unwrap();
    assert_eq!(world.ending(id), (Status::Rejected, Some(Ending::Denied)));
}
