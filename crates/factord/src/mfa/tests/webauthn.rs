//! WebAuthn by a software authenticator: what is accepted, and everything that is not.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::{WEBAUTHN, World, registration_of};
use crate::audit::{Action, Reason};
use crate::factor::Shown;
use crate::factor::webauthn::Answer;
use crate::factor::webauthn::attestation::authorities;
use crate::factor::webauthn::relying_party::{RelyingParty, Settings, UserVerification};
use crate::factor::webauthn::soft_key::{Attests, Maker, SoftKey};
use crate::mfa::answer::{Accepted, GiveAnswer, Origin, Outcome};
use crate::mfa::data::Data;
use crate::mfa::ids::DeviceId;
use crate::mfa::refusal::Refusal;
use crate::mfa::registration::CreateRegistration;
use crate::mfa::user::{Finished, Status};
use crate::mfa::verification::{CreateVerification, Options};

const ORIGIN: &str = "http://localhost:8080";

impl World {
    /// What the caller sends as `credential`.
    fn send_credential(&mut self, id: Uuid, credential: Value) -> Result<Outcome, Refusal> {
        self.run(&GiveAnswer {
            id,
            from: Origin::Caller(None),
            answer: Data::of(&Answer::Caller(credential)),
        })
    }

    /// What the hosted page sends.
    fn send_from_page(&mut self, id: Uuid, credential: Value) -> Result<Outcome, Refusal> {
        self.run(&GiveAnswer {
            id,
            from: Origin::Person,
            answer: Data::of(&Answer::Page(credential)),
        })
    }

    fn begin_enrolment(&mut self) -> (Uuid, Value) {
        let view = self.register(WEBAUTHN).unwrap();
        (view.registration.id, options(&view.shown))
    }

    fn enrol_key(&mut self, key: &mut SoftKey) -> DeviceId {
        let (id, options) = self.begin_enrolment();
        let outcome = self.send_credential(id, key.create(&options)).unwrap();
        let Outcome::Accepted(Accepted::Registration(accepted)) = outcome else {
            panic!("{outcome:?}");
        };
        DeviceId::Device(accepted.device)
    }

    fn challenge_key(&mut self, device: DeviceId) -> (Uuid, Value) {
        let view = self.challenge(device).unwrap();
        (view.verification.id, options(&view.shown))
    }

    /// Challenges a key for a verification that has a page.
    fn challenge_on_page(&mut self, device: DeviceId) -> (Uuid, Value) {
        let redirect_to = Some("http://localhost:3000/in".to_owned());
        let view = self.run(&CreateVerification {
            device,
            options: Options {
                redirect_to,
                ..Options::default()
            },
        });
        let view = view.unwrap();
        (view.verification.id, options(&view.shown))
    }

    fn failures(&self, device: DeviceId) -> u32 {
        self.device_failures(device)
    }
}

fn options(shown: &Shown) -> Value {
    shown.public_key.as_ref().unwrap().read().unwrap()
}

fn reason(answer: Result<Outcome, Refusal>) -> Reason {
    match answer {
        Err(Refusal::Unauthorized(reason)) => reason,
        answer => panic!("{answer:?}"),
    }
}

/// The same credential with one byte of a field of its response changed.
fn tampered(mut credential: Value, field: &str) -> Value {
    let text = credential["response"][field].as_str().unwrap();
    let mut bytes = data_encoding::BASE64URL_NOPAD
        .decode(text.as_bytes())
        .unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    credential["response"][field] = json!(data_encoding::BASE64URL_NOPAD.encode(&bytes));
    credential
}

