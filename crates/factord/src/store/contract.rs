//! What every store promises, run over each of them.

use std::marker::PhantomData;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use super::memory::MemoryStore;
use super::sqlite::SqliteStore;
use super::*;
use crate::audit::{Action, Reason};
use crate::auth::scope::Scope;
use crate::clock::{Clock, ManualClock};
use crate::crypto::keys::{Keys, MasterKey};
use crate::crypto::sealing::Sealed;
use crate::delivery::message::Channel;
use crate::mfa::data::Data;
use crate::mfa::decision::Link;
use crate::mfa::hardware::Owner;
use crate::mfa::ids::DeviceNumber;
use crate::mfa::profile::{DeleteUser, UpdateProfile};
use crate::mfa::redirect::RedirectPolicy;
use crate::mfa::user::{Mfa, Status, Verification};

/// Every promise, as a test of every store.
macro_rules! contract {
    ($($promise:ident,)+) => {
        mod sqlite_keeps_the_contract {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                super::$promise(&super::World::on_sqlite()).await;
            })+
        }
        mod postgres_keeps_the_contract {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                if let Some(world) = super::World::on_postgres().await {
                    super::$promise(&world).await;
                }
            })+
        }
        mod memory_keeps_the_contract {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                super::$promise(&super::World::in_memory()).await;
            })+
        }
    };
}

contract! {
    a_user_is_created_with_an_event_and_reads_back_as_created,
    a_username_is_taken_whatever_its_case,
    a_profile_cannot_take_the_username_of_another_and_then_nothing_is_changed,
    nothing_is_decided_about_a_user_who_does_not_exist,
    what_a_decision_does_is_committed_together_also_when_it_refuses,
    decisions_about_one_user_are_made_one_after_the_other,
    two_hundred_confirmations_of_one_thing_succeed_once,
    a_destination_has_one_history_whoever_sends_there,
    hardware_exists_once_whoever_has_it,
    hardware_is_imported_all_or_none_and_keeps_what_is_known_of_it,
    hardware_is_nobodys_once_its_device_or_user_is_gone,
    what_has_finished_is_found_by_its_owner_alone,
    the_same_refusal_again_is_counted_in_the_event_before,
    refusals_that_alternate_are_counted_each_in_its_own_event,
    deleting_a_user_erases_all_but_the_audit_trail_and_never_gives_the_id_again,
    a_link_leads_to_its_user_until_it_expires_or_the_user_is_gone,
    events_are_listed_newest_first_in_pages,
    users_are_found_by_any_field_exactly_or_by_its_beginning,
    users_are_found_by_times,
    users_come_in_pages_by_rising_id,
    a_credential_is_kept_once_and_revoked_once,
    revoking_a_credential_ends_its_tokens_and_those_on_their_way,
    a_pair_of_tokens_is_replaced_once_by_its_own_credential,
    a_message_waits_until_it_is_due_and_is_gone_once_settled,
    a_message_moves_to_the_outbox_once_however_often_it_is_moved,
    the_dispatcher_hears_of_messages_that_came_before_it_listened,
    everybody_who_waits_for_the_outbox_hears_of_a_message,
    settings_are_kept,
    clean_up_takes_what_is_old_in_small_steps_and_nothing_else,
    what_expires_unnoticed_is_ended_by_the_clean_up,
    what_expires_later_is_ended_though_something_earlier_was_completed,
    whatever_lets_somebody_in_can_be_ended_at_once,
    a_working_store_answers_a_ping,
}

async fn a_user_is_created_with_an_event_and_reads_back_as_created(world: &World) {
    let user = world.user("ada").await;
    let loaded = world.load(user.id).await;
    assert_eq!(loaded.user, user);
    assert_eq!(loaded.now, world.clock.now());
    let events = world.events(user.id).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].action, "create_user");
    assert_eq!(events[0].outcome, "success");
    assert_eq!((&events[0].reason, events[0].count), (&None, 1));
}

async fn a_username_is_taken_whatever_its_case(world: &World) {
    world.user("Jürgen").await;
    let again = world.store.create_user(world.profile("jÜRGEN")).await;
    assert_eq!(again, Err(StoreError::Conflict("username")));
    let nameless = Profile {
        username: None,
        ..world.profile("x")
    };
    world.store.create_user(nameless.clone()).await.unwrap();
    world.store.create_user(nameless).await.unwrap();
}

async fn a_profile_cannot_take_the_username_of_another_and_then_nothing_is_changed(world: &World) {
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let rename = |name: &str| UpdateProfile {
        username: Some(name.to_owned()),
        ..UpdateProfile::default()
    };
    assert_eq!(
        decide(&*world.store, bob.id, rename("ADA"))
            .await
            .unwrap_err(),
        StoreError::Conflict("username")
    );
    assert_eq!(world.load(bob.id).await.user, bob);
    assert_eq!(world.events(bob.id).await.len(), 1);
    world.decide(ada.id, rename("Ada")).await.unwrap();
    world.decide(ada.id, rename("eve")).await.unwrap();
    world.decide(bob.id, rename("ADA")).await.unwrap();
}

async fn nothing_is_decided_about_a_user_who_does_not_exist(world: &World) {
    let nobody = UserId::new(77).unwrap();
    let answer = decide(&*world.store, nobody, DeleteUser).await;
    assert_eq!(answer, Ok(None));
    assert_eq!(world.events(nobody).await, []);
    assert_eq!(world.store.load(nobody, None).await, Ok(None));
}

