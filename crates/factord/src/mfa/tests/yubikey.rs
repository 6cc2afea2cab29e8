use super::super::comparison::Evidence;
use super::super::device::DeleteDevice;
use super::super::registration::enrollable;
use super::super::user::Ending;
use super::*;
use crate::audit::{Action, Reason};
use crate::crypto::yubico_otp::tests::press;
use crate::crypto::yubico_otp::{Counter, PublicId, Secret};
use crate::factor::yubikey::NewKey;

/// A key in somebody's hand.
struct Key {
    id: PublicId,
    secret: Secret,
}

impl Key {
    /// A key that the installation does not know.
    fn new(number: u8) -> Self {
        let letters = ["cccccccccccb", "cccccccccccd", "ccccccccccce"];
        Self {
            id: letters[usize::from(number)].parse().unwrap(),
            secret: Secret::of([number; 6], [number + 1; 16]),
        }
    }

    fn imported(world: &mut World, number: u8) -> Self {
        let key = Self::new(number);
        let new = NewKey {
            public_id: key.id,
            serial: "5417533".to_owned(),
            secret: key.secret.clone(),
        };
        let (id, hardware) = new.seal(&world.core.keys, &mut world.rng);
        world.hardware.insert(id, hardware);
        key
    }

    fn press(&self, session: u16, uses: u8) -> String {
        press(self.id, &self.secret, Counter { session, uses }, [7; 5])
    }
}

/// Enrols the key by its first press in session 1.
fn enrol(world: &mut World, key: &Key) -> Result<DeviceId, Refusal> {
    let id = world.register(YUBIKEY).unwrap().registration.id;
    world.confirm(id, &key.press(1, 0))
}

