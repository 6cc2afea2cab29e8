//! What every store promises of decisions.

use super::*;

pub(super) async fn nothing_is_decided_about_a_user_who_does_not_exist(world: &World) {
    let nobody = UserId::new(77).unwrap();
    let answer = decide(&*world.store, nobody, DeleteUser).await;
    assert_eq!(answer, Ok(None));
    assert_eq!(world.events(nobody).await, []);
    assert_eq!(world.store.load(nobody, None).await, Ok(None));
}

pub(super) async fn what_a_decision_does_is_committed_together_also_when_it_refuses(world: &World) {
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

pub(super) async fn decisions_about_one_user_are_made_one_after_the_other(world: &World) {
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

pub(super) async fn two_hundred_confirmations_of_one_thing_succeed_once(world: &World) {
    let user = world.user("ada").await.id;
    let id = Uuid::from_u128(1);
    world.decide(user, open_verification(id)).await.unwrap();
    let answers = world.race(200, user, move || finish(id)).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let finished = world.finished(user, id).await;
    assert!(matches!(finished, Some(Finished::Verification(it)) if it.status == Status::Accepted));
}

pub(super) async fn a_destination_has_one_history_whoever_sends_there(world: &World) {
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

pub(super) async fn what_has_finished_is_found_by_its_owner_alone(world: &World) {
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

pub(super) async fn deleting_a_user_erases_all_but_the_audit_trail_and_never_gives_the_id_again(
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

pub(super) async fn a_link_leads_to_its_user_until_it_expires_or_the_user_is_gone(world: &World) {
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