async fn what_a_decision_does_is_committed_together_also_when_it_refuses(world: &World) {
    let user = world.user("ada").await.id;
    let refused = world
        .decide(
            user,
            command(|draft| {
                count_up(draft);
                draft.effects.messages.push(message(draft.now, "1"));
                draft.record(None, Action::CompleteVerification, Some(Reason::Wrong));
                Err::<(), _>(Refusal::Unauthorized(Reason::Wrong))
            }),
        )
        .await;
    assert_eq!(refused, Err(Refusal::Unauthorized(Reason::Wrong)));
    assert_eq!(count_of(&world.load(user).await.user), 1);
    assert_eq!(world.waiting().await.len(), 1);
    let newest = &world.events(user).await[0];
    assert_eq!(newest.outcome, "refused");
    assert_eq!(newest.reason.as_deref(), Some("wrong"));
}

async fn decisions_about_one_user_are_made_one_after_the_other(world: &World) {
    let user = world.user("ada").await.id;
    let answers = world
        .race(200, user, || command(|draft| Ok(count_up(draft))))
        .await;
    let mut counts: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=200).collect::<Vec<_>>());
    assert_eq!(count_of(&world.load(user).await.user), 200);
    assert_eq!(world.events(user).await.len(), 201);
}

async fn two_hundred_confirmations_of_one_thing_succeed_once(world: &World) {
    let user = world.user("ada").await.id;
    let id = Uuid::from_u128(1);
    world.decide(user, open_verification(id)).await.unwrap();
    let answers = world.race(200, user, move || finish(id)).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let finished = world.finished(user, id).await;
    assert!(matches!(finished, Some(Finished::Verification(it)) if it.status == Status::Accepted));
}

async fn a_destination_has_one_history_whoever_sends_there(world: &World) {
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    for (user, address) in [
        (ada, "shared@example.com"),
        (bob, "Shared@Example.com "),
        (ada, "SHARED@example.com"),
    ] {
        world.decide(user, send_to(address)).await.unwrap();
    }
    assert_eq!(
        world.decide(bob, sent_to("shared@example.com")).await,
        Ok(3)
    );
    assert_eq!(world.decide(bob, sent_to("+491701234567")).await, Ok(0));

    let racing = world.race(100, bob, || send_to("+491701234567")).await;
    assert_eq!(racing.iter().filter(|answer| answer.is_ok()).count(), 5);
    assert_eq!(world.decide(ada, sent_to("+491701234567")).await, Ok(5));
}

async fn hardware_exists_once_whoever_has_it(world: &World) {
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    let (one, other) = tokio::join!(
        world.race(50, ada, || press("key", 7)),
        world.race(50, bob, || press("key", 8)),
    );
    let both = one.into_iter().chain(other);
    let mut counts: Vec<_> = both.map(Result::unwrap).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=100).collect::<Vec<_>>());
    assert_eq!(world.decide(bob, press("key", 8)).await, Ok(101));
    assert_eq!(world.decide(bob, press("other", 8)).await, Ok(1));
    let owner = |user, number| {
        let device = DeviceNumber::from_stored(number);
        Some(Owner { user, device })
    };
    let known = world.store.hardware().await.unwrap();
    assert_eq!(known["key"].owner, owner(bob, 8));
    assert_eq!(known.len(), 2);

    // What was not asked for is not there, and what a decision does not change stays.
    let blind = command(|draft| Ok(draft.hardware.len()));
    assert_eq!(world.decide(ada, blind).await, Ok(0));
    assert_eq!(world.store.hardware().await.unwrap(), known);
}

async fn hardware_is_imported_all_or_none_and_keeps_what_is_known_of_it(world: &World) {
    let ada = world.user("ada").await.id;
    world.decide(ada, press("key", 7)).await.unwrap();
    let new = |ids: &[&str]| {
        let new = ids.iter().map(|id| {
            let hardware = Hardware {
                serial: Some(format!("serial of {id}")),
                secret: Some(Sealed::from_stored("sealed".to_owned())),
                ..Hardware::default()
            };
            ((*id).to_owned(), hardware)
        });
        new.collect::<Vec<_>>()
    };
    let import = |ids| world.store.import_hardware(new(ids));
    assert_eq!(import(&["key", "a", "b"]).await.unwrap(), [""; 0]);
    let known = world.store.hardware().await.unwrap();
    assert_eq!(known.len(), 3);
    assert_eq!(known["key"].owner.map(|owner| owner.user), Some(ada));
    assert_eq!(known["key"].serial.as_deref(), Some("serial of key"));
    assert_eq!(world.decide(ada, press("key", 7)).await, Ok(2));

    let before = world.store.hardware().await.unwrap();
    assert_eq!(import(&["c", "b", "key"]).await.unwrap(), ["b", "key"]);
    assert_eq!(world.store.hardware().await.unwrap(), before);
}

