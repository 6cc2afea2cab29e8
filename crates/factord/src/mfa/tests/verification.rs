use super::super::device::DeleteDevice;
use super::super::profile::UpdateProfile;
use super::super::user::{Ending, Status};
use super::super::verification::view;
use super::*;
use crate::audit::Reason;

fn status(world: &World, id: Uuid) -> (Status, Option<Ending>) {
    let read = view(&world.user, world.finished.get(&id), id, world.now).unwrap();
    (read.status, read.ending)
}

#[test]
fn the_code_that_was_sent_completes_its_verification() {
    let mut world = World::new();
    for factor in [SMS, EMAIL] {
        let device = world.enrol_verified(factor);
        let (id, code) = world.send(device);
        assert_eq!(status(&world, id), (Status::Pending, None));
        assert_eq!(world.complete(id, &code), Ok(()));
        assert_eq!(status(&world, id), (Status::Accepted, None));
    }
}

#[test]
fn a_code_lives_until_the_second_before_its_verification_expires() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    let (id, code) = world.send(device);
    world.advance(119);
    assert_eq!(world.complete(id, &code), Ok(()));
    let (id, code) = world.send(device);
    world.advance(120);
    assert_eq!(
        status(&world, id),
        (Status::Rejected, Some(Ending::Expired))
    );
    assert_eq!(
        world.complete(id, &code),
        Err(Refusal::Unauthorized(Reason::Expired))
    );
}

#[test]
fn the_operator_can_hold_the_life_of_a_code_below_that_of_its_verification() {
    let mut world = World::new();
    world.core.rules.max_code_lifetime = 600;
    let device = world.enrol_verified(SMS);
    let options = Options {
        expires_in: Some(900),
        ..Options::default()
    };
    let id = world
        .run(&CreateVerification { device, options })
        .unwrap()
        .verification
        .id;
    let code = world.last_code();
    world.advance(600);
    assert_eq!(
        world.complete(id, &code),
        Err(Refusal::Unauthorized(Reason::Expired))
    );
}

#[test]
fn a_new_challenge_ends_the_older_one_of_the_same_device_and_no_other() {
    let mut world = World::new();
    let (sms, email) = (world.enrol_verified(SMS), world.enrol_verified(EMAIL));
    let (older, older_code) = world.send(sms);
    let (other, other_code) = world.send(email);
    let (newer, newer_code) = world.send(sms);
    assert_eq!(
        status(&world, older),
        (Status::Rejected, Some(Ending::Superseded))
    );
    assert_eq!(
        world.complete(older, &older_code),
        Err(Refusal::Unauthorized(Reason::Superseded))
    );
    assert_eq!(world.complete(newer, &newer_code), Ok(()));
    assert_eq!(world.complete(other, &other_code), Ok(()));
}

#[test]
fn a_code_is_right_for_its_own_verification_alone() {
    let mut world = World::new();
    let (sms, email) = (world.enrol_verified(SMS), world.enrol_verified(EMAIL));
    let (first, code) = world.send(sms);
    let (second, _) = world.send(email);
    assert_eq!(
        world.complete(second, &code),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
    assert_eq!(world.complete(first, &code), Ok(()));
}

#[test]
fn several_logins_with_one_app_are_open_at_once_but_not_without_end() {
    let mut world = World::new();
    let (device, secret) = world.enrol_authenticator();
    let ids: Vec<_> = (0..11)
        .map(|_| world.challenge(device).unwrap().verification.id)
        .collect();
    assert_eq!(
        status(&world, ids[0]),
        (Status::Rejected, Some(Ending::Superseded))
    );
    let (first, second) = (world.totp(&secret, 0), world.totp(&secret, 1));
    assert_eq!(world.complete(ids[1], &first), Ok(()));
    assert_eq!(world.complete(ids[10], &second), Ok(()));
}

#[test]
fn a_code_without_a_device_is_tried_on_what_is_open() {
    let mut world = World::new();
    let (sms, email) = (world.enrol_verified(SMS), world.enrol_verified(EMAIL));
    let (first, _) = world.send(sms);
    let (second, code) = world.send(email);
    assert_eq!(world.verify(None, &code), Ok(()));
    assert_eq!(status(&world, second), (Status::Accepted, None));
    assert_eq!(status(&world, first), (Status::Pending, None));
}

#[test]
fn a_device_id_that_is_not_the_verifications_own_is_no_guess() {
    let mut world = World::new();
    let (sms, email) = (world.enrol_verified(SMS), world.enrol_verified(EMAIL));
    let (id, code) = world.send(sms);
    let other = CompleteVerification {
        id,
        device: Some(email),
        code: Some(Code::text(&code)),
        evidence: None,
    };
    assert_eq!(world.run(&other), Err(Refusal::invalid("device_id")));
    let own = CompleteVerification {
        id,
        device: Some(sms),
        code: Some(Code::text(&code)),
        evidence: None,
    };
    assert_eq!(world.run(&own), Ok(()));
}

#[test]
fn without_a_code_nothing_is_looked_at() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    let (id, code) = world.send(device);
    assert_eq!(
        world.run(&CompleteVerification {
            id,
            device: None,
            code: None,
            evidence: None
        }),
        Err(Refusal::NoCode)
    );
    assert_eq!(world.device_failures(device), 0);
    assert_eq!(world.complete(id, &code), Ok(()));
}

