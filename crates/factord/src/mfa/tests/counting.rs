use super::super::device::DeleteDevice;
use super::*;
use crate::audit::Reason;

#[test]
fn five_wrong_codes_end_a_verification_and_delay_the_device_and_the_user() {
    let mut world = World::new();
    let (sms, email) = (world.enrol_verified(SMS), world.enrol_verified(EMAIL));
    let (id, code) = world.send(sms);
    let (other, other_code) = world.send(email);
    for _ in 0..5 {
        assert_eq!(
            world.complete(id, &wrong(&code)),
            Err(Refusal::Unauthorized(Reason::Wrong))
        );
    }
    assert_eq!(world.complete(id, &code), Err(Refusal::Delayed(30)));
    assert_eq!(
        world.complete(other, &other_code),
        Err(Refusal::Delayed(30))
    );
    world.advance(29);
    assert_eq!(world.complete(other, &other_code), Err(Refusal::Delayed(1)));
    world.advance(1);
    assert_eq!(world.complete(other, &other_code), Ok(()));
    assert_eq!(
        world.complete(id, &code),
        Err(Refusal::Unauthorized(Reason::Finished))
    );
}

#[test]
fn a_new_challenge_clears_no_count_and_none_is_sent_while_delayed() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    let (id, code) = world.send(device);
    for _ in 0..3 {
        world.complete(id, &wrong(&code)).unwrap_err();
    }
    let (id, code) = world.send(device);
    for _ in 0..2 {
        assert_eq!(
            world.complete(id, &wrong(&code)),
            Err(Refusal::Unauthorized(Reason::Wrong))
        );
    }
    assert_eq!(world.complete(id, &code), Err(Refusal::Delayed(30)));
    assert_eq!(world.challenge(device).unwrap_err(), Refusal::Delayed(30));
    assert_eq!(world.messages.len(), 2);
}

#[test]
fn a_success_clears_the_count_of_its_own_device_and_the_users_delay() {
    let mut world = World::new();
    let (sms, (app, secret)) = (world.enrol_verified(SMS), world.enrol_authenticator());
    let (id, code) = world.send(sms);
    for _ in 0..4 {
        world.complete(id, &wrong(&code)).unwrap_err();
    }
    let (bad, totp) = (never(&world, &secret), world.totp(&secret, 0));
    world.verify(Some(app), &bad).unwrap_err();
    assert_eq!(
        world.verify(Some(app), &totp),
        Err(Refusal::Delayed(30)),
        "the fifth of the user"
    );
    world.advance(30);
    let totp = world.totp(&secret, 0);
    assert_eq!(world.verify(Some(app), &totp), Ok(()));
    assert_eq!(
        (world.device_failures(sms), world.device_failures(app)),
        (4, 0)
    );
    assert_eq!(world.user.mfa.throttle.failures, 0);
}

#[test]
fn the_hundredth_wrong_code_disables_the_device_for_good() {
    let mut world = World::new();
    let (app, secret) = world.enrol_authenticator();
    for count in 1..=100 {
        let bad = never(&world, &secret);
        assert_eq!(
            world.verify(Some(app), &bad),
            Err(Refusal::Unauthorized(Reason::Wrong)),
            "{count}"
        );
        world.advance(900);
    }
    world.advance(86_400 * 365);
    let code = world.totp(&secret, 0);
    assert_eq!(world.verify(Some(app), &code), Err(Refusal::Disabled));
    assert_eq!(world.challenge(app).unwrap_err(), Refusal::Disabled);
    assert_eq!(world.user.mfa.devices.len(), 1, "it stays listed");
    assert_eq!(
        world.register(AUTHENTICATOR).unwrap_err(),
        Refusal::invalid("factor_id")
    );
    world.run(&DeleteDevice { device: app }).unwrap();
    let (app, secret) = world.enrol_authenticator();
    let code = world.totp(&secret, 0);
    assert_eq!(world.verify(Some(app), &code), Ok(()));
}

#[test]
fn while_a_device_is_locked_nothing_is_looked_at_a_replay_neither() {
    let mut world = World::new();
    let (app, secret) = world.enrol_authenticator();
    let used = world.totp(&secret, 0);
    world.verify(Some(app), &used).unwrap();
    let bad = never(&world, &secret);
    for _ in 0..5 {
        world.verify(Some(app), &bad).unwrap_err();
    }
    let right = world.totp(&secret, 1);
    let before = world.user.mfa.devices.clone();
    for code in [&used, &right, &bad] {
        assert_eq!(world.verify(Some(app), code), Err(Refusal::Delayed(30)));
        assert_eq!(world.verify(None, code), Err(Refusal::Delayed(30)));
    }
    assert_eq!(world.user.mfa.devices, before);
}

#[test]
fn a_code_without_a_device_counts_against_everything_it_was_compared_with() {
    let mut world = World::new();
    let (sms, email) = (world.enrol_verified(SMS), world.enrol_verified(EMAIL));
    let (_, first) = world.send(sms);
    let (_, second) = world.send(email);
    let bad = (0..1_000_000)
        .map(|n| format!("{n:06}"))
        .find(|code| ![&first, &second].contains(&code))
        .unwrap();
    for _ in 0..4 {
        world.verify(None, &bad).unwrap_err();
    }
    assert_eq!(
        (world.device_failures(sms), world.device_failures(email)),
        (4, 4)
    );
    assert_eq!(world.user.mfa.throttle.failures, 4);
    world.verify(None, &bad).unwrap_err();
    assert!(
        world.user.mfa.verifications.is_empty(),
        "the fifth ends both"
    );
}

#[test]
fn refusals_of_a_locked_device_are_one_event_with_a_count() {
    let mut world = World::new();
    let (app, secret) = world.enrol_authenticator();
    let bad = never(&world, &secret);
    for _ in 0..5 {
        world.verify(Some(app), &bad).unwrap_err();
    }
    let before = world.events.len();
    for _ in 0..1_000 {
        world.verify(Some(app), &bad).unwrap_err();
    }
    assert_eq!((world.events.len() - before, world.repeats), (1, 999));
    assert_eq!(
        world.events.last().unwrap().refused,
        Some(Reason::Throttled)
    );
}
