use super::*;
use crate::audit::Reason;

#[test]
fn a_totp_code_is_accepted_once() {
    let mut world = World::new();
    let (device, secret) = world.enrol_authenticator();
    let code = world.totp(&secret, 0);
    assert_eq!(world.verify(Some(device), &code), Ok(()));
    assert_eq!(
        world.verify(Some(device), &code),
        Err(Refusal::Unauthorized(Reason::Used))
    );
    let id = world.challenge(device).unwrap().verification.id;
    assert_eq!(
        world.complete(id, &code),
        Err(Refusal::Unauthorized(Reason::Used))
    );
}

#[test]
fn a_code_that_the_next_step_repeats_by_chance_is_used_all_the_same() {
    let mut world = World::new();
    let (device, secret) = world.enrol_authenticator();
    // Found by trying one step after the other; the generator is seeded, so that the secret is always the same.
    world.advance(544_901 * otp::STEP_SECONDS);

    let digits = world.totp(&secret, 0);
    assert_eq!(digits, world.totp(&secret, 1));
    assert_eq!(world.verify(Some(device), &digits), Ok(()));
    for _ in 0..2 {
        assert_eq!(
            world.verify(Some(device), &digits),
            Err(Refusal::Unauthorized(Reason::Used))
        );
        world.advance(otp::STEP_SECONDS);
    }
    assert_eq!(world.device_failures(device), 0);
    let other = world.totp(&secret, 1);
    assert_ne!(other, digits);
    assert_eq!(world.verify(Some(device), &other), Ok(()));
}

#[test]
fn the_code_that_confirmed_the_registration_is_used() {
    let mut world = World::new();
    let view = world.register(AUTHENTICATOR).unwrap();
    let code = world.totp(&secret_of(&view), 0);
    let device = world.confirm(view.registration.id, &code).unwrap();
    assert_eq!(
        world.verify(Some(device), &code),
        Err(Refusal::Unauthorized(Reason::Used))
    );
}

#[test]
fn the_window_is_one_step_to_each_side_and_no_more() {
    for steps in -3..=3 {
        let mut world = World::new();
        let (device, secret) = world.enrol_authenticator();
        world.advance(300);
        let code = world.totp(&secret, steps);
        let expected = match steps {
            -1..=1 => Ok(()),
            _ => Err(Refusal::Unauthorized(Reason::OutsideWindow(
                i32::try_from(steps).unwrap(),
            ))),
        };
        assert_eq!(world.verify(Some(device), &code), expected, "{steps} steps");
    }
}

#[test]
fn an_older_step_is_refused_once_a_newer_one_was_accepted() {
    let mut world = World::new();
    let (device, secret) = world.enrol_authenticator();
    world.advance(300);
    let (older, newer) = (world.totp(&secret, 0), world.totp(&secret, 1));
    assert_eq!(world.verify(Some(device), &newer), Ok(()));
    assert_eq!(
        world.verify(Some(device), &older),
        Err(Refusal::Unauthorized(Reason::Used))
    );
    assert_eq!(
        world.device_failures(device),
        1,
        "an older step is a guess, unlike the code accepted last"
    );
}

#[test]
fn a_clock_that_goes_back_makes_no_used_code_usable() {
    let mut world = World::new();
    let (device, secret) = world.enrol_authenticator();
    world.advance(300);
    let code = world.totp(&secret, 0);
    assert_eq!(world.verify(Some(device), &code), Ok(()));
    world.advance(-60);
    for steps in -1..=1 {
        let code = world.totp(&secret, steps);
        assert!(world.verify(Some(device), &code).is_err(), "{steps} steps");
    }
}

#[test]
fn a_code_that_was_sent_is_accepted_once() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    let (id, code) = world.send(device);
    assert_eq!(world.complete(id, &code), Ok(()));
    assert_eq!(
        world.complete(id, &code),
        Err(Refusal::Unauthorized(Reason::Used))
    );
    assert_eq!(
        world.verify(Some(device), &code),
        Err(Refusal::Unauthorized(Reason::Used))
    );
    assert_eq!(
        world.verify(None, &code),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
}

#[test]
fn the_code_accepted_last_sent_again_is_no_guess() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    let (id, code) = world.send(device);
    world.complete(id, &code).unwrap();
    let (newer, newer_code) = world.send(device);
    assert_ne!(code, newer_code);
    for _ in 0..10 {
        assert_eq!(
            world.complete(newer, &code),
            Err(Refusal::Unauthorized(Reason::Used))
        );
    }
    assert_eq!(
        (
            world.device_failures(device),
            world.user.mfa.throttle.failures
        ),
        (0, 0)
    );
    assert_eq!(world.complete(newer, &newer_code), Ok(()));
}

#[test]
fn a_number_that_lost_its_zeros_is_the_same_code_and_a_string_is_not() {
    let mut world = World::new();
    let device = world.enrol_verified(EMAIL);
    let (id, code) = loop {
        let (id, code) = world.send(device);
        if code.starts_with('0') {
            break (id, code);
        }
        world.advance(3_600);
    };
    let short = code.trim_start_matches('0').to_owned();
    assert_eq!(
        world.complete(id, &short),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
    let number = Code::Number(code.parse().unwrap());
    assert_eq!(
        world.run(&CompleteVerification {
            id,
            device: None,
            code: Some(number),
            evidence: None
        }),
        Ok(())
    );
}

#[test]
fn codes_of_other_lengths_and_alphabets_are_wrong_codes() {
    for odd in [
        "12345",
        "1234567",
        "123456789",
        "１２３４５６",
        " 123456",
        "123456 ",
        "",
        "abcdef",
    ] {
        let mut world = World::new();
        let device = world.enrol_verified(SMS);
        let (id, code) = world.send(device);
        assert_eq!(
            world.complete(id, odd),
            Err(Refusal::Unauthorized(Reason::Wrong)),
            "{odd:?}"
        );
        assert_eq!(world.device_failures(device), 1, "{odd:?}");
        let blanks = format!(" {code}");
        assert_eq!(
            world.complete(id, &blanks),
            Err(Refusal::Unauthorized(Reason::Wrong))
        );
    }
}