#[test]
fn deleting_a_device_ends_its_verifications_which_stay_readable() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    let (id, code) = world.send(device);
    world.run(&DeleteDevice { device }).unwrap();
    assert_eq!(
        status(&world, id),
        (Status::Rejected, Some(Ending::DeviceDeleted))
    );
    assert_eq!(
        world.complete(id, &code),
        Err(Refusal::Unauthorized(Reason::Finished))
    );
    assert_eq!(world.challenge(device).unwrap_err(), Refusal::NotFound);
}

#[test]
fn suspending_ends_what_is_open_and_lets_nothing_begin() {
    let mut world = World::new();
    let (sms, (app, secret)) = (world.enrol_verified(SMS), world.enrol_authenticator());
    let (id, code) = world.send(sms);
    world
        .run(&UpdateProfile {
            status: Some(2),
            ..UpdateProfile::default()
        })
        .unwrap();
    assert_eq!(
        status(&world, id),
        (Status::Rejected, Some(Ending::UserNotActive))
    );
    assert_eq!(world.complete(id, &code), Err(Refusal::NotActive));
    assert_eq!(world.challenge(sms).unwrap_err(), Refusal::NotActive);
    let totp = world.totp(&secret, 0);
    assert_eq!(world.verify(Some(app), &totp), Err(Refusal::NotActive));
    assert_eq!(world.verify(None, &totp), Err(Refusal::NotActive));
}

#[test]
fn the_sixth_message_in_ten_minutes_is_not_sent() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    for _ in 0..5 {
        world.challenge(device).unwrap();
    }
    let open = world.user.mfa.verifications.clone();
    assert_eq!(
        world.challenge(device).unwrap_err(),
        Refusal::TooManyMessages(600)
    );
    assert_eq!(
        (world.messages.len(), &world.user.mfa.verifications),
        (5, &open)
    );
    world.advance(600);
    assert!(world.challenge(device).is_ok());
}

#[test]
fn values_that_are_not_allowed_start_nothing() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    for options in [
        Options {
            expires_in: Some(119),
            ..Options::default()
        },
        Options {
            display_name: Some(String::new()),
            ..Options::default()
        },
        Options {
            redirect_to: Some("https://elsewhere.test/".to_owned()),
            ..Options::default()
        },
        Options {
            custom_message: Some("no code".to_owned()),
            ..Options::default()
        },
    ] {
        let refused = world
            .run(&CreateVerification { device, options })
            .unwrap_err();
        assert!(matches!(refused, Refusal::Invalid(_)), "{refused:?}");
    }
    assert!(world.messages.is_empty() && world.user.mfa.verifications.is_empty());
}

#[test]
fn a_message_that_cannot_be_sent_ends_what_it_was_for() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    let (id, code) = world.send(device);
    let about = world.messages.last().unwrap().about.unwrap();
    world
        .run(&super::super::undelivered::GiveUpMessage { about })
        .unwrap();
    assert_eq!(
        status(&world, id),
        (Status::Rejected, Some(Ending::DeliveryFailed))
    );
    assert_eq!(
        world.complete(id, &code),
        Err(Refusal::Unauthorized(Reason::Finished))
    );
}

#[test]
fn one_decision_leaves_one_event_of_one_device() {
    let mut world = World::new();
    let (sms, (app, secret)) = (world.enrol_verified(SMS), world.enrol_authenticator());
    let (id, code) = world.send(sms);
    let count = |world: &mut World, ask: &mut dyn FnMut(&mut World)| {
        let before = world.events.len() + world.repeats;
        ask(world);
        world.events.len() + world.repeats - before
    };
    let (totp, bad) = (world.totp(&secret, 0), never(&world, &secret));
    let asked: [&mut dyn FnMut(&mut World); 7] = [
        &mut |world| {
            world
                .complete(id, &wrong(&code))
                .unwrap_err()
                .reason_is(Reason::Wrong);
        },
        &mut |world| world.complete(id, &code).unwrap(),
        &mut |world| {
            world
                .complete(id, &code)
                .unwrap_err()
                .reason_is(Reason::Used);
        },
        &mut |world| {
            world
                .verify(Some(app), &bad)
                .unwrap_err()
                .reason_is(Reason::Wrong);
        },
        &mut |world| world.verify(Some(app), &totp).unwrap(),
        &mut |world| {
            world
                .verify(Some(app), &totp)
                .unwrap_err()
                .reason_is(Reason::Used);
        },
        &mut |world| {
            world
                .verify(None, &bad)
                .unwrap_err()
                .reason_is(Reason::Wrong);
        },
    ];
    for ask in asked {
        assert_eq!(count(&mut world, ask), 1);
    }
}

#[test]
fn a_code_for_a_named_device_is_compared_with_its_own_challenge() {
    let mut world = World::new();
    let (sms, email) = (world.enrol_verified(SMS), world.enrol_verified(EMAIL));
    let (first, code) = world.send(sms);
    let (second, other) = world.send(email);
    assert_eq!(
        world.verify(Some(sms), &other),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
    assert_eq!(world.verify(Some(sms), &code), Ok(()));
    assert_eq!(status(&world, first), (Status::Accepted, None));
    assert_eq!(status(&world, second), (Status::Pending, None));
}

trait ReasonIs {
    fn reason_is(&self, reason: Reason);
}

impl ReasonIs for Refusal {
    #[track_caller]
    fn reason_is(&self, reason: Reason) {
        assert_eq!(self.reason(), reason);
    }
}
