use super::super::answer::{GiveAnswer, Origin, Outcome};
use super::super::data::Data;
use super::super::device::DeleteDevice;
use super::super::noted::{About, NoteRefusal};
use super::super::registration;
use super::super::user::Ending;
use super::*;
use crate::audit::{Action, Reason};
use crate::delivery::message::Channel;
use crate::factor::voice::{CallEvent, Report, of_link};

fn call(world: &World) -> String {
    let (_, token) = of_link(world.messages.last().unwrap().link.as_deref().unwrap()).unwrap();
    token.expose_secret().to_owned()
}

fn report(world: &mut World, id: Uuid, token: &str, event: CallEvent) -> Result<Outcome, Refusal> {
    world.run(&GiveAnswer {
        id,
        from: Origin::Person,
        answer: Data::of(&Report {
            token: token.to_owned(),
            event,
        }),
    })
}

fn digits(world: &mut World, id: Uuid, text: &str) -> Result<Outcome, Refusal> {
    let token = call(world);
    report(world, id, &token, CallEvent::Digits(text.to_owned()))
}

fn told(shown: &crate::factor::Shown) -> String {
    let code = shown.verification_token.as_ref().unwrap();
    code.expose_secret().to_owned()
}

/// A started verification, and the code that the caller is told.
fn challenged(world: &mut World) -> (DeviceId, Uuid, String) {
    let device = world.enrol_verified(VOICE);
    let view = world.challenge(device).unwrap();
    let code = told(&view.shown);
    (device, view.verification.id, code)
}

fn ending(world: &World, id: Uuid) -> Option<Ending> {
    match &world.finished[&id] {
        Finished::Registration(it) => it.ending,
        Finished::Verification(it) => it.ending,
    }
}

fn last_refusal(world: &World) -> Option<Reason> {
    world.events.last().unwrap().refused
}

#[test]
fn the_caller_reads_the_code_until_it_is_typed_and_the_message_never_holds_it() {
    let mut world = World::new();
    let view = world.register(VOICE).unwrap();
    let (id, code) = (view.registration.id, told(&view.shown));
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
    let message = world.messages.last().unwrap().clone();
    assert_eq!(
        (message.channel, message.to.as_str()),
        (Channel::Voice, "+14155550100")
    );
    assert!(!message.body.contains(&code) && message.code.is_none());
    assert!(message.body.contains("Example & Co"));
    assert!(
        message
            .link
            .as_ref()
            .unwrap()
            .starts_with("http://localhost:8080/voice/")
    );
    let read = |world: &World| {
        let finished = world.finished.get(&id);
        registration::view(&world.core, &world.user, finished, id, world.now)
            .unwrap()
            .unwrap()
            .shown
            .verification_token
            .map(|code| code.expose_secret().to_owned())
    };
    assert_eq!(read(&world), Some(code.clone()));
    let stored = serde_json::to_string(&world.user.mfa).unwrap();
    assert!(!stored.contains(&code) && !stored.contains(&call(&world)));

    assert!(matches!(
        digits(&mut world, id, &code),
        Ok(Outcome::Accepted(_))
    ));
    assert_eq!((read(&world), world.user.mfa.devices.len()), (None, 1));
    assert_eq!(
        digits(&mut world, id, &code).unwrap_err(),
        Refusal::Unauthorized(Reason::Finished)
    );
    assert_eq!(world.user.mfa.devices.len(), 1);
}

#[test]
fn verified_takes_the_phone_as_proven_and_rings_nobody() {
    let mut world = World::new();
    world.enrol_verified(VOICE);
    assert_eq!((world.user.mfa.devices.len(), world.messages.len()), (1, 0));
}

#[test]
fn what_is_typed_completes_a_verification_once() {
    let mut world = World::new();
    let (_, id, code) = challenged(&mut world);
    assert!(matches!(
        digits(&mut world, id, &code),
        Ok(Outcome::Accepted(_))
    ));
    assert_eq!(ending(&world, id), None);
    assert_eq!(
        digits(&mut world, id, &code).unwrap_err(),
        Refusal::Unauthorized(Reason::Finished)
    );
    assert_eq!(last_refusal(&world), Some(Reason::Finished));
}