async fn hardware_is_nobodys_once_its_device_or_user_is_gone(world: &World) {
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    for (user, id, device) in [(ada, "a", 1), (ada, "b", 2), (bob, "c", 1)] {
        world.decide(user, press(id, device)).await.unwrap();
    }
    let release = command(|draft| {
        draft.effects.released.push(DeviceNumber::from_stored(1));
        Ok(())
    });
    world.decide(ada, release).await.unwrap();
    let owned = async || {
        let known = world.store.hardware().await.unwrap();
        let owned = known.into_iter().filter(|(_, it)| it.owner.is_some());
        owned.map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(owned().await, ["b", "c"]);
    world.decide(ada, DeleteUser).await.unwrap();
    assert_eq!(owned().await, ["c"]);
    // What was used stays used.
    assert_eq!(world.decide(bob, press("a", 3)).await, Ok(2));
}

async fn what_has_finished_is_found_by_its_owner_alone(world: &World) {
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    let id = Uuid::from_u128(1);
    world.decide(ada, open_verification(id)).await.unwrap();
    assert_eq!(world.finished(ada, id).await, None);
    world.decide(ada, finish(id)).await.unwrap();
    assert!(world.finished(ada, id).await.is_some());
    assert_eq!(world.finished(bob, id).await, None);
    assert_eq!(world.finished(ada, Uuid::from_u128(2)).await, None);
    assert_eq!(
        world.decide(ada, finished_status(id)).await,
        Ok(Some(Status::Accepted))
    );
    assert_eq!(world.decide(bob, finished_status(id)).await, Ok(None));
}

async fn the_same_refusal_again_is_counted_in_the_event_before(world: &World) {
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    for user in [ada, bob, ada, ada] {
        world.clock.advance(1);
        let throttled = command(|draft| {
            draft.record(None, Action::CompleteVerification, Some(Reason::Throttled));
            Err::<(), _>(Refusal::Delayed(30))
        });
        world.decide(user, throttled).await.unwrap_err();
    }
    let events = world.events(ada).await;
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].count, events[0].at), (3, world.clock.now()));
    assert_eq!(world.events(bob).await[0].count, 1);
}

async fn refusals_that_alternate_are_counted_each_in_its_own_event(world: &World) {
    let user = world.user("ada").await.id;
    for _ in 0..3 {
        let twice = command(|draft| {
            for reason in [Reason::Throttled, Reason::Disabled, Reason::Throttled] {
                draft.record(None, Action::CompleteVerification, Some(reason));
            }
            Err::<(), _>(Refusal::Disabled)
        });
        world.decide(user, twice).await.unwrap_err();
    }
    let events = world.events(user).await;
    let counted: Vec<_> = events
        .iter()
        .map(|event| (event.reason.as_deref(), event.count))
        .collect();
    assert_eq!(
        counted,
        [(Some("disabled"), 3), (Some("throttled"), 6), (None, 1)]
    );
}

async fn deleting_a_user_erases_all_but_the_audit_trail_and_never_gives_the_id_again(
    world: &World,
) {
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    let id = Uuid::from_u128(1);
    for user in [ada, bob] {
        world.decide(user, open_verification(id)).await.unwrap();
        world.decide(user, finish(id)).await.unwrap();
        world.decide(user, send("1")).await.unwrap();
        world.decide(user, send("2")).await.unwrap();
    }
    let of_bob = |messages: Vec<StoredMessage>| {
        messages
            .into_iter()
            .filter(|it| it.user == bob)
            .map(|it| it.id)
            .collect::<Vec<_>>()
    };
    let first = of_bob(world.waiting().await)[0];
    world.store.move_to_outbox(first).await.unwrap();

    world.decide(bob, DeleteUser).await.unwrap();
    assert_eq!(world.store.load(bob, Some(id)).await, Ok(None));
    assert!(of_bob(world.waiting().await).is_empty());
    assert_eq!(world.outbox().await, []);
    let events = world.events(bob).await;
    assert_eq!(events[0].action, "delete_user");
    assert_eq!(events.len(), 6);
    assert!(world.finished(ada, id).await.is_some());
    assert_eq!(world.waiting().await.len(), 2);
    assert!(world.user("bob").await.id > bob);
}

async fn a_link_leads_to_its_user_until_it_expires_or_the_user_is_gone(world: &World) {
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    for (user, name) in [(ada, "of ada"), (bob, "of bob")] {
        let linked = move |draft: &mut Draft<'_>| {
            let token = TokenHash::of(name);
            let expires_at = draft.now.plus(60);
            draft.effects.links.push(Link { token, expires_at });
            Ok(())
        };
        world.decide(user, command(linked)).await.unwrap();
    }
    let linked = |name| world.store.linked_user(TokenHash::of(name));
    assert_eq!(linked("of ada").await, Ok(Some(ada)));
    assert_eq!(linked("of bob").await, Ok(Some(bob)));
    assert_eq!(linked("of nobody").await, Ok(None));
    world.decide(bob, DeleteUser).await.unwrap();
    assert_eq!(linked("of bob").await, Ok(None));
    world.clock.advance(59);
    assert_eq!(world.store.clean_up(100).await, Ok(0));
    assert_eq!(linked("of ada").await, Ok(Some(ada)));
    world.clock.advance(1);
    assert_eq!(linked("of ada").await, Ok(None));
    assert_eq!(world.store.clean_up(100).await, Ok(1));
}

async fn events_are_listed_newest_first_in_pages(world: &World) {
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    for user in [ada, bob, ada] {
        world.clock.advance(10);
        world
            .decide(user, command(|draft| Ok(count_up(draft))))
            .await
            .unwrap();
    }
    let list = async |filter| world.store.events(filter).await.unwrap();
    let everything = EventFilter {
        limit: 100,
        ..EventFilter::default()
    };
    let all = list(everything.clone()).await;
    assert_eq!(
        all.iter().map(|it| it.user).collect::<Vec<_>>(),
        [ada, bob, ada, bob, ada].map(Some)
    );
    assert!(all.is_sorted_by(|a, b| a.id > b.id));
    let page = EventFilter {
        before: Some(all[1].id),
        limit: 2,
        ..EventFilter::default()
    };
    assert_eq!(list(page).await, all[2..4]);
    let of_ada = EventFilter {
        user: Some(ada),
        since: Some(world.clock.now().plus(-20)),
        ..everything
    };
    assert_eq!(list(of_ada).await, [all[0].clone(), all[2].clone()]);
    let page_of_ada = EventFilter {
        user: Some(ada),
        before: Some(all[0].id),
        limit: 1,
        ..EventFilter::default()
    };
    assert_eq!(list(page_of_ada).await, all[2..3]);
}

