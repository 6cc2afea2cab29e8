//! What every store promises of the audit trail.

use super::*;

pub(super) async fn the_same_refusal_again_is_counted_in_the_event_before(world: &World) {
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

pub(super) async fn refusals_that_alternate_are_counted_each_in_its_own_event(world: &World) {
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

pub(super) async fn events_are_listed_newest_first_in_pages(world: &World) {
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