#[test]
fn the_code_from_the_caller_is_refused_and_counted_and_the_phone_still_counts() {
    let mut world = World::new();
    let view = world.register(VOICE).unwrap();
    let code = told(&view.shown);
    let by_caller = world.confirm(view.registration.id, &code);
    assert_eq!(by_caller.unwrap_err(), Refusal::NotByCode);
    assert!(matches!(
        digits(&mut world, view.registration.id, &code),
        Ok(Outcome::Accepted(_))
    ));

    let device = DeviceId::Device(view.registration.device);
    let view = world.challenge(device).unwrap();
    let (id, code) = (view.verification.id, told(&view.shown));
    let wrong = Err(Refusal::Unauthorized(Reason::Wrong));
    assert_eq!(world.complete(id, &code), wrong);
    assert_eq!(world.verify(Some(device), &code), wrong);
    assert_eq!(world.device_failures(device), 2);
    let credential = GiveAnswer {
        id,
        from: Origin::Caller(None),
        answer: Data::of(&Report {
            token: call(&world),
            event: CallEvent::Digits(code.clone()),
        }),
    };
    assert_eq!(world.run(&credential).unwrap_err(), Refusal::NotByCode);
    // The caller's tries count among the three.
    assert!(matches!(
        digits(&mut world, id, &code),
        Ok(Outcome::Accepted(_))
    ));
    assert_eq!(world.device_failures(device), 0);
}

#[test]
fn three_wrong_codes_end_a_call_whatever_is_enrolled_or_verified_and_count_for_the_device() {
    let mut world = World::new();
    let (device, id, code) = challenged(&mut world);
    for _ in 0..2 {
        let refused = digits(&mut world, id, &wrong(&code)).unwrap_err();
        assert_eq!(refused, Refusal::Unauthorized(Reason::Wrong));
    }
    assert!(matches!(digits(&mut world, id, "*"), Ok(Outcome::Ended)));
    assert_eq!(ending(&world, id), Some(Ending::TooManyGuesses));
    assert_eq!(world.device_failures(device), 3);
    assert!(digits(&mut world, id, &code).is_err());
    // The next call goes on counting: from the fifth in a row nothing is looked at for a while.
    let view = world.challenge(device).unwrap();
    let (id, code) = (view.verification.id, told(&view.shown));
    for _ in 0..2 {
        digits(&mut world, id, &wrong(&code)).unwrap_err();
    }
    assert_eq!(
        digits(&mut world, id, &code).unwrap_err(),
        Refusal::Delayed(30)
    );

    let mut world = World::new();
    let view = world.register(VOICE).unwrap();
    let (id, code) = (view.registration.id, told(&view.shown));
    for _ in 0..2 {
        digits(&mut world, id, &wrong(&code)).unwrap_err();
    }
    assert!(matches!(digits(&mut world, id, ""), Ok(Outcome::Ended)));
    assert_eq!(ending(&world, id), Some(Ending::TooManyGuesses));
    assert!(digits(&mut world, id, &code).is_err());
    assert!(world.user.mfa.devices.is_empty());
}

#[test]
fn the_end_of_a_call_counts_also_while_guesses_are_held_back() {
    let mut world = World::new();
    let (device, id, code) = challenged(&mut world);
    for _ in 0..3 {
        drop(digits(&mut world, id, &wrong(&code)));
    }
    let view = world.challenge(device).unwrap();
    let (id, code, token) = (view.verification.id, told(&view.shown), call(&world));
    for _ in 0..2 {
        digits(&mut world, id, &wrong(&code)).unwrap_err();
    }
    let delayed = digits(&mut world, id, &code).unwrap_err();
    assert_eq!(delayed, Refusal::Delayed(30));
    let ended = report(&mut world, id, &token, CallEvent::HungUp);
    assert!(matches!(ended, Ok(Outcome::Ended)));
    assert_eq!(ending(&world, id), Some(Ending::HungUp));
    world.advance(31);
    assert!(digits(&mut world, id, &code).is_err());

    // The delay of the user holds back the digits of an enrolment, and not its end.
    world.user.mfa.throttle.until = Some(world.now.plus(60));
    world.run(&DeleteDevice { device }).unwrap();
    let id = world.register(VOICE).unwrap().registration.id;
    let token = call(&world);
    let ended = report(&mut world, id, &token, CallEvent::HungUp);
    assert!(matches!(ended, Ok(Outcome::Ended)));
    assert_eq!(ending(&world, id), Some(Ending::HungUp));
}

#[test]
fn fewer_guesses_by_the_rules_hold_for_calls_too() {
    let mut world = World::new();
    world.core.rules.guesses_per_verification = 1;
    let (_, id, code) = challenged(&mut world);
    assert!(matches!(
        digits(&mut world, id, &wrong(&code)),
        Ok(Outcome::Ended)
    ));
    assert_eq!(ending(&world, id), Some(Ending::TooManyGuesses));
}