async fn users_are_found_by_any_field_exactly_or_by_its_beginning(world: &World) {
    let create = async |username: &str, attributes: serde_json::Value| {
        let serde_json::Value::Object(attributes) = attributes else {
            panic!("attributes are an object")
        };
        let profile = Profile {
            attributes,
            ..world.profile(username)
        };
        world.store.create_user(profile).await.unwrap().id
    };
    let ada = create(
        "Ada",
        json!({"firstname": "Ada", "external_id": "e-1", "department_id": 7}),
    )
    .await;
    let adam = create("adam", json!({"firstname": "A*", "external_id": "e-2"})).await;
    let odd = create("o[d]d%_?", json!({"firstname": "ada", "external_id": 3})).await;
    for (field, wanted, found) in [
        ("username", "ADA", vec![ada]),
        ("username", "ada*", vec![ada, adam]),
        ("username", "*", vec![ada, adam, odd]),
        ("username", "o[d]d%_?", vec![odd]),
        ("username", "o[d]d%_?*", vec![odd]),
        ("username", "%", vec![]),
        ("username", "?d*", vec![]),
        ("username", "' OR true --", vec![]),
        ("email", "Ada@Example.com", vec![ada]),
        ("email", "ada*", vec![ada, adam]),
        ("phone", "+491701234567", vec![ada, adam, odd]),
        ("state", "1", vec![ada, adam, odd]),
        ("status", "2", vec![]),
        ("firstname", "Ada", vec![ada]),
        ("firstname", "A**", vec![adam]),
        ("firstname", "A*", vec![ada, adam]),
        ("external_id", "e-2", vec![adam]),
        ("external_id", "e-*", vec![ada, adam]),
        ("external_id", "3", vec![odd]),
        ("department_id", "7", vec![ada]),
        ("lastname", "*", vec![]),
    ] {
        let page = world
            .store
            .users(filter(vec![(field, wanted.to_owned())]))
            .await
            .unwrap();
        assert_eq!(ids(&page), found, "{field} = {wanted}");
        assert_eq!(page.total, found.len());
    }
    let both = vec![
        ("firstname", "A*".to_owned()),
        ("email", "adam@*".to_owned()),
    ];
    assert_eq!(ids(&world.store.users(filter(both)).await.unwrap()), [adam]);
}

async fn users_are_found_by_times(world: &World) {
    let start = world.clock.now();
    let early = world.user("early").await.id;
    world.clock.advance(100);
    let mut profile = world.profile("late");
    profile
        .attributes
        .insert("last_login".to_owned(), json!("2020-09-13T12:26:40.000Z"));
    let late = world.store.create_user(profile).await.unwrap().id;
    let login = Timestamp::from_seconds(1_600_000_000);
    for (times, found) in [
        (vec![("created_at", true, start)], vec![early, late]),
        (vec![("created_at", true, start.plus(1))], vec![late]),
        (vec![("created_at", false, start)], vec![early]),
        (vec![("updated_at", true, start.plus(101))], vec![]),
        (
            vec![
                ("created_at", true, start),
                ("created_at", false, start.plus(99)),
            ],
            vec![early],
        ),
        (vec![("last_login", true, login)], vec![late]),
        (vec![("last_login", true, login.plus(1))], vec![]),
        (vec![("last_login", false, login)], vec![late]),
    ] {
        let filter = UserFilter {
            times: times.clone(),
            limit: 10,
            ..UserFilter::default()
        };
        assert_eq!(
            ids(&world.store.users(filter).await.unwrap()),
            found,
            "{times:?}"
        );
    }
}

async fn users_come_in_pages_by_rising_id(world: &World) {
    let mut all = Vec::new();
    for number in 0..7 {
        all.push(world.user(&format!("user{number}")).await.id);
    }
    let page = async |after, offset, limit| {
        let filter = UserFilter {
            after,
            offset,
            limit,
            ..UserFilter::default()
        };
        let page = world.store.users(filter).await.unwrap();
        assert_eq!(page.total, 7);
        ids(&page)
    };
    assert_eq!(page(None, 0, 3).await, all[..3]);
    assert_eq!(page(None, 5, 3).await, all[5..]);
    assert_eq!(page(Some(all[2]), 0, 3).await, all[3..6]);
    assert_eq!(page(Some(all[2]), 1, 100).await, all[4..]);
    let some = UserFilter {
        ids: Some(vec![all[4], all[1], UserId::new(999).unwrap()]),
        limit: 10,
        ..UserFilter::default()
    };
    assert_eq!(
        ids(&world.store.users(some).await.unwrap()),
        [all[1], all[4]]
    );
    let none = UserFilter {
        ids: Some(vec![]),
        limit: 10,
        ..UserFilter::default()
    };
    assert_eq!(world.store.users(none).await.unwrap(), UserPage::default());
}