#[test]
fn a_key_is_enrolled_and_used_and_its_challenges_are_erased() {
    let mut world = World::new();
    let mut key = SoftKey::new(ORIGIN);
    let device = world.enrol_key(&mut key);
    for _ in 0..3 {
        let (id, options) = world.challenge_key(device);
        let outcome = world.send_credential(id, key.get(&options)).unwrap();
        assert!(matches!(
            outcome,
            Outcome::Accepted(Accepted::Verification(_))
        ));
        let Finished::Verification(finished) = &world.finished[&id] else {
            panic!()
        };
        assert_eq!(
            (finished.status, &finished.data),
            (Status::Accepted, &Data::default())
        );
    }
    let kept = serde_json::to_string(&world.user.mfa).unwrap();
    assert!(!kept.contains("challenge"), "{kept}");
    let kept = world.user.mfa.device(device.number()).unwrap();
    let factor = world.core.catalogue.factor(WEBAUTHN).unwrap();
    let detail = factor.detail(kept).unwrap();
    assert_eq!(
        detail,
        "bound to one device, verifies the person, sign count 3"
    );
}

#[test]
fn the_options_say_who_asks_for_whom_and_are_the_same_at_every_reading() {
    let mut world = World::new();
    let view = world.register(WEBAUTHN).unwrap();
    let mut created = options(&view.shown);
    assert_eq!(created["challenge"].take().as_str().unwrap().len(), 43);
    assert_eq!(created["user"]["id"].take().as_str().unwrap().len(), 22);
    insta::assert_json_snapshot!("creation", created);
    let factor = world.core.catalogue.factor(WEBAUTHN).unwrap();
    let user = &world.user;
    let again = factor
        .show(&world.core, user.id, &user.profile, &view.registration)
        .unwrap();
    assert_eq!(again.public_key, view.shown.public_key);
    let url = |shown: &Shown| shown.url.as_ref().unwrap().expose_secret().to_owned();
    assert_eq!(url(&again), url(&view.shown));
    let token = url(&again)
        .strip_prefix("http://localhost:8080/enrol/")
        .unwrap()
        .to_owned();
    assert_eq!(token.len(), 64);
    assert!(!serde_json::to_string(&user.mfa).unwrap().contains(&token));

    let mut key = SoftKey::new(ORIGIN);
    key.id = vec![9; 16];
    let device = world.enrol_key(&mut key);
    let (_, mut requested) = world.challenge_key(device);
    requested["challenge"].take();
    insta::assert_json_snapshot!("request", requested);
}

