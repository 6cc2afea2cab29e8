use super::super::comparison::Evidence;
use super::super::data::Data;
use super::super::registration::enrollable;
use super::super::restored::EndRestored;
use super::*;
use crate::audit::Reason;

/// Confirms a set; the codes, as they were shown.
pub(super) fn enrol(world: &mut World, code: Option<usize>) -> (DeviceId, Vec<String>) {
    let view = world.register(RECOVERY_CODES).unwrap();
    let shown = view.shown.recovery_codes.as_ref().unwrap();
    let codes: Vec<_> = shown
        .iter()
        .map(|code| code.expose_secret().to_owned())
        .collect();
    let evidence = work_of_confirmation(world, view.registration.id);
    let confirm = ConfirmRegistration {
        id: view.registration.id,
        code: code.map(|index| Code::text(&codes[index])),
        evidence: Some(evidence),
    };
    let confirmed = world.run(&confirm).unwrap();
    (DeviceId::Device(confirmed.device), codes)
}

fn work_of_confirmation(world: &mut World, id: Uuid) -> Data {
    let pending = world
        .user
        .mfa
        .registrations
        .iter()
        .find(|pending| pending.id == id)
        .unwrap();
    let factor = world.core.catalogue.factor(RECOVERY_CODES).unwrap();
    let work =
        factor.prepare_confirmation(&world.core, world.user.id, pending, None, &mut world.rng);
    computed(work.unwrap())
}

/// Verifies at once, with what the service computes beforehand.
pub(super) fn verify(world: &mut World, device: DeviceId, code: &str) -> Result<(), Refusal> {
    let factor = world.core.catalogue.factor(RECOVERY_CODES).unwrap();
    let kept = world.user.mfa.device(device.number()).unwrap();
    let evidence = factor
        .prepare(kept, &Code::text(code), &mut world.rng)
        .map(|work| Evidence {
            device: device.number(),
            data: computed(work),
        });
    world.run(&VerifyCode {
        device: Some(device),
        options: Options::default(),
        code: Code::text(code),
        evidence,
    })
}

fn left(world: &World, device: DeviceId) -> String {
    let factor = world.core.catalogue.factor(RECOVERY_CODES).unwrap();
    factor
        .detail(world.user.mfa.device(device.number()).unwrap())
        .unwrap()
}

#[test]
fn codes_of_a_restored_database_let_nobody_in_until_there_is_a_new_set() {
    let mut world = World::new();
    let (device, codes) = enrol(&mut world, None);
    assert_eq!(world.run(&EndRestored::default()).unwrap().disabled, 1);
    for code in &codes {
        assert_eq!(verify(&mut world, device, code), Err(Refusal::Disabled));
    }
    let (anew, codes) = enrol(&mut world, None);
    assert_eq!(verify(&mut world, anew, &codes[0]), Ok(()));
}

#[test]
fn each_of_ten_codes_lets_in_once_however_it_is_typed() {
    let mut world = World::new();
    let (device, codes) = enrol(&mut world, None);
    assert_eq!(
        (codes.len(), left(&world, device)),
        (10, "10 of 10 codes left".to_owned())
    );
    let typed = codes[0].to_lowercase().replace('-', " ");
    assert_eq!(verify(&mut world, device, &typed), Ok(()));
    assert_eq!(left(&world, device), "9 of 10 codes left");
    assert_eq!(
        verify(&mut world, device, &codes[0]),
        Err(Refusal::Unauthorized(Reason::Used))
    );
    assert_eq!(verify(&mut world, device, &codes[9]), Ok(()));
}

#[test]
fn a_code_that_confirms_the_set_stays_usable_and_another_confirms_nothing() {
    let mut world = World::new();
    let (device, codes) = enrol(&mut world, Some(3));
    assert_eq!(verify(&mut world, device, &codes[3]), Ok(()));

    let id = world.register(RECOVERY_CODES).unwrap().registration.id;
    let evidence = Some(work_of_confirmation(&mut world, id));
    let old = ConfirmRegistration {
        id,
        code: Some(Code::text(&codes[4])),
        evidence,
    };
    assert_eq!(world.run(&old), Err(Refusal::Unauthorized(Reason::Wrong)));
}

#[test]
fn nothing_of_a_code_is_kept_but_its_hash() {
    let mut world = World::new();
    let (_, codes) = enrol(&mut world, None);
    let kept = serde_json::to_string(&world.user.mfa).unwrap();
    for code in &codes {
        assert!(!kept.contains(&code.replace('-', "")[1..]));
    }
    assert!(
        world
            .finished
            .values()
            .all(|it| matches!(it, Finished::Registration(it) if it.data == Data::default()))
    );
}

#[test]
fn a_new_set_ends_the_old_one() {
    let mut world = World::new();
    let (old, codes) = enrol(&mut world, None);
    assert!(enrollable(&world.core, &world.user).any(|(id, _)| id == RECOVERY_CODES));
    let pending = world.challenge(old).unwrap().verification.id;
    let (new, _) = enrol(&mut world, None);
    assert_eq!(world.user.mfa.devices.len(), 1);
    assert!(matches!(
        world.finished[&pending],
        Finished::Verification(_)
    ));
    assert_eq!(
        verify(&mut world, new, &codes[0]),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
}

#[test]
fn whoever_guesses_short_codes_does_not_bar_the_owner_of_a_long_one() {
    let mut world = World::new();
    let sms = world.enrol_verified(SMS);
    let (device, codes) = enrol(&mut world, None);
    let (id, code) = world.send(sms);
    for _ in 0..5 {
        world.complete(id, &wrong(&code)).unwrap_err();
    }
    assert_eq!(world.challenge(sms).unwrap_err(), Refusal::Delayed(30));
    assert_eq!(verify(&mut world, device, &codes[0]), Ok(()));
}

#[test]
fn what_is_no_code_at_all_is_a_wrong_one() {
    let mut world = World::new();
    let (device, codes) = enrol(&mut world, None);
    let other = format!(
        "{}{}",
        &codes[0][..codes[0].len() - 1],
        if codes[0].ends_with('A') { 'B' } else { 'A' }
    );
    for odd in [
        "",
        "A",
        "ZZZZZ-ZZZZZ-ZZZZ",
        "A2345-67890-1234",
        "123456",
        &codes[0][1..],
        &other,
    ] {
        assert_eq!(
            verify(&mut world, device, odd),
            Err(Refusal::Unauthorized(Reason::Wrong)),
            "{odd}"
        );
    }
    assert_eq!(left(&world, device), "10 of 10 codes left");
}

#[test]
fn while_the_user_is_delayed_a_long_code_is_looked_at_and_a_temporary_token_is_not() {
    let mut world = World::new();
    let (device, codes) = enrol(&mut world, None);
    let token = world
        .run(&super::super::temporary_token::CreateTemporaryToken {
            expires_in: None,
            reusable: true,
        })
        .unwrap();
    for _ in 0..5 {
        world.verify(None, "000000").unwrap_err();
    }
    let before = world.user.mfa.temporary_tokens.clone();
    assert_eq!(
        verify(&mut world, device, &token.digits),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
    assert_eq!(world.user.mfa.temporary_tokens, before);
    assert_eq!(verify(&mut world, device, &codes[0]), Ok(()));
    assert_eq!(verify(&mut world, device, &token.digits), Ok(()));
}