async fn a_credential_is_kept_once_and_revoked_once(world: &World) {
    let (store, now) = (&world.store, world.clock.now());
    let credential = world.credential("b").await;
    world.credential("a").await;
    assert_eq!(
        store.credential("b".to_owned()).await,
        Ok(Some(credential.clone()))
    );
    assert_eq!(store.credential("B".to_owned()).await, Ok(None));
    assert_eq!(
        store.insert_credential(credential.clone()).await,
        Err(StoreError::Conflict("client id"))
    );
    assert_eq!(store.revoke_credential("b".to_owned()).await, Ok(true));
    assert_eq!(store.revoke_credential("b".to_owned()).await, Ok(false));
    assert_eq!(store.revoke_credential("c".to_owned()).await, Ok(false));
    let all = store.credentials().await.unwrap();
    assert_eq!(all.iter().map(|it| &*it.id).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(all[1].revoked_at, Some(now));
    let everything = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    let events = store.events(everything).await.unwrap();
    let about = events.iter().map(|it| {
        assert_eq!((it.user, it.at), (None, now));
        (&*it.action, it.credential.as_deref().unwrap())
    });
    assert_eq!(
        about.collect::<Vec<_>>(),
        [
            ("revoke_credential", "b"),
            ("create_credential", "a"),
            ("create_credential", "b")
        ]
    );
    assert!(store.insert_credential(credential).await.is_err());
}

async fn revoking_a_credential_ends_its_tokens_and_those_on_their_way(world: &World) {
    let store = &world.store;
    for id in ["a", "b"] {
        world.credential(id).await;
        store.insert_token(world.pair(id, id)).await.unwrap();
    }
    store.revoke_credential("a".to_owned()).await.unwrap();
    store.insert_token(world.pair("late", "a")).await.unwrap();
    assert_eq!(store.token(TokenHash::of("a")).await, Ok(None));
    assert_eq!(store.token(TokenHash::of("late")).await, Ok(None));
    assert_eq!(
        store.token(TokenHash::of("b")).await,
        Ok(Some(world.pair("b", "b")))
    );
}

async fn a_pair_of_tokens_is_replaced_once_by_its_own_credential(world: &World) {
    let store = &world.store;
    let (access, refresh) = (TokenHash::of("old"), TokenHash::of("old refresh"));
    store.insert_token(world.pair("old", "a")).await.unwrap();
    let new = world.pair("new", "a");
    let foreign = world.pair("new", "b");
    assert_eq!(
        store.replace_token(access, refresh, foreign).await,
        Ok(false)
    );
    assert_eq!(
        store.replace_token(access, access, new.clone()).await,
        Ok(false)
    );
    assert_eq!(store.token(access).await, Ok(Some(world.pair("old", "a"))));
    assert_eq!(
        store.replace_token(access, refresh, new.clone()).await,
        Ok(true)
    );
    assert_eq!(
        store.replace_token(access, refresh, new.clone()).await,
        Ok(false)
    );
    assert_eq!(store.token(access).await, Ok(None));
    assert_eq!(store.token(new.access).await, Ok(Some(new.clone())));

    assert_eq!(
        store.revoke_token(new.access, "b".to_owned()).await,
        Ok(false)
    );
    assert_eq!(
        store.revoke_token(new.access, "a".to_owned()).await,
        Ok(true)
    );
    assert_eq!(
        store.revoke_token(new.access, "a".to_owned()).await,
        Ok(false)
    );
    assert_eq!(store.token(new.access).await, Ok(None));
}

async fn a_message_waits_until_it_is_due_and_is_gone_once_settled(world: &World) {
    let user = world.user("ada").await.id;
    for code in ["111111", "222222", "333333"] {
        world.decide(user, send(code)).await.unwrap();
    }
    let waiting = world.waiting().await;
    assert_eq!(codes(&waiting), ["111111", "222222", "333333"]);
    assert_eq!(world.store.waiting_messages(2).await.unwrap(), waiting[..2]);
    assert_eq!((waiting[0].user, waiting[0].attempts), (user, 0));
    assert_eq!(waiting[0].at, world.clock.now());
    assert_eq!(waiting[0].message, message(world.clock.now(), "111111"));

    let later = world.clock.now().plus(60);
    let settle = async |id, outcome| world.store.settle_message(id, outcome).await.unwrap();
    settle(waiting[0].id, Sending::Retry(later)).await;
    settle(waiting[1].id, Sending::Sent).await;
    settle(waiting[1].id, Sending::Sent).await;
    assert_eq!(codes(&world.waiting().await), ["333333"]);
    settle(waiting[2].id, Sending::Abandoned).await;
    world.clock.advance(59);
    assert_eq!(world.waiting().await, []);
    world.clock.advance(1);
    let again = world.waiting().await;
    assert_eq!((codes(&again), again[0].attempts), (vec!["111111"], 1));
    settle(waiting[1].id, Sending::Retry(later)).await;
    assert_eq!(world.waiting().await.len(), 1);
}

async fn a_message_moves_to_the_outbox_once_however_often_it_is_moved(world: &World) {
    let (ada, bob) = (world.user("ada").await.id, world.user("bob").await.id);
    for (user, code) in [(ada, "111111"), (bob, "222222"), (ada, "333333")] {
        world.decide(user, send(code)).await.unwrap();
    }
    let waiting = world.waiting().await;
    for sent in waiting.iter().chain(&waiting) {
        world.store.move_to_outbox(sent.id).await.unwrap();
    }
    world.store.move_to_outbox(999).await.unwrap();
    assert_eq!(world.waiting().await, []);
    let all = world.outbox().await;
    assert_eq!(codes(&all), ["333333", "222222", "111111"]);
    assert_eq!(all[2], waiting[0]);
    let list = async |user, after, limit| {
        let filter = OutboxFilter { user, after, limit };
        world.store.outbox(filter).await.unwrap()
    };
    assert_eq!(
        codes(&list(Some(ada), None, 10).await),
        ["333333", "111111"]
    );
    assert_eq!(
        codes(&list(Some(ada), Some(all[2].id), 10).await),
        ["333333"]
    );
    assert_eq!(codes(&list(None, None, 2).await), ["333333", "222222"]);
    assert_eq!(list(None, Some(all[0].id), 10).await, []);
}

async fn the_dispatcher_hears_of_messages_that_came_before_it_listened(world: &World) {
    let user = world.user("ada").await.id;
    let signal = world.store.message_signal();
    world.decide(user, send("1")).await.unwrap();
    in_time(signal.notified()).await;
    let listening = signal.notified();
    world.decide(user, send("2")).await.unwrap();
    in_time(listening).await;
}

async fn everybody_who_waits_for_the_outbox_hears_of_a_message(world: &World) {
    let user = world.user("ada").await.id;
    world.decide(user, send("1")).await.unwrap();
    let signal = world.store.outbox_signal();
    let (one, other) = (signal.notified(), signal.notified());
    let id = world.waiting().await[0].id;
    world.store.move_to_outbox(id).await.unwrap();
    in_time(one).await;
    in_time(other).await;
}

async fn settings_are_kept(world: &World) {
    let store = &world.store;
    assert_eq!(store.setting("mode").await, Ok(None));
    for value in ["dev", "serve"] {
        store.set_setting("mode", value.to_owned()).await.unwrap();
        assert_eq!(store.setting("mode").await, Ok(Some(value.to_owned())));
    }
    assert_eq!(store.setting("clock_offset").await, Ok(None));
}

async fn clean_up_takes_what_is_old_in_small_steps_and_nothing_else(world: &World) {
    let user = world.user("ada").await.id;
    let old: Vec<_> = (1..=5).map(Uuid::from_u128).collect();
    for id in &old {
        world.decide(user, open_verification(*id)).await.unwrap();
        world.decide(user, finish(*id)).await.unwrap();
    }
    world
        .decide(user, send_to("ada@example.com"))
        .await
        .unwrap();
    world.decide(user, send("1")).await.unwrap();
    let id = world.waiting().await[0].id;
    world.store.move_to_outbox(id).await.unwrap();
    world.decide(user, send("2")).await.unwrap();
    world
        .store
        .insert_token(world.pair("old", "a"))
        .await
        .unwrap();

    world.clock.advance(86_400 - 1);
    assert_eq!(world.store.clean_up(100).await, Ok(0));
    world.clock.advance(1);
    let new = Uuid::from_u128(9);
    world.decide(user, open_verification(new)).await.unwrap();
    world.decide(user, finish(new)).await.unwrap();
    assert_eq!(world.store.clean_up(2).await, Ok(3));
    assert_eq!(world.store.clean_up(2).await, Ok(2));
    assert_eq!(world.store.clean_up(2).await, Ok(1));
    assert_eq!(world.store.clean_up(2).await, Ok(0));
    assert!(world.finished(user, new).await.is_some());
    assert_eq!(world.finished(user, old[4]).await, None);
    assert_eq!(world.decide(user, sent_to("ada@example.com")).await, Ok(0));

    world.clock.advance(36_000);
    assert_eq!(
        world.store.token(TokenHash::of("old")).await,
        Ok(Some(world.old_pair("old", "a")))
    );
    assert_eq!(
        world.store.clean_up(100).await,
        Ok(2),
        "the token and the message nobody sent"
    );
    assert_eq!(world.store.token(TokenHash::of("old")).await, Ok(None));
    assert_eq!(world.outbox().await.len(), 1);
    world.clock.advance(604_800);
    world.store.clean_up(100).await.unwrap();
    assert_eq!(world.outbox().await, []);
}

async fn what_expires_unnoticed_is_ended_by_the_clean_up(world: &World) {
    let (user, id) = (world.user("ada").await.id, Uuid::from_u128(1));
    world.decide(user, open_verification(id)).await.unwrap();
    let expiry = world.load(user).await.user.mfa.next_expiry().unwrap();
    let events = world.events(user).await;
    world.clock.advance(expiry.since(world.clock.now()) - 1);
    assert_eq!(world.store.clean_up(100).await, Ok(0));
    world.clock.advance(1);
    assert_eq!(world.store.clean_up(100).await, Ok(1));
    assert_eq!(world.load(user).await.user.mfa, Mfa::default());
    assert!(world.finished(user, id).await.is_some());
    assert_eq!(world.events(user).await, events);
    assert_eq!(world.store.clean_up(100).await, Ok(0));
}

async fn what_expires_later_is_ended_though_something_earlier_was_completed(world: &World) {
    let (user, first, second) = (
        world.user("ada").await.id,
        Uuid::from_u128(1),
        Uuid::from_u128(2),
    );
    world.decide(user, open_verification(first)).await.unwrap();
    world.clock.advance(60);
    world.decide(user, open_verification(second)).await.unwrap();
    world.decide(user, finish(first)).await.unwrap();
    world.clock.advance(119);
    world.store.clean_up(100).await.unwrap();
    assert!(world.load(user).await.user.mfa.has_pending(second));
    world.clock.advance(1);
    world.store.clean_up(100).await.unwrap();
    assert_eq!(world.load(user).await.user.mfa, Mfa::default());
    assert!(world.finished(user, second).await.is_some());
    assert_eq!(world.store.clean_up(100).await, Ok(0));
}

async fn whatever_lets_somebody_in_can_be_ended_at_once(world: &World) {
    let user = world.user("ada").await.id;
    for code in ["1", "2"] {
        world.decide(user, send(code)).await.unwrap();
    }
    let id = world.waiting().await[0].id;
    world.store.move_to_outbox(id).await.unwrap();
    let linked = |draft: &mut Draft<'_>| {
        let (token, expires_at) = (TokenHash::of("link"), draft.now.plus(60));
        draft.effects.links.push(Link { token, expires_at });
        Ok(())
    };
    world.decide(user, command(linked)).await.unwrap();
    world.credential("a").await;
    world
        .store
        .insert_token(world.pair("a", "a"))
        .await
        .unwrap();
    assert_eq!(world.store.end_sessions().await, Ok(4));
    assert_eq!(world.store.token(TokenHash::of("a")).await, Ok(None));
    assert_eq!(
        world.store.linked_user(TokenHash::of("link")).await,
        Ok(None)
    );
    assert_eq!(
        (world.waiting().await, world.outbox().await),
        (vec![], vec![])
    );
    assert_eq!(world.store.credentials().await.unwrap().len(), 1);
    assert_eq!(world.store.end_sessions().await, Ok(0));
}

