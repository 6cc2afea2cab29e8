use zeroize::Zeroizing;

use super::super::device::DeleteDevice;
use super::super::import::{ImportToken, MOST_TOKENS};
use super::super::registration::enrollable;
use super::super::restored::EndRestored;
use super::*;
use crate::audit::{Action, Reason};
use crate::factor::token::NewToken;

const SEED: &[u8] = b"12345678901234567890";

fn import_of(world: &mut World, token: NewToken) -> Result<DeviceId, Refusal> {
    world.run(&ImportToken { token })
}

pub(super) fn import(world: &mut World, serial: &str, counter: u64) -> Result<DeviceId, Refusal> {
    import_of(world, token(serial, SEED, counter, 6))
}

fn token(serial: &str, seed: &[u8], counter: u64, digits: usize) -> NewToken {
    NewToken {
        serial: serial.to_owned(),
        seed: Zeroizing::new(seed.to_vec()),
        counter,
        digits,
    }
}

fn code(counter: u64, digits: usize) -> String {
    let value = otp::hotp(otp::Algorithm::Sha1, SEED, counter, digits);
    format!("{value:0digits$}")
}

const fn wrong_for(reason: Reason) -> Result<(), Refusal> {
    Err(Refusal::Unauthorized(reason))
}

#[test]
fn a_token_stands_beside_an_app_whichever_comes_first() {
    let mut world = World::new();
    let first = import(&mut world, "1", 0).unwrap();
    assert!(enrollable(&world.core, &world.user).any(|(id, _)| id == AUTHENTICATOR));
    let (app, secret) = world.enrol_authenticator();
    let second = import(&mut world, "2", 4).unwrap();
    assert!(!enrollable(&world.core, &world.user).any(|(id, _)| id == AUTHENTICATOR));
    assert_eq!(world.verify(Some(first), &code(0, 6)), Ok(()));
    assert_eq!(world.verify(Some(second), &code(4, 6)), Ok(()));
    let totp = world.totp(&secret, 0);
    assert_eq!(world.verify(Some(app), &totp), Ok(()));
    for device in [first, app, second] {
        world.challenge(device).unwrap();
    }
    // Each with a counter of its own, in one decision.
    assert_eq!(world.verify(None, &code(1, 6)), Ok(()));
    assert_eq!(world.verify(None, &code(13, 6)), Ok(()));
    assert_eq!(world.device_failures(second), 0);
}

#[test]
fn a_code_is_accepted_once_and_a_number_has_its_zeros_back() {
    let mut world = World::new();
    let device = import_of(&mut world, token("1", SEED, 0, 8)).unwrap();
    let zero = (1..1_000).find(|counter| code(*counter, 8).starts_with('0'));
    for counter in 0..=zero.unwrap() {
        let id = world.challenge(device).unwrap().verification.id;
        let answer = |id| CompleteVerification {
            id,
            device: None,
            code: Some(Code::Number(code(counter, 8).parse().unwrap())),
            evidence: None,
        };
        assert_eq!(world.run(&answer(id)), Ok(()), "{counter}");
        let id = world.challenge(device).unwrap().verification.id;
        assert_eq!(world.run(&answer(id)), wrong_for(Reason::Used));
    }
    assert_eq!(world.device_failures(device), 0);
}

#[test]
fn two_codes_in_a_row_find_a_token_again_and_the_first_is_counted() {
    let mut world = World::new();
    let device = import(&mut world, "1", 0).unwrap();
    let far = world.verify(Some(device), &code(500, 6));
    assert_eq!(far, wrong_for(Reason::OutsideWindow(500)));
    assert_eq!(world.device_failures(device), 1);
    assert_eq!(world.user.mfa.throttle.failures, 1);
    assert_eq!(world.verify(Some(device), &code(501, 6)), Ok(()));
    assert_eq!(world.device_failures(device), 0);
    assert_eq!(
        world.verify(Some(device), &code(499, 6)),
        wrong_for(Reason::Used)
    );
    assert_eq!(world.verify(Some(device), &code(502, 6)), Ok(()));
}

#[test]
fn while_a_device_is_delayed_no_code_is_looked_at_and_none_finds_it() {
    let mut world = World::new();
    let device = import(&mut world, "1", 0).unwrap();
    for _ in 0..4 {
        world.verify(Some(device), "000000").unwrap_err();
    }
    world.verify(Some(device), &code(500, 6)).unwrap_err();
    let delayed = world.verify(Some(device), &code(501, 6));
    assert_eq!(delayed, Err(Refusal::Delayed(30)));
    world.advance(30);
    assert_eq!(world.verify(Some(device), &code(501, 6)), Ok(()));
}

#[test]
fn a_token_is_one_users_and_what_was_used_of_it_stays_used_under_the_next() {
    let mut world = World::new();
    let device = import(&mut world, "1", 0).unwrap();
    assert_eq!(import(&mut world, "1", 0), Err(Refusal::invalid("serial")));
    world.verify(Some(device), &code(6, 6)).unwrap();
    world.run(&DeleteDevice { device }).unwrap();

    (world.user.id, world.user.mfa) = (UserId::new(8).unwrap(), Mfa::default());
    let device = import(&mut world, "1", 0).unwrap();
    let used = world.verify(Some(device), &code(6, 6));
    assert_eq!(used, wrong_for(Reason::Used));
    assert_eq!(world.verify(Some(device), &code(7, 6)), Ok(()));

    // With another seed it is another token.
    world.run(&DeleteDevice { device }).unwrap();
    let device = import_of(&mut world, token("1", &[7; 20], 0, 6)).unwrap();
    let value = otp::hotp(otp::Algorithm::Sha1, &[7; 20], 0, 6);
    assert_eq!(world.verify(Some(device), &format!("{value:06}")), Ok(()));
}

#[test]
fn an_import_leaves_an_event_and_no_seed_in_the_clear_and_has_a_bound() {
    let mut world = World::new();
    for serial in 0..MOST_TOKENS {
        import(&mut world, &serial.to_string(), 0).unwrap();
    }
    let event = world.events.last().unwrap();
    assert_eq!((event.action, event.refused), (Action::ImportDevice, None));
    assert_eq!(import(&mut world, "x", 0), Err(Refusal::invalid("user")));
    let kept = format!(
        "{}{}",
        serde_json::to_string(&world.user.mfa).unwrap(),
        serde_json::to_string(&world.hardware).unwrap()
    );
    for seed in [
        data_encoding::BASE32_NOPAD.encode(SEED),
        data_encoding::BASE64_NOPAD.encode(SEED),
        String::from_utf8(SEED.to_vec()).unwrap(),
    ] {
        assert!(!kept.contains(&seed));
    }
}

#[test]
fn a_token_of_a_restored_database_accepts_nothing_until_it_is_imported_anew() {
    let mut world = World::new();
    let device = import(&mut world, "1", 0).unwrap();
    assert_eq!(world.run(&EndRestored::default()).unwrap().disabled, 1);
    assert!(world.verify(Some(device), &code(0, 6)).is_err());
    world.run(&DeleteDevice { device }).unwrap();
    let anew = import(&mut world, "1", 5).unwrap();
    assert!(world.verify(Some(anew), &code(4, 6)).is_err());
    assert_eq!(world.verify(Some(anew), &code(5, 6)), Ok(()));
}
