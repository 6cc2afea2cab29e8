//! What every store promises of messages.

use super::*;

pub(super) async fn a_message_waits_until_it_is_due_and_is_gone_once_settled(world: &World) {
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

pub(super) async fn a_message_moves_to_the_outbox_once_however_often_it_is_moved(world: &World) {
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

pub(super) async fn the_dispatcher_hears_of_messages_that_came_before_it_listened(world: &World) {
    let user = world.user("ada").await.id;
    let signal = world.store.message_signal();
    world.decide(user, send("1")).await.unwrap();
    in_time(signal.notified()).await;
    let listening = signal.notified();
    world.decide(user, send("2")).await.unwrap();
    in_time(listening).await;
}

pub(super) async fn everybody_who_waits_for_the_outbox_hears_of_a_message(world: &World) {
    let user = world.user("ada").await.id;
    world.decide(user, send("1")).await.unwrap();
    let signal = world.store.outbox_signal();
    let (one, other) = (signal.notified(), signal.notified());
    let id = world.waiting().await[0].id;
    world.store.move_to_outbox(id).await.unwrap();
    in_time(one).await;
    in_time(other).await;
}
