//! What every store promises of credentials and tokens.

use super::*;

pub(super) async fn a_credential_is_kept_once_and_revoked_once(world: &World) {
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

pub(super) async fn revoking_a_credential_ends_its_tokens_and_those_on_their_way(world: &World) {
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

pub(super) async fn a_pair_of_tokens_is_replaced_once_by_its_own_credential(world: &World) {
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