async fn a_working_store_answers_a_ping(world: &World) {
    assert_eq!(world.store.ping().await, Ok(()));
    assert_eq!(world.store.now(), world.clock.now());
}

/// A store, and what it was made with.
pub(super) struct World {
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
    /// Where the files are, until the test ends.
    pub folder: TempDir,
}

impl World {
    pub fn on_sqlite() -> Self {
        Self::of(|core, clock, folder| Arc::new(SqliteStore::open(folder, core, clock).unwrap()))
    }

    /// On the server under test, if there is one.
    pub async fn on_postgres() -> Option<Self> {
        let settings = postgres::tests::scratch().await?;
        let clock = Arc::new(ManualClock::at(START));
        let given = Arc::clone(&clock) as Arc<dyn Clock>;
        Some(Self {
            store: Arc::new(postgres::tests::at(settings, core(1), given).await),
            clock,
            folder: TempDir::new().unwrap(),
        })
    }

    pub fn in_memory() -> Self {
        Self::of(|core, clock, _| Arc::new(MemoryStore::new(core, clock)))
    }

    fn of(
        store: impl FnOnce(Arc<Core>, Arc<dyn Clock>, &std::path::Path) -> Arc<dyn Store>,
    ) -> Self {
        let (core, clock) = (core(1), Arc::new(ManualClock::at(START)));
        let folder = TempDir::new().unwrap();
        Self {
            store: store(core, Arc::clone(&clock) as Arc<dyn Clock>, folder.path()),
            clock,
            folder,
        }
    }