#[test]
fn hanging_up_and_not_answering_reject_with_their_reasons() {
    for (word, expected, reason) in [
        ("hung_up", Ending::HungUp, Reason::HungUp),
        ("no_answer", Ending::NoAnswer, Reason::NoAnswer),
    ] {
        let event = || serde_json::from_value(word.into()).unwrap();
        let mut world = World::new();
        let (device, id, code) = challenged(&mut world);
        let token = call(&world);
        assert!(matches!(
            report(&mut world, id, &token, event()),
            Ok(Outcome::Ended)
        ));
        assert_eq!(ending(&world, id), Some(expected));
        assert_eq!(last_refusal(&world), Some(reason));
        assert_eq!(world.device_failures(device), 0);
        assert!(digits(&mut world, id, &code).is_err());

        let mut world = World::new();
        let id = world.register(VOICE).unwrap().registration.id;
        let token = call(&world);
        assert!(matches!(
            report(&mut world, id, &token, event()),
            Ok(Outcome::Ended)
        ));
        assert_eq!(ending(&world, id), Some(expected));
    }
}

#[test]
fn digits_after_the_end_of_time_are_refused_and_audited() {
    let mut world = World::new();
    let (device, id, code) = challenged(&mut world);
    world.advance(120);
    let refused = digits(&mut world, id, &code).unwrap_err();
    assert_eq!(refused, Refusal::Unauthorized(Reason::Expired));
    assert_eq!(ending(&world, id), Some(Ending::Expired));
    assert_eq!(last_refusal(&world), Some(Reason::Expired));
    assert_eq!(world.device_failures(device), 0);
}

#[test]
fn a_code_lives_no_longer_than_the_rules_say() {
    let mut world = World::new();
    world.core.rules.max_code_lifetime = 120;
    let device = world.enrol_verified(VOICE);
    let options = Options {
        expires_in: Some(600),
        ..Options::default()
    };
    let view = world.run(&CreateVerification { device, options }).unwrap();
    let (id, code) = (view.verification.id, told(&view.shown));
    world.advance(120);
    assert!(matches!(digits(&mut world, id, &code), Ok(Outcome::Ended)));
    assert_eq!(ending(&world, id), Some(Ending::Expired));
}

#[test]
fn a_newer_call_ends_the_older_and_its_digits_and_its_end_count_for_nothing() {
    let mut world = World::new();
    let (device, older, older_code) = challenged(&mut world);
    let old_token = call(&world);
    let view = world.challenge(device).unwrap();
    let (id, code) = (view.verification.id, told(&view.shown));
    assert_eq!(ending(&world, older), Some(Ending::Superseded));
    let typed = CallEvent::Digits(older_code);
    assert!(report(&mut world, older, &old_token, typed).is_err());
    assert!(report(&mut world, older, &old_token, CallEvent::HungUp).is_err());
    // The old call's link is of no use for the new one, whatever is said by it.
    for event in [CallEvent::Digits(code.clone()), CallEvent::HungUp] {
        let refused = report(&mut world, id, &old_token, event).unwrap_err();
        assert_eq!(refused, Refusal::Unauthorized(Reason::Forged));
    }
    assert!(matches!(
        digits(&mut world, id, &code),
        Ok(Outcome::Accepted(_))
    ));
}

#[test]
fn a_word_that_the_gateway_has_not_signed_changes_nothing_and_cannot_fill_the_trail() {
    let mut world = World::new();
    let (device, id, _) = challenged(&mut world);
    let before = serde_json::to_value(&world.user.mfa.verifications).unwrap();
    let events = world.events.len();
    let unsigned = |id| NoteRefusal {
        action: Action::CompleteVerification,
        about: About::Pending(id),
        reason: Reason::NotSigned,
    };
    for _ in 0..5 {
        world.run(&unsigned(id)).unwrap();
    }
    assert_eq!(
        serde_json::to_value(&world.user.mfa.verifications).unwrap(),
        before
    );
    assert_eq!((world.events.len(), world.repeats), (events + 1, 4));
    let event = world.events.last().unwrap();
    assert_eq!(
        (event.device, event.refused),
        (Some(device), Some(Reason::NotSigned))
    );
    let id = {
        let mut fresh = World::new();
        let id = fresh.register(VOICE).unwrap().registration.id;
        fresh.run(&unsigned(id)).unwrap();
        assert_eq!(
            fresh.events.last().unwrap().action,
            Action::ConfirmRegistration
        );
        id
    };
    world.run(&unsigned(id)).unwrap();
    assert_eq!(world.events.last().unwrap().device, None);
}

#[test]
fn an_answer_of_another_form_is_wrong_and_a_suspended_user_is_told_nothing_more() {
    let mut world = World::new();
    let (_, id, code) = challenged(&mut world);
    let nonsense = GiveAnswer {
        id,
        from: Origin::Person,
        answer: Data::of(&7),
    };
    let refused = world.run(&nonsense).unwrap_err();
    assert_eq!(refused, Refusal::Unauthorized(Reason::Invalid));
    world.user.profile.status = 2;
    assert_eq!(
        digits(&mut world, id, &code).unwrap_err(),
        Refusal::NotActive
    );
}
