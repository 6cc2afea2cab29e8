"""The users API: where a user_id comes from."""

import pytest

from harness import expect

USERS = "/api/2/users"


def test_a_user_is_made_read_changed_and_deleted(api, server):
    phone = server.phone()
    given = {
        "username": "ada", "email": "ada@users.example", "firstname": "Ada", "lastname": "Byron", "phone": phone,
        "external_id": "hr-7", "title": "Countess", "department": "Engines", "company": "Babbage & Co",
        "custom_attributes": {"shoe": "38"},
    }
    made = expect.ok(api.post(USERS, given), 201)
    assert {k: made[k] for k in given} == given
    assert type(made["id"]) is int and made["id"] > 0
    assert (made["state"], made["status"]) == (1, 1)
    assert expect.TIME.match(made["created_at"]) and expect.TIME.match(made["updated_at"])
    assert expect.ok(api.get(f"{USERS}/{made['id']}"), 200) == made
    changed = expect.ok(api.put(f"{USERS}/{made['id']}", {"firstname": "Augusta"}), 200)
    assert changed["firstname"] == "Augusta" and changed["lastname"] == "Byron" and changed["phone"] == phone
    expect.ok(api.delete(f"{USERS}/{made['id']}"), 204)
    expect.not_found(api.get(f"{USERS}/{made['id']}"))
    expect.not_found(api.put(f"{USERS}/{made['id']}", {"firstname": "x"}))
    expect.not_found(api.delete(f"{USERS}/{made['id']}"))


@pytest.mark.parametrize("given", [{"email": "only@users.example"}, {"username": "only-a-name"}], ids=str)
def test_an_email_or_a_username_is_enough(api, given):
    made = expect.ok(api.post(USERS, given), 201)
    assert {k: made[k] for k in given} == given


def test_one_of_the_two_is_required(api):
    response = api.post(USERS, {"firstname": "Nobody"})
    body = expect.bad_request(response)
    assert "email" in body["message"] or "username" in body["message"], expect.story(response)


@pytest.mark.parametrize("field, value", [("email", 7), ("username", []), ("phone", 12025550100), ("state", "x"), ("status", {}), ("custom_attributes", "x"), ("firstname", True)], ids=str)
def test_a_wrong_type_names_the_field(api, field, value):
    expect.bad_request(api.post(USERS, {"username": "typed", field: value}), field)


@pytest.mark.parametrize("field, value", [("state", 4), ("state", -1), ("status", 6), ("status", 9), ("status", -1)])
def test_a_state_or_status_that_the_sdk_cannot_read_is_refused(api, person, field, value):
    expect.invalid(api.post(USERS, {"username": f"{field}{value}", field: value}), field)
    expect.invalid(person.update(**{field: value}), field)


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 5, 7, 8])
def test_every_status_that_the_sdk_can_read_is_kept(api, status):
    made = expect.ok(api.post(USERS, {"username": f"status-{status}", "status": status}), 201)
    assert made["status"] == status


def test_an_explicit_null_leaves_a_field_as_it_is(person):
    changed = expect.ok(person.update(firstname=None, phone=None, status=None, lastname="New"), 200)
    assert (changed["firstname"], changed["phone"], changed["status"], changed["lastname"]) == ("Per", person.phone, 1, "New")


def test_the_id_cannot_be_chosen_or_changed(api, person):
    made = expect.ok(api.post(USERS, {"username": "chooser", "id": 424242}), 201)
    assert made["id"] != 424242
    assert expect.ok(person.update(id=424242), 200)["id"] == person.id


def test_passwords_are_accepted_and_dropped(api):
    secret = "correct-horse-battery-staple"
    made = api.post(USERS, {"username": "secretive", "password": secret, "password_confirmation": secret,
                            "password_algorithm": "salt+sha256", "salt": "pepper-" + secret})
    ident = expect.ok(made, 201)["id"]
    changed = api.put(f"{USERS}/{ident}", {"password": secret, "password_confirmation": secret})
    expect.ok(changed, 200)
    for response in (made, changed, api.get(f"{USERS}/{ident}"), api.get(USERS, params={"username": "secretive"})):
        assert secret not in response.text


@pytest.mark.parametrize("field", ["username", "email", "firstname", "lastname", "external_id"])
def test_the_list_is_filtered_by_an_exact_value(api, people, field):
    people()
    value = f"unique-{field}@users.example"
    person = people(**{field: value})
    found = expect.ok(api.get(USERS, params={field: value}), 200)
    assert [u["id"] for u in found] == [person.id]
    assert expect.ok(api.get(USERS, params={field: "nobody-" + value}), 200) == []