    pub fn profile(&self, username: &str) -> Profile {
        Profile {
            username: Some(username.to_owned()),
            email: Some(format!("{username}@example.com")),
            phone: Some("+491701234567".to_owned()),
            state: 1,
            status: 1,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
            attributes: serde_json::Map::new(),
        }
    }

    pub async fn user(&self, username: &str) -> User {
        self.store
            .create_user(self.profile(username))
            .await
            .unwrap()
    }

    pub async fn load(&self, user: UserId) -> Loaded {
        self.store.load(user, None).await.unwrap().unwrap()
    }

    async fn finished(&self, user: UserId, id: Uuid) -> Option<Finished> {
        self.store
            .load(user, Some(id))
            .await
            .unwrap()
            .unwrap()
            .finished
    }

    pub async fn decide<D: Decide>(&self, user: UserId, command: D) -> Result<D::Answer, Refusal> {
        decide(&*self.store, user, command).await.unwrap().unwrap()
    }

    /// The same command many times at once.
    async fn race<D: Decide>(
        &self,
        times: usize,
        user: UserId,
        command: impl Fn() -> D,
    ) -> Vec<Result<D::Answer, Refusal>> {
        let racing: Vec<_> = (0..times)
            .map(|_| {
                let (store, command) = (Arc::clone(&self.store), command());
                tokio::spawn(async move { decide(&*store, user, command).await })
            })
            .collect();
        let mut answers = Vec::new();
        for answer in racing {
            answers.push(answer.await.unwrap().unwrap().unwrap());
        }
        answers
    }

    pub async fn events(&self, user: UserId) -> Vec<StoredEvent> {
        let filter = EventFilter {
            user: Some(user),
            limit: 1_000,
            ..EventFilter::default()
        };
        self.store.events(filter).await.unwrap()
    }

    async fn waiting(&self) -> Vec<StoredMessage> {
        self.store.waiting_messages(1_000).await.unwrap()
    }

    async fn outbox(&self) -> Vec<StoredMessage> {
        let filter = OutboxFilter {
            limit: 1_000,
            ..OutboxFilter::default()
        };
        self.store.outbox(filter).await.unwrap()
    }

    async fn credential(&self, id: &str) -> Credential {
        let credential = Credential {
            id: id.to_owned(),
            secret: TokenHash::of("secret"),
            scope: Scope::ManageAll,
            created_at: self.clock.now(),
            revoked_at: None,
        };
        self.store
            .insert_credential(credential.clone())
            .await
            .unwrap();
        credential
    }

    fn pair(&self, access: &str, credential: &str) -> TokenPair {
        pair(access, credential, self.clock.now())
    }

    /// A pair as it was given at the start.
    fn old_pair(&self, access: &str, credential: &str) -> TokenPair {
        pair(
            access,
            credential,
            self.clock.now().plus(-self.clock.offset()),
        )
    }
}

pub(super) fn core(seed: u64) -> Arc<Core> {
    Arc::new(Core {
        service_name: "Example".to_owned(),
        redirects: RedirectPolicy::Loopback,
        ..Core::new(
            Keys::derive(&MasterKey::generate(&mut StdRng::seed_from_u64(seed))),
            "http://localhost:8080".parse().unwrap(),
        )
    })
}

