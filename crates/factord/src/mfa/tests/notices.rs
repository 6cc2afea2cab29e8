use super::super::device::DeleteDevice;
use super::super::notices::Switches;
use super::super::temporary_token::CreateTemporaryToken;
use super::recovery_codes::{enrol, verify};
use super::token::import;
use super::*;

/// What the notices since the last look say, by channel; each is what a notice must be.
fn told(world: &mut World) -> Vec<(Channel, String)> {
    let now = world.now;
    let told = std::mem::take(&mut world.notices).into_iter().map(|it| {
        assert_eq!(it.expires_at, now.plus(86_400));
        assert!(it.about.is_none() && it.code.is_none() && it.link.is_none());
        let expected = match it.channel {
            Channel::Email => "ada@example.com",
            _ => "+14155550100",
        };
        assert_eq!(it.to, expected);
        assert_eq!(it.html.is_some(), it.channel == Channel::Email);
        let text = it.subject.clone().unwrap_or_else(|| it.body.clone());
        (it.channel, text)
    });
    told.collect()
}

/// That both addresses were told this and nothing else: the subject, and how the text message goes on after the service.
fn assert_told(world: &mut World, subject: &str, text: &str) {
    let told = told(world);
    let channels: Vec<_> = told.iter().map(|(channel, _)| *channel).collect();
    assert_eq!(channels, [Channel::Email, Channel::Sms], "{told:?}");
    assert_eq!(told[0].1, subject);
    let start = format!("Example & Co: {text}");
    assert!(told[1].1.starts_with(&start), "{}", told[1].1);
}

const ADDED: &str = "A device was added to your Example & Co account";
const REMOVED: &str = "A device was removed from your Example & Co account";

#[test]
fn a_device_that_is_confirmed_is_told_of_and_so_is_its_end() {
    let mut world = World::new();
    let view = world.register(AUTHENTICATOR).unwrap();
    assert_eq!(told(&mut world), [], "nothing is enrolled yet");
    let code = world.totp(&secret_of(&view), 0);
    let device = world.confirm(view.registration.id, &code).unwrap();
    let added = "device added: My device (Authenticator), 2023-11-14 22:13 UTC. Not you?";
    assert_told(&mut world, ADDED, added);
    world.run(&DeleteDevice { device }).unwrap();
    let removed = "device removed: My device (Authenticator), 2023-11-14 22:13 UTC. Not you?";
    assert_told(&mut world, REMOVED, removed);
}

#[test]
fn a_token_that_an_administrator_imports_is_told_of() {
    let mut world = World::new();
    import(&mut world, "00412345", 0).unwrap();
    let added = "device added: Token 00412345 (Authenticator),";
    assert_told(&mut world, ADDED, added);
}

#[test]
fn a_device_that_the_caller_vouches_for_is_told_of() {
    let mut world = World::new();
    world.enrol_verified(SMS);
    assert_told(&mut world, ADDED, "device added: My device (OneLogin SMS),");
}

#[test]
fn a_refused_enrolment_or_deletion_is_not_told_of() {
    let mut world = World::new();
    let id = world.register(SMS).unwrap().registration.id;
    let code = world.last_code();
    world.confirm(id, &wrong(&code)).unwrap_err();
    let device = "1".parse().unwrap();
    world.run(&DeleteDevice { device }).unwrap_err();
    assert_eq!(told(&mut world), []);
}

#[test]
fn a_temporary_token_is_told_of_when_it_is_issued_and_not_when_it_is_deleted() {
    let mut world = World::new();
    let issue = CreateTemporaryToken {
        expires_in: Some(3_600),
        reusable: false,
    };
    let token = world.run(&issue).unwrap();
    let mail = world.notices[0].body.clone();
    assert!(mail.contains("until 2023-11-14 23:13 UTC"), "{mail}");
    let digits = token.digits.as_str();
    assert!(world.notices.iter().all(|it| !it.body.contains(digits)));
    let subject = "A temporary code for your Example & Co account was issued";
    assert_told(&mut world, subject, "a temporary sign-in code was issued");
    let device = token.device;
    world.run(&DeleteDevice { device }).unwrap();
    assert_eq!(told(&mut world), []);
}

#[test]
fn each_recovery_code_that_is_used_is_told_of_and_that_two_are_left() {
    let mut world = World::new();
    let (device, codes) = enrol(&mut world, None);
    assert_told(
        &mut world,
        ADDED,
        "device added: My device (Recovery Codes),",
    );
    for (index, code) in codes.iter().enumerate() {
        verify(&mut world, device, code).unwrap();
        let left = 9 - index;
        if left == 2 {
            let subject = "Your Example & Co recovery codes are running out";
            let text =
                "a recovery code was used, 2023-11-14 22:13 UTC. Only 2 left: get a new set.";
            assert_told(&mut world, subject, text);
        } else {
            let subject = "A recovery code of your Example & Co account was used";
            let text =
                format!("a recovery code was used, 2023-11-14 22:13 UTC. Codes left: {left}.");
            assert_told(&mut world, subject, &text);
        }
        verify(&mut world, device, code).unwrap_err();
        assert_eq!(told(&mut world), [], "a used code is refused");
    }
}

