//! What a policy says holds at every step of an enrolment and of a verification, and from the next decision on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::audit::Reason;
use crate::factor::magic_link::MagicLinkMode;
use crate::mfa::answer::{GiveAnswer, Origin};
use crate::mfa::data::Data;
use crate::mfa::policy::{Group, Policy};
use crate::mfa::profile::UpdateProfile;
use crate::mfa::registration::enrollable;
use crate::mfa::temporary_token::CreateTemporaryToken;

#[test]
fn only_what_is_offered_is_listed_and_can_be_enrolled() {
    let mut world = World::new();
    world.everybody(|policy| policy.offered = Some(BTreeSet::from(["sms", "recovery_codes"])));
    assert_eq!(world.listed(), [SMS, RECOVERY_CODES]);
    for factor in [AUTHENTICATOR, EMAIL] {
        assert_eq!(
            world.register(factor).unwrap_err(),
            Refusal::invalid("factor_id")
        );
    }
    world.register(SMS).unwrap();
}

#[test]
fn a_device_works_on_when_its_factor_is_offered_no_more_and_not_when_it_is_disabled() {
    let mut world = World::new();
    let phone = world.enrol_verified(SMS);
    world.everybody(|policy| policy.offered = Some(BTreeSet::new()));
    let (id, code) = world.send(phone);
    assert_eq!(world.complete(id, &code), Ok(()));

    let (id, code) = world.send(phone);
    world.everybody(|policy| policy.disabled = BTreeSet::from(["sms"]));
    assert_eq!(world.challenge(phone).unwrap_err(), Refusal::FactorDisabled);
    assert_eq!(world.complete(id, &code), Err(Refusal::FactorDisabled));
    assert_eq!(
        world.verify(Some(phone), &code),
        Err(Refusal::FactorDisabled)
    );
    assert_eq!(world.verify(None, &code), Err(Refusal::FactorDisabled));
    assert_eq!(world.device_failures(phone), 0);
    let reasons: Vec<_> = world
        .events
        .iter()
        .rev()
        .take(3)
        .map(|it| it.refused)
        .collect();
    assert!(
        reasons.contains(&Some(Reason::FactorDisabled)),
        "{reasons:?}"
    );

    world.everybody(|policy| policy.disabled.clear());
    assert_eq!(world.complete(id, &code), Ok(()));
}

#[test]
fn a_temporary_token_does_not_open_what_is_disabled() {
    let mut world = World::new();
    let phone = world.enrol_verified(SMS);
    let (id, _) = world.send(phone);
    let token = world.token(None).unwrap();
    world.everybody(|policy| policy.disabled = BTreeSet::from(["sms"]));
    assert_eq!(
        world.complete(id, &token.digits),
        Err(Refusal::FactorDisabled)
    );
    assert_eq!(world.user.mfa.temporary_tokens.len(), 1);
    assert_eq!(world.verify(Some(token.device), &token.digits), Ok(()));
}

#[test]
fn an_enrolment_ends_where_its_factor_is_offered_no_more() {
    let mut world = World::new();
    let view = world.register(SMS).unwrap();
    let code = world.last_code();
    world.everybody(|policy| policy.offered = Some(BTreeSet::from(["email"])));
    let refused = world.confirm(view.registration.id, &code);
    assert_eq!(refused, Err(Refusal::FactorDisabled));
    assert!(world.user.mfa.devices.is_empty());
    world.everybody(|policy| policy.offered = None);
    world.confirm(view.registration.id, &code).unwrap();
}

#[test]
fn so_many_devices_may_be_enrolled_as_the_policy_allows() {
    let mut world = World::new();
    world.everybody(|policy| policy.devices = BTreeMap::from([("authenticator", 2)]));
    let (first, first_secret) = world.enrol_authenticator();
    assert!(world.listed().contains(&AUTHENTICATOR));
    let pending = world.register(AUTHENTICATOR).unwrap();
    let code = world.totp(&secret_of(&pending), 0);
    let (second, second_secret) = (pending.registration.id, secret_of(&pending));
    let second = world.confirm(second, &code).unwrap();
    assert!(!world.listed().contains(&AUTHENTICATOR));
    let refused = world.register(AUTHENTICATOR).unwrap_err();
    assert_eq!(refused, Refusal::invalid("factor_id"));

    world.advance(60);
    for (device, secret) in [(first, first_secret), (second, second_secret)] {
        let code = world.totp(&secret, 0);
        assert_eq!(world.verify(Some(device), &code), Ok(()));
    }
}

#[test]
fn a_lower_number_of_devices_takes_none_away_and_lets_none_in() {
    let mut world = World::new();
    world.everybody(|policy| policy.devices = BTreeMap::from([("authenticator", 2)]));
    let (_, _) = world.enrol_authenticator();
    let pending = world.register(AUTHENTICATOR).unwrap();
    world.everybody(|policy| policy.devices.clear());
    let code = world.totp(&secret_of(&pending), 0);
    let refused = world.confirm(pending.registration.id, &code);
    assert_eq!(refused, Err(Refusal::FactorDisabled));
    assert_eq!(world.user.mfa.devices.len(), 1);
}

