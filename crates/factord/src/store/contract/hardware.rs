//! What every store promises of hardware that exists once.

use super::*;

pub(super) async fn hardware_exists_once_whoever_has_it(world: &World) {
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

pub(super) async fn hardware_is_imported_all_or_none_and_keeps_what_is_known_of_it(world: &World) {
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

pub(super) async fn hardware_is_nobodys_once_its_device_or_user_is_gone(world: &World) {
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