fn pair(access: &str, credential: &str, now: Timestamp) -> TokenPair {
    TokenPair {
        access: TokenHash::of(access),
        refresh: TokenHash::of(&format!("{access} refresh")),
        credential: credential.to_owned(),
        scope: Scope::VerifyMfa,
        created_at: now,
        expires_at: now.plus(36_000),
    }
}

/// A command made of a closure.
pub(super) struct Command<F, A> {
    reads: Reads,
    decide: F,
    answer: PhantomData<fn() -> A>,
}

impl<F, A> Decide for Command<F, A>
where
    F: Fn(&mut Draft<'_>) -> Result<A, Refusal> + Send + 'static,
    A: Send + 'static,
{
    type Answer = A;
    const ACTION: Action = Action::UpdateUser;

    fn reads(&self, _: &Core, _: &User) -> Reads {
        self.reads.clone()
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<A, Refusal> {
        (self.decide)(draft)
    }
}

pub(super) fn command<F, A>(decide: F) -> Command<F, A>
where
    F: Fn(&mut Draft<'_>) -> Result<A, Refusal> + Send + 'static,
{
    reading(Reads::default(), decide)
}

fn reading<F, A>(reads: Reads, decide: F) -> Command<F, A>
where
    F: Fn(&mut Draft<'_>) -> Result<A, Refusal> + Send + 'static,
{
    Command {
        reads,
        decide,
        answer: PhantomData,
    }
}

/// Takes hardware for a device, counts a press of it and gives the number.
fn press(id: &'static str, device: u32) -> impl Decide<Answer = i64> {
    let reads = Reads {
        hardware: vec![id.to_owned()],
        ..Reads::default()
    };
    reading(reads, move |draft| {
        let kept = draft.hardware.entry(id.to_owned()).or_default();
        let presses = kept.state.read::<Option<i64>>().unwrap().unwrap_or(0) + 1;
        kept.state = Data::of(&presses);
        kept.owner = Some(Owner {
            user: draft.user.id,
            device: DeviceNumber::from_stored(device),
        });
        Ok(presses)
    })
}

/// Adds one to a number of the user's, and gives it.
pub(super) fn count_up(draft: &mut Draft<'_>) -> i64 {
    let count = count_of(draft.user) + 1;
    draft
        .user
        .profile
        .attributes
        .insert("count".to_owned(), json!(count));
    count
}

pub(super) fn count_of(user: &User) -> i64 {
    let count = user.profile.attributes.get("count");
    count.and_then(serde_json::Value::as_i64).unwrap_or(0)
}

pub(super) fn open_verification(id: Uuid) -> impl Decide<Answer = ()> {
    command(move |draft| {
        let device = DeviceNumber::draw(draft.rng);
        draft.user.mfa.verifications.push(Verification {
            id,
            device,
            factor_id: 1,
            created_at: draft.now,
            expires_at: draft.now.plus(120),
            status: Status::Pending,
            ending: None,
            guesses: 0,
            display_name: None,
            redirect_to: None,
            on_page: false,
            page_otp: None,
            data: Data::of(&json!({"code": 1})),
        });
        Ok(())
    })
}

/// Accepts a pending verification.
pub(super) fn finish(id: Uuid) -> impl Decide<Answer = ()> {
    command(move |draft| {
        let pending = &mut draft.user.mfa.verifications;
        let index = pending.iter().position(|it| it.id == id);
        let mut accepted = pending.remove(index.ok_or(Refusal::NotFound)?);
        accepted.finish(None);
        draft
            .effects
            .finished
            .push(Finished::Verification(accepted));
        Ok(())
    })
}

/// What a decision sees of a finished verification.
fn finished_status(id: Uuid) -> impl Decide<Answer = Option<Status>> {
    let reads = Reads {
        finished: Some(id),
        ..Reads::default()
    };
    reading(reads, |draft| {
        Ok(draft.finished.map(|finished| match finished {
            Finished::Registration(it) => it.status,
            Finished::Verification(it) => it.status,
        }))
    })
}

fn to(address: &str) -> Reads {
    Reads {
        destination: Some(address.to_owned()),
        ..Reads::default()
    }
}

/// Counts a message to a destination, within the rules.
fn send_to(address: &str) -> impl Decide<Answer = ()> {
    reading(to(address), |draft| {
        draft
            .history
            .admit_message(draft.now, &draft.core.rules)
            .map_err(|enough| Refusal::TooManyMessages(enough.0))
    })
}

/// How many messages a destination has had.
fn sent_to(address: &str) -> impl Decide<Answer = usize> {
    reading(to(address), |draft| Ok(draft.history.messages.len()))
}

/// Sends a message.
pub(super) fn send(code: &'static str) -> impl Decide<Answer = ()> {
    command(move |draft| {
        draft.effects.messages.push(message(draft.now, code));
        Ok(())
    })
}

fn message(now: Timestamp, code: &str) -> Message {
    Message {
        channel: Channel::Sms,
        to: "+491701234567".to_owned(),
        subject: None,
        body: format!("{code} is your code"),
        html: None,
        code: Some(code.to_owned()),
        link: None,
        about: None,
        expires_at: now.plus(120),
    }
}

fn codes(messages: &[StoredMessage]) -> Vec<&str> {
    messages
        .iter()
        .filter_map(|it| it.message.code.as_deref())
        .collect()
}

fn filter(equal: Vec<(&'static str, String)>) -> UserFilter {
    UserFilter {
        equal,
        limit: 100,
        ..UserFilter::default()
    }
}

fn ids(page: &UserPage) -> Vec<UserId> {
    page.users.iter().map(|user| user.id).collect()
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(10), future)
        .await
        .expect("it comes in time")
}

pub(super) const START: Timestamp = Timestamp::from_seconds(1_700_000_000);