#[test]
fn expires_in_is_held_within_the_bounds_of_the_policy() {
    let mut world = World::new();
    world.everybody(|policy| (policy.default_expires_in, policy.max_expires_in) = (180, 300));
    let expires_in = |seconds| CreateRegistration {
        expires_in: seconds,
        ..registration_of(SMS)
    };
    let refused = world.run(&expires_in(Some(301))).unwrap_err();
    assert_eq!(refused, Refusal::invalid("expires_in"));
    world.run(&expires_in(Some(300))).unwrap();
    let unsaid = world.run(&expires_in(None)).unwrap().registration;
    assert_eq!(unsaid.expires_at.since(world.now), 180);

    let phone = world.enrol_verified(EMAIL);
    let options = |seconds| Options {
        expires_in: Some(seconds),
        ..Options::default()
    };
    let challenge = |seconds| CreateVerification {
        device: phone,
        options: options(seconds),
    };
    let refused = world.run(&challenge(301)).unwrap_err();
    assert_eq!(refused, Refusal::invalid("expires_in"));
    world.run(&challenge(300)).unwrap();
}

#[test]
fn a_temporary_token_lives_no_longer_than_the_policy_says() {
    let mut world = World::new();
    world.everybody(|policy| policy.max_token_expires_in = 3_600);
    assert!(world.token(Some(3_601)).is_err() && world.token(Some(119)).is_err());
    assert_eq!(
        world.token(None).unwrap().expires_at.since(world.now),
        3_600
    );
}

#[test]
fn magic_links_that_are_off_can_neither_be_enrolled_nor_used() {
    let mut world = World::new();
    let pending = world.register(MAGIC_LINK).unwrap().registration;
    let press = world.press(pending.id);
    world.everybody(|policy| policy.magic_link = MagicLinkMode::Off);
    assert_eq!(world.run(&press).unwrap_err(), Refusal::FactorDisabled);
    world.everybody(|policy| policy.magic_link = MagicLinkMode::Polled);
    world.run(&press).unwrap();
    let link = DeviceId::Device(pending.device);
    let challenge = world.challenge(link).unwrap().verification;
    let press = world.press(challenge.id);
    world.group("finance", |policy| policy.magic_link = MagicLinkMode::Off);
    world.group("it", |policy| policy.magic_link = MagicLinkMode::Bound);
    world.put_in(&json!("finance"));
    assert_eq!(world.run(&press).unwrap_err(), Refusal::FactorDisabled);
    assert_eq!(world.challenge(link).unwrap_err(), Refusal::FactorDisabled);
    assert_eq!(
        world.register(MAGIC_LINK).unwrap_err(),
        Refusal::invalid("factor_id")
    );
    world.put_in(&json!("it"));
    assert_eq!(
        world.challenge(link).unwrap_err(),
        Refusal::invalid("redirect_to")
    );
}

#[test]
fn an_attribute_of_any_plain_type_puts_a_user_in_a_group_and_nothing_else_does() {
    let mut world = World::new();
    for name in ["finance", "7", "true"] {
        world.group(name, |policy| {
            policy.offered = Some(BTreeSet::from(["email"]));
        });
    }
    let all = world.listed();
    for value in [
        json!("finance"),
        json!(" FINANCE "),
        json!(7),
        json!("7"),
        json!(true),
    ] {
        world.put_in(&value);
        assert_eq!(world.listed(), [EMAIL], "{value}");
    }
    for value in [
        json!("it"),
        json!(""),
        json!(null),
        json!(["finance"]),
        json!({"finance": 1}),
    ] {
        world.put_in(&value);
        assert_eq!(world.listed(), all, "{value}");
    }
    let attributes = &mut world.user.profile.attributes;
    attributes.insert("department".to_owned(), json!("finance"));
    assert_eq!(
        world.listed(),
        all,
        "a field of the profile is no custom attribute"
    );
}

#[test]
fn whoever_changes_groups_is_held_to_the_new_one_from_the_next_decision_on() {
    let mut world = World::new();
    world.group("finance", |policy| {
        policy.disabled = BTreeSet::from(["sms"]);
    });
    let phone = world.enrol_verified(SMS);
    let (id, code) = world.send(phone);
    world.put_in(&json!("finance"));
    assert_eq!(world.complete(id, &code), Err(Refusal::FactorDisabled));
    world.put_in(&json!("it"));
    assert_eq!(world.complete(id, &code), Ok(()));
}

impl World {
    fn everybody(&mut self, change: impl FnOnce(&mut Policy)) {
        change(&mut self.core.policies.everybody);
    }

    fn group(&mut self, name: &str, change: impl FnOnce(&mut Policy)) {
        let mut policy = Policy::default();
        change(&mut policy);
        let name = name.to_owned();
        self.core.policies.attribute = Some("department".to_owned());
        self.core
            .policies
            .add_group(Group { name, policy })
            .unwrap();
    }

    fn put_in(&mut self, department: &Value) {
        let Value::Object(attributes) =
            json!({"custom_attributes": {"department": department, "shoe": "38"}})
        else {
            unreachable!()
        };
        let update = UpdateProfile {
            attributes,
            ..UpdateProfile::default()
        };
        self.run(&update).unwrap();
    }

    /// The press of the button behind the link that was sent last.
    fn press(&self, id: Uuid) -> GiveAnswer {
        let link = self.messages.last().unwrap().link.clone().unwrap();
        GiveAnswer {
            id,
            from: Origin::Person,
            answer: Data::of(&link.rsplit('/').next().unwrap()),
        }
    }

    fn listed(&self) -> Vec<i64> {
        enrollable(&self.core, &self.user)
            .map(|(id, _)| id)
            .collect()
    }

    fn token(
        &mut self,
        expires_in: Option<i64>,
    ) -> Result<crate::mfa::temporary_token::IssuedToken, Refusal> {
        self.run(&CreateTemporaryToken {
            expires_in,
            reusable: false,
        })
    }
}