fn reason(result: Result<(), Refusal>) -> Reason {
    match result.unwrap_err() {
        Refusal::Unauthorized(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_press_enrols_and_each_later_press_lets_in_once() {
    let mut world = World::new();
    let key = Key::imported(&mut world, 0);
    let device = enrol(&mut world, &key).unwrap();
    for (session, uses) in [(1, 1), (1, 9), (2, 0), (40, 3)] {
        let otp = key.press(session, uses);
        assert_eq!(world.verify(Some(device), &otp), Ok(()));
        assert_eq!(reason(world.verify(Some(device), &otp)), Reason::Used);
    }
    let id = world.challenge(device).unwrap().verification.id;
    let capitals = key.press(40, 4).to_uppercase();
    assert_eq!(world.complete(id, &capitals), Ok(()));
    world.challenge(device).unwrap();
    assert_eq!(world.verify(None, &key.press(40, 5)), Ok(()));
}

#[test]
fn counters_that_go_back_or_stand_still_are_refused_and_counted() {
    let mut world = World::new();
    let key = Key::imported(&mut world, 0);
    let device = enrol(&mut world, &key).unwrap();
    world.verify(Some(device), &key.press(5, 5)).unwrap();
    for (failures, (session, uses)) in (1..).zip([(5, 4), (4, 255), (1, 0)]) {
        let refused = world.verify(Some(device), &key.press(session, uses));
        assert_eq!(reason(refused), Reason::Used);
        assert_eq!(world.device_failures(device), failures);
    }
    // The press that enrolled it, and the last that let in, which sent again is no guess.
    assert_eq!(
        reason(world.verify(Some(device), &key.press(5, 5))),
        Reason::Used
    );
    assert_eq!(world.device_failures(device), 3);
    assert_eq!(world.user.mfa.throttle.failures, 0);
}

#[test]
fn every_wrong_press_is_counted_by_the_device_and_ends_the_verification_and_bars_nobody() {
    let mut world = World::new();
    let (key, other) = (Key::imported(&mut world, 0), Key::imported(&mut world, 1));
    let device = enrol(&mut world, &key).unwrap();
    let stolen_id = Key {
        id: key.id,
        secret: Secret::of([9; 6], [1; 16]),
    };
    let another_key = Key {
        id: key.id,
        secret: Secret::of([0; 6], [9; 16]),
    };
    let right = key.press(9, 0);
    let changed = format!(
        "{}{}",
        &right[..43],
        if right.ends_with('c') { 'b' } else { 'c' }
    );
    let cases = [
        (stolen_id.press(9, 0), Reason::Wrong),
        (another_key.press(9, 0), Reason::Wrong),
        (changed, Reason::Wrong),
        (other.press(9, 0), Reason::NotOwned),
        (Key::new(2).press(9, 0), Reason::NotOwned),
        ("0".repeat(44), Reason::Wrong),
        ("jxe.uidchtnbpygk".repeat(3)[..44].to_owned(), Reason::Wrong),
        (right[..43].to_owned(), Reason::Wrong),
        (format!("{right}\n"), Reason::Wrong),
    ];
    let id = world.challenge(device).unwrap().verification.id;
    for (failures, (otp, expected)) in (1..).zip(&cases) {
        let refused = if failures <= 5 {
            world.complete(id, otp)
        } else {
            world.verify(Some(device), otp)
        };
        assert_eq!(reason(refused), *expected, "{otp}");
        assert_eq!(world.device_failures(device), failures);
        let event = world.events.last().unwrap();
        assert_eq!(event.action, Action::CompleteVerification);
        assert_eq!(event.device, Some(device));
    }
    assert!(matches!(
        &world.finished[&id],
        Finished::Verification(it) if it.ending == Some(Ending::TooManyGuesses)
    ));
    assert_eq!(world.user.mfa.throttle.failures, 0);
    // Nothing of it moved the counter, and no delay holds the owner back.
    assert_eq!(world.verify(Some(device), &key.press(1, 1)), Ok(()));
}

#[test]
fn a_key_is_one_device_of_one_user_and_reads_to_all_others_like_none() {
    let mut world = World::new();
    let key = Key::imported(&mut world, 0);
    enrol(&mut world, &key).unwrap();
    let id = world.register(YUBIKEY).unwrap().registration.id;
    let unknown = world.confirm(id, &Key::new(2).press(7, 0)).unwrap_err();
    assert_eq!(world.confirm(id, &key.press(7, 0)), Err(unknown.clone()));

    let (first, mfa) = (world.user.id, world.user.mfa.clone());
    (world.user.id, world.user.mfa) = (UserId::new(8).unwrap(), Mfa::default());
    let id = world.register(YUBIKEY).unwrap().registration.id;
    for presses in 0..5 {
        assert_eq!(
            world.confirm(id, &key.press(8, presses)),
            Err(unknown.clone())
        );
    }
    assert!(matches!(
        &world.finished[&id],
        Finished::Registration(it) if it.ending == Some(Ending::TooManyGuesses)
    ));
    // None of that used a press up.
    (world.user.id, world.user.mfa) = (first, mfa);
    let device = DeviceId::Device(world.user.mfa.devices[0].number);
    assert_eq!(world.verify(Some(device), &key.press(7, 0)), Ok(()));
}

#[test]
fn a_deleted_key_can_be_enrolled_again_but_not_by_a_press_of_before() {
    let mut world = World::new();
    let key = Key::imported(&mut world, 0);
    let device = enrol(&mut world, &key).unwrap();
    world.verify(Some(device), &key.press(3, 0)).unwrap();
    world.run(&DeleteDevice { device }).unwrap();
    assert_eq!(
        enrol(&mut world, &key),
        Err(Refusal::Unauthorized(Reason::Used))
    );
    let id = world.register(YUBIKEY).unwrap().registration.id;
    let again = world.confirm(id, &key.press(3, 1)).unwrap();
    assert_eq!(world.verify(Some(again), &key.press(3, 2)), Ok(()));
}

#[test]
fn several_keys_stand_side_by_side_up_to_five() {
    let mut world = World::new();
    let devices: Vec<_> = (0..2)
        .map(|number| {
            let key = Key::imported(&mut world, number);
            (enrol(&mut world, &key).unwrap(), key)
        })
        .collect();
    // Both are challenged, and the press says of which it is.
    for (device, _) in &devices {
        world.challenge(*device).unwrap();
    }
    for (device, key) in &devices {
        assert_eq!(world.verify(None, &key.press(2, 0)), Ok(()));
        assert_eq!(world.verify(Some(*device), &key.press(2, 1)), Ok(()));
    }
    let device = world.user.mfa.devices[0].clone();
    assert!(enrollable(&world.core, &world.user).any(|(id, _)| id == YUBIKEY));
    world
        .user
        .mfa
        .devices
        .extend([device.clone(), device.clone(), device]);
    assert!(!enrollable(&world.core, &world.user).any(|(id, _)| id == YUBIKEY));
}

#[test]
fn what_a_server_answers_is_not_asked_where_keys_are_our_own() {
    let mut world = World::new();
    let key = Key::imported(&mut world, 0);
    let device = enrol(&mut world, &key).unwrap();
    let right = serde_json::json!({"right": {"session": 99, "uses": 0}});
    let forged = VerifyCode {
        device: Some(device),
        options: Options::default(),
        code: Code::text(
            &Key {
                id: key.id,
                secret: Secret::of([5; 6], [5; 16]),
            }
            .press(99, 0),
        ),
        evidence: Some(Evidence {
            device: device.number(),
            data: Data::of(&right),
        }),
    };
    assert_eq!(reason(world.run(&forged)), Reason::Wrong);
}
