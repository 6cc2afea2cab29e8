//! What somebody would try who wants in, or wants others out.

use super::super::comparison::Evidence;
use super::super::temporary_token::CreateTemporaryToken;
use super::*;
use crate::audit::{Action, Reason};

fn enrol_codes(world: &mut World) -> (DeviceId, Vec<String>) {
    let view = world.register(RECOVERY_CODES).unwrap();
    let codes: Vec<_> = view
        .shown
        .recovery_codes
        .unwrap()
        .iter()
        .map(|c| c.expose_secret().to_owned())
        .collect();
    let factor = world.core.catalogue.factor(RECOVERY_CODES).unwrap();
    let pending = world
        .user
        .mfa
        .registrations
        .iter()
        .find(|it| it.id == view.registration.id)
        .unwrap()
        .clone();
    let work = factor
        .prepare_confirmation(&world.core, world.user.id, &pending, None, &mut world.rng)
        .unwrap();
    let confirmed = world
        .run(&ConfirmRegistration {
            id: view.registration.id,
            code: None,
            evidence: Some(computed(work)),
        })
        .unwrap();
    (DeviceId::Device(confirmed.device), codes)
}

fn recover(world: &mut World, device: DeviceId, code: &str) -> Result<(), Refusal> {
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

#[test]
fn refusals_of_a_locked_device_that_alternate_fill_no_disk() {
    let mut world = World::new();
    let sms = world.enrol_verified(SMS);
    let (id, code) = world.send(sms);
    for _ in 0..5 {
        world.complete(id, &wrong(&code)).unwrap_err();
    }
    let before = world.events.len();
    for _ in 0..100 {
        assert!(matches!(world.challenge(sms), Err(Refusal::Delayed(_))));
        assert!(matches!(
            world.complete(id, &code),
            Err(Refusal::Delayed(_))
        ));
    }
    assert!(
        world.events.len() - before <= 4,
        "{} events",
        world.events.len() - before
    );
}

#[test]
fn the_event_of_a_used_up_token_names_it() {
    let mut world = World::new();
    let token = world
        .run(&CreateTemporaryToken {
            expires_in: None,
            reusable: false,
        })
        .unwrap();
    world.verify(Some(token.device), &token.digits).unwrap();
    let last = world.events.last().unwrap();
    assert_eq!(
        (last.action, last.device),
        (Action::CompleteVerification, Some(token.device))
    );
}

#[test]
fn a_recovery_code_sent_again_is_no_guess() {
    let mut world = World::new();
    let (device, codes) = enrol_codes(&mut world);
    recover(&mut world, device, &codes[0]).unwrap();
    recover(&mut world, device, &codes[0]).unwrap_err();
    assert_eq!(world.user.mfa.throttle.failures, 0);
}

#[test]
fn a_confirmation_without_a_code_does_not_clear_the_delay() {
    let mut world = World::new();
    let sms = world.enrol_verified(SMS);
    let (id, code) = world.send(sms);
    for _ in 0..5 {
        world.complete(id, &wrong(&code)).unwrap_err();
    }
    let before = world.user.mfa.throttle;
    enrol_codes(&mut world);
    assert_eq!(world.user.mfa.throttle, before);
}

#[test]
fn a_display_name_is_short_its_blanks_too() {
    let mut world = World::new();
    let name = format!("x{}", " ".repeat(60_000));
    let asked = CreateRegistration {
        display_name: name,
        verified: true,
        ..registration_of(SMS)
    };
    assert!(world.run(&asked).is_err());
}

#[test]
fn a_redirect_is_of_bounded_length() {
    let mut world = World::new();
    let app = world.enrol_authenticator().0;
    for _ in 0..10 {
        let options = Options {
            redirect_to: Some(format!("http://localhost/{}", "x".repeat(60_000))),
            ..Options::default()
        };
        drop(world.run(&CreateVerification {
            device: app,
            options,
        }));
    }
    let size = serde_json::to_string(&world.user.mfa).unwrap().len();
    assert!(size < 100_000, "the document has {size} bytes");
}

#[test]
fn garbage_for_recovery_codes_does_not_lengthen_the_delay_of_short_codes() {
    let mut world = World::new();
    let sms = world.enrol_verified(SMS);
    let (device, _) = enrol_codes(&mut world);
    let (id, code) = world.send(sms);
    for _ in 0..5 {
        world.complete(id, &wrong(&code)).unwrap_err();
    }
    for _ in 0..60 {
        world.advance(10);
        drop(recover(&mut world, device, "x"));
    }
    assert!(
        world.challenge(sms).is_ok(),
        "ten minutes after a delay of 30 s: {:?}",
        world.challenge(sms).err()
    );
}

#[test]
fn a_wrong_code_is_not_audited_as_used() {
    let mut world = World::new();
    let (device, codes) = enrol_codes(&mut world);
    recover(&mut world, device, &codes[0]).unwrap();
    let guess = "AAAAA-AAAAA-AAAA";
    assert_eq!(
        recover(&mut world, device, guess),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
}

#[test]
fn suspending_ends_temporary_tokens() {
    let mut world = World::new();
    let token = world
        .run(&CreateTemporaryToken {
            expires_in: None,
            reusable: true,
        })
        .unwrap();
    for status in [2, 1] {
        world
            .run(&super::super::profile::UpdateProfile {
                status: Some(status),
                ..Default::default()
            })
            .unwrap();
    }
    assert!(world.verify(None, &token.digits).is_err());
}
