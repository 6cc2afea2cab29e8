use super::super::device::DeleteDevice;
use super::super::profile::UpdateProfile;
use super::super::registration::{enrollable, view};
use super::super::user::{Ending, Status};
use super::*;
use crate::audit::Reason;

fn factors(world: &World) -> Vec<i64> {
    enrollable(&world.core, &world.user)
        .map(|(id, _)| id)
        .collect()
}

#[test]
fn an_authenticator_is_enrolled_by_its_current_code() {
    let mut world = World::new();
    let view = world.register(AUTHENTICATOR).unwrap();
    let url = view
        .shown
        .totp_url
        .as_ref()
        .unwrap()
        .expose_secret()
        .to_owned();
    assert!(
        url.starts_with("otpauth://totp/Example%20%26%20Co:ada%40example.com?secret="),
        "{url}"
    );
    assert!(
        url.ends_with("&issuer=Example%20%26%20Co&algorithm=SHA1&digits=6&period=30"),
        "{url}"
    );
    assert_eq!(secret_of(&view).len(), 20);
    let code = world.totp(&secret_of(&view), 0);
    let device = world.confirm(view.registration.id, &code).unwrap();
    assert_eq!(world.user.mfa.devices[0].number, device.number());
    let left = [
        PROTECT,
        SMS,
        VOICE,
        EMAIL,
        MAGIC_LINK,
        WEBAUTHN,
        YUBIKEY,
        RECOVERY_CODES,
    ];
    assert_eq!(factors(&world), left);
}

#[test]
fn what_is_shown_reads_the_same_while_it_is_pending_and_never_afterwards() {
    let mut world = World::new();
    let created = world.register(AUTHENTICATOR).unwrap();
    let id = created.registration.id;
    let read = |world: &World| {
        view(
            &world.core,
            &world.user,
            world.finished.get(&id),
            id,
            world.now,
        )
        .unwrap()
        .unwrap()
    };
    assert_eq!(secret_of(&read(&world)), secret_of(&created));
    let code = world.totp(&secret_of(&created), 0);
    world.confirm(id, &code).unwrap();
    assert!(read(&world).shown.verification_token.is_none());
    assert_eq!(read(&world).registration.status, Status::Accepted);
}

#[test]
fn an_expired_registration_reads_rejected_and_shows_nothing() {
    let mut world = World::new();
    let created = world.register(AUTHENTICATOR).unwrap();
    world.advance(120);
    let id = created.registration.id;
    let read = view(&world.core, &world.user, None, id, world.now)
        .unwrap()
        .unwrap();
    assert_eq!(
        (read.registration.status, read.registration.ending),
        (Status::Rejected, Some(Ending::Expired))
    );
    assert!(read.shown.verification_token.is_none());
    let code = world.totp(&secret_of(&created), 0);
    assert_eq!(
        world.confirm(id, &code),
        Err(Refusal::Unauthorized(Reason::Expired))
    );
}

#[test]
fn a_registration_is_confirmed_until_the_second_before_it_expires() {
    let mut world = World::new();
    let id = world.register(SMS).unwrap().registration.id;
    let code = world.last_code();
    world.advance(119);
    assert!(world.confirm(id, &code).is_ok());
}

#[test]
fn five_wrong_codes_reject_a_registration_and_delay_the_user() {
    let mut world = World::new();
    let id = world.register(SMS).unwrap().registration.id;
    let code = world.last_code();
    for _ in 0..5 {
        assert_eq!(
            world.confirm(id, &wrong(&code)),
            Err(Refusal::Unauthorized(Reason::Wrong))
        );
    }
    assert_eq!(world.confirm(id, &code), Err(Refusal::Delayed(30)));
    world.advance(30);
    assert_eq!(
        world.confirm(id, &code),
        Err(Refusal::Unauthorized(Reason::Finished))
    );
    let Finished::Registration(ended) = &world.finished[&id] else {
        panic!()
    };
    assert_eq!(ended.ending, Some(Ending::TooManyGuesses));
}

#[test]
fn a_newer_registration_of_the_same_factor_ends_the_older() {
    let mut world = World::new();
    let older = world.register(SMS).unwrap().registration.id;
    let older_code = world.last_code();
    let newer = world.register(SMS).unwrap().registration.id;
    let newer_code = world.last_code();
    assert_eq!(
        world.confirm(older, &older_code),
        Err(Refusal::Unauthorized(Reason::Superseded))
    );
    assert!(world.confirm(newer, &newer_code).is_ok());
}

#[test]
fn a_second_device_of_the_same_factor_is_refused_until_the_first_is_deleted() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    assert_eq!(
        world.register(SMS).unwrap_err(),
        Refusal::invalid("factor_id")
    );
    world.run(&DeleteDevice { device }).unwrap();
    assert!(world.register(SMS).is_ok());
}