#[test]
fn several_keys_of_a_user_each_answer_their_own_challenge() {
    let mut world = World::new();
    let (mut one, mut two) = (SoftKey::new(ORIGIN), SoftKey::new(ORIGIN));
    let first = world.enrol_key(&mut one);
    let (id, options) = world.begin_enrolment();
    let excluded: Vec<_> = options["excludeCredentials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].clone())
        .collect();
    assert_eq!(
        excluded,
        [json!(data_encoding::BASE64URL_NOPAD.encode(&one.id))]
    );
    assert_eq!(
        reason(world.send_credential(id, one.create(&options))),
        Reason::Forged
    );
    world.send_credential(id, two.create(&options)).unwrap();
    let second = DeviceId::Device(world.user.mfa.devices[1].number);
    let (to_first, asked_first) = world.challenge_key(first);
    let (to_second, asked_second) = world.challenge_key(second);
    assert_eq!(
        reason(world.send_credential(to_first, two.get(&asked_first))),
        Reason::Forged
    );
    world
        .send_credential(to_first, one.get(&asked_first))
        .unwrap();
    world
        .send_credential(to_second, two.get(&asked_second))
        .unwrap();
    for _ in 2..10 {
        world.enrol_key(&mut SoftKey::new(ORIGIN));
    }
    assert!(
        matches!(world.register(WEBAUTHN), Err(Refusal::Invalid(names)) if names == ["factor_id"])
    );
}

#[test]
fn a_new_key_from_elsewhere_or_without_proof_is_refused_and_counted() {
    type Change = fn(&mut SoftKey, &mut Value);
    let changes: [(&str, Change, Reason); 9] = [
        (
            "another origin",
            |key, _| key.origin = "http://evil.test".into(),
            Reason::Forged,
        ),
        (
            "a name below",
            |key, _| key.origin = "http://a.localhost:8080".into(),
            Reason::Forged,
        ),
        (
            "another port",
            |key, _| key.origin = "http://localhost:8081".into(),
            Reason::Forged,
        ),
        (
            "another scheme",
            |key, _| key.origin = "https://localhost:8080".into(),
            Reason::Forged,
        ),
        ("a frame", |key, _| key.cross_origin = true, Reason::Forged),
        (
            "another relying party",
            |key, _| key.rp_id = "evil.test".into(),
            Reason::Forged,
        ),
        (
            "another challenge",
            |_, options| options["challenge"] = json!("AAAA"),
            Reason::Forged,
        ),
        (
            "an unverified person",
            |key, _| key.verifies_user = false,
            Reason::NotVerified,
        ),
        (
            "no challenge",
            |_, options| *options = Value::Null,
            Reason::Forged,
        ),
    ];
    let mut world = World::new();
    for (what, change, expected) in changes {
        let (id, options) = world.begin_enrolment();
        let (mut key, mut changed) = (SoftKey::new(ORIGIN), options.clone());
        change(&mut key, &mut changed);
        assert_eq!(
            reason(world.send_credential(id, key.create(&changed))),
            expected,
            "{what}"
        );
        assert_eq!(world.user.mfa.registrations[0].guesses, 1, "{what}");
        let event = world.events.last().unwrap();
        assert_eq!(
            (event.action, event.refused),
            (Action::ConfirmRegistration, Some(expected))
        );
    }
    let (id, options) = world.begin_enrolment();
    let mut key = SoftKey::new(ORIGIN);
    for wrong in [json!({}), json!("x"), json!([]), key.get(&options)] {
        assert_eq!(reason(world.send_credential(id, wrong)), Reason::Forged);
    }
    // A packed statement whose signature is of something else.
    key.attests = Attests::Itself;
    let mut swapped = key.create(&options);
    key.origin.push('/');
    let client = key.create(&options)["response"]["clientDataJSON"].clone();
    swapped["response"]["clientDataJSON"] = client;
    assert_eq!(reason(world.send_credential(id, swapped)), Reason::Forged);
    let right = SoftKey::new(ORIGIN).create(&options);
    assert_eq!(reason(world.send_credential(id, right)), Reason::Finished);
    assert!(world.user.mfa.devices.is_empty());
}

#[test]
fn an_assertion_that_is_forged_or_another_keys_is_refused_and_counted() {
    type Forge = fn(&mut SoftKey, &Value) -> Value;
    let forgeries: [(&str, Forge, Reason); 11] = [
        (
            "another origin",
            |key, asked| {
                key.origin = "http://evil.test".into();
                key.get(asked)
            },
            Reason::Forged,
        ),
        (
            "another port",
            |key, asked| {
                key.origin = "http://localhost:1".into();
                key.get(asked)
            },
            Reason::Forged,
        ),
        (
            "a frame",
            |key, asked| {
                key.cross_origin = true;
                key.get(asked)
            },
            Reason::Forged,
        ),
        (
            "another relying party",
            |key, asked| {
                key.rp_id = "evil.test".into();
                key.get(asked)
            },
            Reason::Forged,
        ),
        (
            "a stale challenge",
            |key, _| key.get(&json!({"challenge": "AAAA"})),
            Reason::Forged,
        ),
        (
            "a changed signature",
            |key, asked| tampered(key.get(asked), "signature"),
            Reason::Forged,
        ),
        (
            "changed data",
            |key, asked| tampered(key.get(asked), "authenticatorData"),
            Reason::Forged,
        ),
        (
            "another's key",
            |_, asked| SoftKey::new(ORIGIN).get(asked),
            Reason::Forged,
        ),
        (
            "another's key by the same id",
            |key, asked| {
                let mut other = SoftKey::new(ORIGIN);
                other.id.clone_from(&key.id);
                other.get(asked)
            },
            Reason::Forged,
        ),
        (
            "an unverified person",
            |key, asked| {
                key.verifies_user = false;
                key.get(asked)
            },
            Reason::NotVerified,
        ),
        ("a new key", |key, asked| key.create(asked), Reason::Forged),
    ];
    for (what, forge, expected) in forgeries {
        let mut world = World::new();
        let mut key = SoftKey::new(ORIGIN);
        let device = world.enrol_key(&mut key);
        let (id, asked) = world.challenge_key(device);
        let forged = forge(&mut key, &asked);
        assert_eq!(
            reason(world.send_credential(id, forged)),
            expected,
            "{what}"
        );
        assert_eq!(
            (
                world.failures(device),
                world.user.mfa.verifications[0].guesses
            ),
            (1, 1),
            "{what}"
        );
        let event = world.events.last().unwrap();
        assert_eq!(
            (event.action, event.refused),
            (Action::CompleteVerification, Some(expected))
        );
    }
}

#[test]
fn an_assertion_that_is_replayed_is_refused_and_does_not_bar_the_owner() {
    let mut world = World::new();
    let mut key = SoftKey::new(ORIGIN);
    let device = world.enrol_key(&mut key);
    let (first, asked) = world.challenge_key(device);
    let assertion = key.get(&asked);
    world.send_credential(first, assertion.clone()).unwrap();
    assert_eq!(
        reason(world.send_credential(first, assertion.clone())),
        Reason::Finished
    );
    let (second, asked) = world.challenge_key(device);
    for _ in 0..5 {
        assert_eq!(
            reason(world.send_credential(second, assertion.clone())),
            Reason::Forged
        );
    }
    assert_eq!(
        reason(world.send_credential(second, key.get(&asked))),
        Reason::Finished
    );
    // Who guesses cannot bar the owner.
    let (third, asked) = world.challenge_key(device);
    world.send_credential(third, key.get(&asked)).unwrap();
}

#[test]
fn a_counter_that_goes_back_is_refused_and_alarms() {
    let mut world = World::new();
    let mut key = SoftKey::new(ORIGIN);
    let device = world.enrol_key(&mut key);
    key.counter = 7;
    let (id, asked) = world.challenge_key(device);
    world.send_credential(id, key.get(&asked)).unwrap();
    for counter in [7, 0] {
        key.counter = counter;
        let (id, asked) = world.challenge_key(device);
        let answer = world.send_credential(id, key.get(&asked));
        assert_eq!(reason(answer), Reason::CounterWentBack);
        assert_eq!(world.events.last().unwrap().action, Action::RaiseAlarm);
    }
    key.counter = 8;
    let (id, asked) = world.challenge_key(device);
    world.send_credential(id, key.get(&asked)).unwrap();
}

#[test]
fn a_key_that_does_not_count_is_used_again_and_again() {
    let mut world = World::new();
    let mut key = SoftKey::new(ORIGIN);
    key.counts = false;
    let device = world.enrol_key(&mut key);
    for _ in 0..2 {
        let (id, asked) = world.challenge_key(device);
        world.send_credential(id, key.get(&asked)).unwrap();
    }
}

#[test]
fn on_the_page_a_key_gives_the_browser_a_code_and_accepts_nothing() {
    let mut world = World::new();
    let mut key = SoftKey::new(ORIGIN);
    let device = world.enrol_key(&mut key);
    let (id, asked) = world.challenge_on_page(device);
    let assertion = key.get(&asked);
    let Outcome::OnPage { otp, redirect_to } = world.send_from_page(id, assertion.clone()).unwrap()
    else {
        panic!("it was accepted");
    };
    assert_eq!(redirect_to.as_deref(), Some("http://localhost:3000/in"));
    assert_eq!(world.user.mfa.verifications[0].status, Status::Pending);
    // What was answered is not answered again, by nobody.
    assert_eq!(
        reason(world.send_from_page(id, assertion.clone())),
        Reason::Used
    );
    assert_eq!(reason(world.send_credential(id, assertion)), Reason::Used);
    world.complete(id, otp.expose_secret()).unwrap();
}

#[test]
fn neither_the_caller_nor_the_pages_visitor_takes_the_others_way() {
    let mut world = World::new();
    let mut key = SoftKey::new(ORIGIN);
    let device = world.enrol_key(&mut key);
    let (id, asked) = world.challenge_on_page(device);
    for wrap in ["page", "caller"] {
        let wrapped = |credential| json!({wrap: credential});
        assert_eq!(
            reason(world.send_credential(id, wrapped(key.get(&asked)))),
            Reason::Forged
        );
        assert_eq!(
            reason(world.send_from_page(id, wrapped(key.get(&asked)))),
            Reason::Forged
        );
    }
    // The caller may have the ceremony on a page of its own.
    let outcome = world.send_credential(id, key.get(&asked)).unwrap();
    assert!(matches!(outcome, Outcome::Accepted(_)));
    // A verification without a page is answered by its caller alone.
    let (id, asked) = world.challenge_key(device);
    assert_eq!(
        reason(world.send_from_page(id, key.get(&asked))),
        Reason::Invalid
    );
}

#[test]
fn under_a_policy_of_attestation_only_allowed_models_are_enrolled() {
    let (allowed, other) = ([7; 16], [8; 16]);
    let maker = Maker::of(allowed);
    let roots = authorities(&maker.root(), &[Uuid::from_bytes(allowed)]).unwrap();
    let mut world = World::new();
    world.core.webauthn = Some(RelyingParty::new(Settings {
        id: "localhost",
        origins: vec![Url::parse(ORIGIN).unwrap()],
        user_verification: UserVerification::Required,
        attestation: Some(roots),
    }));
    let by = |maker| Attests::Maker(Box::new(maker));
    for attests in [
        Attests::None,
        Attests::Itself,
        by(Maker::of(allowed)),
        by(maker.model(other)),
    ] {
        let (id, asked) = world.begin_enrolment();
        assert_eq!(asked["attestation"], "direct");
        let mut key = SoftKey::new(ORIGIN);
        key.attests = attests;
        assert_eq!(
            reason(world.send_credential(id, key.create(&asked))),
            Reason::NotTrusted
        );
    }
    let mut key = SoftKey::new(ORIGIN);
    key.attests = by(maker);
    let device = world.enrol_key(&mut key);
    let (id, asked) = world.challenge_key(device);
    world.send_credential(id, key.get(&asked)).unwrap();
}

#[test]
fn where_verification_is_preferred_a_key_goes_on_as_it_began() {
    let mut world = World::new();
    world.core.webauthn = Some(RelyingParty::new(Settings {
        id: "localhost",
        origins: vec![Url::parse(ORIGIN).unwrap()],
        user_verification: UserVerification::Preferred,
        attestation: None,
    }));
    let (mut plain, mut verifying) = (SoftKey::new(ORIGIN), SoftKey::new(ORIGIN));
    plain.verifies_user = false;
    let (one, two) = (world.enrol_key(&mut plain), world.enrol_key(&mut verifying));
    let (id, asked) = world.challenge_key(one);
    world.send_credential(id, plain.get(&asked)).unwrap();
    let (id, asked) = world.challenge_key(two);
    verifying.verifies_user = false;
    assert_eq!(
        reason(world.send_credential(id, verifying.get(&asked))),
        Reason::NotVerified
    );
}

#[test]
fn a_key_attests_itself_where_nobody_asks_for_more() {
    let mut world = World::new();
    let mut key = SoftKey::new(ORIGIN);
    key.attests = Attests::Itself;
    world.enrol_key(&mut key);
    assert!(
        world
            .run(&CreateRegistration {
                verified: true,
                ..registration_of(WEBAUTHN)
            })
            .is_err()
    );
}
