//! What every store promises of users and how they are found.

use super::*;

pub(super) async fn a_user_is_created_with_an_event_and_reads_back_as_created(world: &World) {
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

pub(super) async fn a_username_is_taken_whatever_its_case(world: &World) {
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

pub(super) async fn a_profile_cannot_take_the_username_of_another_and_then_nothing_is_changed(
    world: &World,
) {
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

pub(super) async fn users_are_found_by_any_field_exactly_or_by_its_beginning(world: &World) {
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

pub(super) async fn users_are_found_by_times(world: &World) {
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

pub(super) async fn users_come_in_pages_by_rising_id(world: &World) {
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