#[test]
fn unknown_disabled_and_impossible_values_are_named() {
    let mut world = World::new();
    for factor_id in [0, -1, 58_966, i64::MAX] {
        assert_eq!(
            world.register(factor_id).unwrap_err(),
            Refusal::invalid("factor_id"),
            "{factor_id}"
        );
    }
    let verified = CreateRegistration {
        verified: true,
        ..registration_of(AUTHENTICATOR)
    };
    assert_eq!(
        world.run(&verified).unwrap_err(),
        Refusal::invalid("verified")
    );
    for expires_in in [-1, 0, 119, 901, i64::MIN, i64::MAX] {
        let command = CreateRegistration {
            expires_in: Some(expires_in),
            ..registration_of(SMS)
        };
        assert_eq!(
            world.run(&command).unwrap_err(),
            Refusal::invalid("expires_in")
        );
    }
    world.user.profile.phone = None;
    assert_eq!(world.register(SMS).unwrap_err(), Refusal::invalid("phone"));
    world.user.profile.email = None;
    assert_eq!(
        world.register(EMAIL).unwrap_err(),
        Refusal::invalid("email")
    );
    assert!(world.messages.is_empty());
}

#[test]
fn a_custom_message_is_sent_filled_in_and_other_factors_ignore_it() {
    let mut world = World::new();
    let custom_message = Some("{{otp_code}} for you, {{otp_expiry}} minutes".to_owned());
    world
        .run(&CreateRegistration {
            custom_message,
            ..registration_of(SMS)
        })
        .unwrap();
    assert_eq!(
        world.messages[0].body,
        format!("{} for you, 2 minutes", world.last_code())
    );
    let no_code = Some("no code".to_owned());
    let sms = CreateRegistration {
        custom_message: no_code.clone(),
        ..registration_of(SMS)
    };
    assert_eq!(
        world.run(&sms).unwrap_err(),
        Refusal::invalid("custom_message")
    );
    world
        .run(&CreateRegistration {
            custom_message: no_code,
            ..registration_of(EMAIL)
        })
        .unwrap();
}

#[test]
fn changing_the_phone_moves_neither_the_registration_nor_the_device() {
    let mut world = World::new();
    let id = world.register(SMS).unwrap().registration.id;
    let code = world.last_code();
    world
        .run(&UpdateProfile {
            phone: Some("+14155550199".to_owned()),
            ..UpdateProfile::default()
        })
        .unwrap();
    let device = world.confirm(id, &code).unwrap();
    world.send(device);
    assert_eq!(world.messages.last().unwrap().to, "+14155550100");
}

#[test]
fn whoever_is_suspended_enrols_nothing_and_what_was_open_has_ended() {
    let mut world = World::new();
    let id = world.register(SMS).unwrap().registration.id;
    let code = world.last_code();
    for (state, status) in [
        (None, Some(2)),
        (None, Some(3)),
        (Some(0), Some(1)),
        (Some(2), None),
        (Some(3), None),
    ] {
        world
            .run(&UpdateProfile {
                state,
                status,
                ..UpdateProfile::default()
            })
            .unwrap();
        assert_eq!(world.register(EMAIL).unwrap_err(), Refusal::NotActive);
        assert_eq!(world.confirm(id, &code), Err(Refusal::NotActive));
    }
    let active = UpdateProfile {
        state: Some(1),
        status: Some(1),
        ..UpdateProfile::default()
    };
    world.run(&active).unwrap();
    assert_eq!(
        world.confirm(id, &code),
        Err(Refusal::Unauthorized(Reason::Finished))
    );
}

#[test]
fn unconfirmed_registrations_to_one_number_stop_at_five_a_day_and_leave_its_messages_alone() {
    let mut world = World::new();
    for _ in 0..5 {
        world.register(SMS).unwrap();
    }
    assert_eq!(
        world.register(SMS).unwrap_err(),
        Refusal::TooManyMessages(86_400)
    );
    assert_eq!(world.messages.len(), 5);
    let device = world.enrol_verified(SMS);
    assert!(world.challenge(device).is_ok());
}

#[test]
fn a_temporary_token_confirms_no_registration() {
    let mut world = World::new();
    let token = super::super::temporary_token::CreateTemporaryToken {
        expires_in: None,
        reusable: false,
    };
    let digits = world.run(&token).unwrap().digits;
    let id = world.register(SMS).unwrap().registration.id;
    assert_eq!(
        world.confirm(id, &digits),
        Err(Refusal::Unauthorized(Reason::Wrong))
    );
}

#[test]
fn a_pending_registration_makes_no_second_device_once_its_factor_is_enrolled() {
    let mut world = World::new();
    let id = world.register(SMS).unwrap().registration.id;
    let code = world.last_code();
    world.enrol_verified(SMS);
    assert_eq!(
        world.confirm(id, &code),
        Err(Refusal::Unauthorized(Reason::Superseded))
    );
    assert_eq!(world.user.mfa.devices.len(), 1);
}
