use super::super::device::DeleteDevice;
use super::super::temporary_token::{CreateTemporaryToken, IssuedToken};
use super::*;
use crate::audit::Reason;

fn issue(world: &mut World, reusable: bool) -> IssuedToken {
    world
        .run(&CreateTemporaryToken {
            expires_in: None,
            reusable,
        })
        .unwrap()
}

#[test]
fn a_token_stands_in_for_a_device_once() {
    let mut world = World::new();
    let (device, _) = world.enrol_authenticator();
    let token = issue(&mut world, false);
    assert_eq!(token.digits.len(), 8);
    let id = world.challenge(device).unwrap().verification.id;
    assert_eq!(world.complete(id, &token.digits), Ok(()));
    assert!(matches!(world.finished[&id], Finished::Verification(ref it) if it.ending.is_none()));
    let id = world.challenge(device).unwrap().verification.id;
    for _ in 0..10 {
        let used = Err(Refusal::Unauthorized(Reason::Used));
        assert_eq!(world.complete(id, &token.digits), used);
        assert_eq!(world.verify(None, &token.digits), used);
    }
    assert_eq!(
        world.user.mfa.throttle.failures, 0,
        "sent again it is no guess"
    );
}

#[test]
fn a_reusable_token_works_until_it_expires() {
    let mut world = World::new();
    let token = world
        .run(&CreateTemporaryToken {
            expires_in: Some(120),
            reusable: true,
        })
        .unwrap();
    for _ in 0..3 {
        assert_eq!(world.verify(None, &token.digits), Ok(()));
        assert_eq!(world.verify(Some(token.device), &token.digits), Ok(()));
    }
    world.advance(120);
    assert_eq!(
        world.verify(None, &token.digits),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
    assert_eq!(
        world.verify(Some(token.device), &token.digits),
        Err(Refusal::NotFound)
    );
}

#[test]
fn a_token_sent_as_a_number_is_one_guess_not_two() {
    let mut world = World::new();
    let (device, secret) = world.enrol_authenticator();
    issue(&mut world, false);
    let id = world.challenge(device).unwrap().verification.id;
    let bad: u64 = never(&world, &secret).parse().unwrap();
    let number = CompleteVerification {
        id,
        device: None,
        code: Some(Code::Number(bad)),
        evidence: None,
    };
    world.run(&number).unwrap_err();
    assert_eq!(world.user.mfa.throttle.failures, 1);
    assert_eq!(world.device_failures(device), 1);
    assert_eq!(world.user.mfa.temporary_tokens[0].throttle.failures, 1);
}

#[test]
fn a_fourth_token_and_lives_out_of_bounds_are_refused() {
    let mut world = World::new();
    for expires_in in [-1, 0, 119, 259_201] {
        let command = CreateTemporaryToken {
            expires_in: Some(expires_in),
            reusable: false,
        };
        assert_eq!(
            world.run(&command).err(),
            Some(Refusal::invalid("expires_in"))
        );
    }
    for _ in 0..3 {
        issue(&mut world, false);
    }
    let fourth = CreateTemporaryToken {
        expires_in: None,
        reusable: false,
    };
    assert_eq!(
        world.run(&fourth).err(),
        Some(Refusal::invalid("mfa_token"))
    );
    world.advance(259_200);
    assert!(world.run(&fourth).is_ok());
}

#[test]
fn a_deleted_token_is_void() {
    let mut world = World::new();
    let token = issue(&mut world, true);
    world
        .run(&DeleteDevice {
            device: token.device,
        })
        .unwrap();
    assert_eq!(
        world.verify(None, &token.digits),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
    assert_eq!(
        world.run(&DeleteDevice {
            device: token.device
        }),
        Err(Refusal::NotFound)
    );
}

#[test]
fn a_challenge_for_a_token_needs_the_code() {
    let mut world = World::new();
    let token = issue(&mut world, true);
    assert_eq!(
        world.challenge(token.device).unwrap_err(),
        Refusal::invalid("otp")
    );
}

#[test]
fn guesses_at_a_token_are_delayed() {
    let mut world = World::new();
    let token = issue(&mut world, true);
    let bad = format!(
        "{:08}",
        (token.digits.parse::<u32>().unwrap() + 1) % 100_000_000
    );
    for _ in 0..5 {
        assert_eq!(
            world.verify(None, &bad),
            Err(Refusal::Unauthorized(Reason::Wrong))
        );
    }
    assert_eq!(world.verify(None, &token.digits), Err(Refusal::Delayed(30)));
    world.advance(30);
    assert_eq!(world.verify(None, &token.digits), Ok(()));
}

#[test]
fn a_success_with_a_token_leaves_the_count_of_the_device_it_stood_in_for() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    let token = issue(&mut world, false);
    let (id, code) = world.send(device);
    world.complete(id, &wrong(&code)).unwrap_err();
    assert_eq!(world.complete(id, &token.digits), Ok(()));
    assert_eq!(
        (
            world.device_failures(device),
            world.user.mfa.throttle.failures
        ),
        (1, 0)
    );
}