#[test]
fn a_set_of_recovery_codes_that_a_new_one_replaces_is_told_of_as_removed() {
    let mut world = World::new();
    enrol(&mut world, None);
    told(&mut world);
    enrol(&mut world, None);
    let told: Vec<_> = told(&mut world).into_iter().map(|(_, text)| text).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!((told[0].as_str(), told[2].as_str()), (REMOVED, ADDED));
}

#[test]
fn codes_of_other_factors_are_not_told_of() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    told(&mut world);
    let (id, code) = world.send(device);
    world.complete(id, &code).unwrap();
    assert_eq!(told(&mut world), []);
}

#[test]
fn each_address_on_record_is_told_if_messages_can_be_sent_there() {
    let channels = |change: fn(&mut World)| {
        let mut world = World::new();
        change(&mut world);
        world.enrol_verified(SMS);
        let channels: Vec<_> = told(&mut world).into_iter().map(|it| it.0).collect();
        channels
    };
    assert_eq!(channels(|_| {}), [Channel::Email, Channel::Sms]);
    assert_eq!(
        channels(|world| world.user.profile.email = None),
        [Channel::Sms]
    );
    assert_eq!(
        channels(|world| world.user.profile.email = Some(String::new())),
        [Channel::Sms]
    );
    assert_eq!(
        channels(|world| world.core.notices.channels = vec![Channel::Email]),
        [Channel::Email]
    );
    assert_eq!(channels(|world| world.core.notices.channels.clear()), []);
}

#[test]
fn each_notice_can_be_switched_off_alone() {
    type Off = fn(&mut Switches);
    let all: [(Off, usize); 5] = [
        (|it| it.device_added = false, 6),
        (|it| it.device_removed = false, 8),
        (|it| it.temporary_token_issued = false, 8),
        (|it| it.recovery_code_used = false, 8),
        // A code is used all the same, and that is told.
        (|it| it.recovery_codes_low = false, 10),
    ];
    for (off, expected) in all {
        let mut world = World::new();
        off(&mut world.core.notices.switches);
        let (device, codes) = enrol(&mut world, None);
        verify(&mut world, device, &codes[0]).unwrap();
        let sms = world.enrol_verified(SMS);
        world.run(&DeleteDevice { device: sms }).unwrap();
        let issue = CreateTemporaryToken {
            expires_in: None,
            reusable: false,
        };
        world.run(&issue).unwrap();
        assert_eq!(told(&mut world).len(), expected);
    }
}

#[test]
fn when_only_the_last_two_codes_are_told_of_the_others_are_not() {
    let mut world = World::new();
    world.core.notices.switches.recovery_code_used = false;
    let (device, codes) = enrol(&mut world, None);
    told(&mut world);
    let counts: Vec<_> = codes
        .iter()
        .map(|code| {
            verify(&mut world, device, code).unwrap();
            told(&mut world).len()
        })
        .collect();
    assert_eq!(counts, [0, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
}

#[test]
fn no_limit_of_messages_holds_a_notice_back_nor_counts_it() {
    let mut world = World::new();
    let device = world.enrol_verified(SMS);
    for _ in 0..5 {
        world.challenge(device).unwrap();
    }
    assert!(matches!(
        world.challenge(device),
        Err(Refusal::TooManyMessages(_))
    ));
    told(&mut world);
    world.enrol_verified(EMAIL);
    assert_eq!(told(&mut world).len(), 2);

    let mut world = World::new();
    let mut device = world.enrol_verified(SMS);
    for _ in 0..30 {
        world.run(&DeleteDevice { device }).unwrap();
        device = world.enrol_verified(SMS);
    }
    assert_eq!(world.notices.len(), 2 * 61);
    assert!(world.challenge(device).is_ok());
}

#[test]
fn a_notice_is_in_the_users_language_and_holds_the_name_of_the_device_as_text() {
    let mut world = World::new();
    let attributes = &mut world.user.profile.attributes;
    attributes.insert("preferred_locale_code".to_owned(), "de-AT".into());
    world.core.texts.help = Some("Rufen Sie die Hotline an.".to_owned());
    let registration = CreateRegistration {
        display_name: format!("<b>Ada\u{202e}</b>{}", "x".repeat(180)),
        verified: true,
        ..registration_of(SMS)
    };
    world.run(&registration).unwrap();
    let mail = &world.notices[0];
    assert_eq!(
        mail.subject.as_deref(),
        Some("Zu Ihrem Konto bei Example & Co kam ein Gerät hinzu")
    );
    assert!(
        mail.body
            .ends_with("handeln Sie sofort: Rufen Sie die Hotline an.")
    );
    let html = mail.html.as_ref().unwrap();
    assert!(html.contains("<bdi>&lt;b&gt;Ada&lt;/b&gt;xxx"), "{html}");
    assert!(
        html.contains("xx...</bdi>") && !html.contains(&"x".repeat(60)),
        "{html}"
    );
}