def test_the_list_is_filtered_by_ids(api, people):
    one, two, _ = people(), people(), people()
    found = expect.ok(api.get(USERS, params={"user_ids": f"{one.id},{two.id}"}), 200)
    assert sorted(u["id"] for u in found) == [one.id, two.id]


def test_the_list_is_filtered_by_time(api, people, clock):
    early = people()
    clock.advance(100)
    late = people()
    since = late.user["created_at"]
    found = [u["id"] for u in expect.ok(api.get(USERS, params={"created_since": since, "limit": 100}), 200)]
    assert late.id in found and early.id not in found
    found = [u["id"] for u in expect.ok(api.get(USERS, params={"user_ids": f"{early.id},{late.id}", "created_until": early.user["created_at"]}), 200)]
    assert found == [early.id]


def test_filters_are_data_and_no_patterns_of_the_database(api, people):
    people(firstname="under_score"), people(firstname="underXscore")
    assert [u["firstname"] for u in expect.ok(api.get(USERS, params={"firstname": "under_score"}), 200)] == ["under_score"]
    for evil in ("' or 1=1 --", "%", "_%", '"; drop table users; --', "\\"):
        assert expect.ok(api.get(USERS, params={"lastname": evil}), 200) == []


def test_only_the_asked_fields_are_shown(api, person):
    found = expect.ok(api.get(USERS, params={"user_ids": str(person.id), "fields": "id,username"}), 200)
    assert found == [{"id": person.id, "username": person.fields["username"]}]


def test_paging_by_cursor_and_by_page_shows_everybody_once(api, server):
    ids = [expect.ok(api.post(USERS, {"username": f"paged-{n}", "lastname": "Paged"}), 201)["id"] for n in range(7)]
    seen, params, pages = [], {"lastname": "Paged", "limit": 3}, 0
    while True:
        response = api.get(USERS, params=params)
        seen += [u["id"] for u in expect.ok(response, 200)]
        pages += 1
        assert pages <= 3
        assert response.headers["Total-Count"] == "7"
        assert response.headers["Total-Pages"] == "3"
        assert response.headers["Page-Items"] == "3"
        if "After-Cursor" not in response.headers:
            break
        params["cursor"] = response.headers["After-Cursor"]
    assert seen == ids and pages == 3
    by_page = []
    for page in (1, 2, 3):
        response = api.get(USERS, params={"lastname": "Paged", "limit": 3, "page": page})
        by_page += [u["id"] for u in expect.ok(response, 200)]
        assert response.headers["Current-Page"] == str(page)
        assert ("After-Cursor" in response.headers) == (page < 3)
    assert by_page == ids
    second = api.get(USERS, params={"lastname": "Paged", "limit": 3, "page": 2})
    back = api.get(USERS, params={"lastname": "Paged", "limit": 3, "cursor": second.headers["Before-Cursor"]})
    assert [u["id"] for u in expect.ok(back, 200)] == ids[:3]


def test_fifty_are_shown_by_default_and_a_hundred_at_most(api):
    for n in range(103):
        expect.ok(api.post(USERS, {"username": f"many-{n}", "lastname": "Many"}), 201)
    assert len(expect.ok(api.get(USERS, params={"lastname": "Many"}), 200)) == 50
    assert len(expect.ok(api.get(USERS, params={"lastname": "Many", "limit": 100}), 200)) == 100
    expect.invalid(api.get(USERS, params={"limit": 101}), "limit")


@pytest.mark.parametrize("params", [{"limit": "abc"}, {"limit": "-1"}, {"page": "abc"}, {"created_since": "yesterday"}, {"user_ids": "1,abc"}], ids=str)
def test_a_query_that_cannot_be_read_names_its_parameter(api, params):
    response = api.get(USERS, params=params)
    assert response.status_code in (400, 422), expect.story(response)
    name = next(iter(params))
    if response.status_code == 400:
        expect.bad_request(response, name)
    else:
        expect.invalid(response, name)


def test_a_cursor_that_we_did_not_give_is_refused(api):
    response = api.get(USERS, params={"cursor": "nonsense"})
    assert response.status_code in (400, 422), expect.story(response)


def test_what_the_vpn_client_in_the_field_does(api, person):
    response = api.get(USERS, params={"username": person.fields["username"]}, headers={"Authorization": f"bearer:{api.token}"})
    body = expect.ok(response, 200)
    assert isinstance(body, list)
    assert body[0]["id"] == person.id and body[0]["state"] == 1


def test_booleans_in_a_query_come_as_the_sdk_writes_them(api):
    for n, value in enumerate(("true", "True", "false", "False")):
        expect.ok(api.post(USERS, {"username": f"boolean-{n}"}, params={"validate_policy": value, "mappings": "sync"}), 201)
