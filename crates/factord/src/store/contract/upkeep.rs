//! What every store promises of settings, clean-up and its own health.

use super::*;

pub(super) async fn settings_are_kept(world: &World) {
    let store = &world.store;
    assert_eq!(store.setting("mode").await, Ok(None));
    for value in ["dev", "serve"] {
        store.set_setting("mode", value.to_owned()).await.unwrap();
        assert_eq!(store.setting("mode").await, Ok(Some(value.to_owned())));
    }
    assert_eq!(store.setting("clock_offset").await, Ok(None));
}

pub(super) async fn clean_up_takes_what_is_old_in_small_steps_and_nothing_else(world: &World) {
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

pub(super) async fn what_expires_unnoticed_is_ended_by_the_clean_up(world: &World) {
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

pub(super) async fn what_expires_later_is_ended_though_something_earlier_was_completed(
    world: &World,
) {
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

pub(super) async fn whatever_lets_somebody_in_can_be_ended_at_once(world: &World) {
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

pub(super) async fn a_working_store_answers_a_ping(world: &World) {
    assert_eq!(world.store.ping().await, Ok(()));
    assert_eq!(world.store.now(), world.clock.now());
}
