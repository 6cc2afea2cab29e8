"""What of the SDK's token and user calls our contract covers."""

import onelogin
import pytest
from onelogin.exceptions import ApiException, NotFoundException, UnauthorizedException

from harness import expect
from harness.server import epoch


def test_the_sdk_gets_and_revokes_a_token(server, oauth, clock):
    made = oauth.generate_token(onelogin.GenerateTokenRequest(grant_type="client_credentials"))
    assert made.expires_in == 36000 and made.token_type == "bearer" and made.account_id == 1
    assert abs(epoch(made.created_at) - clock.now()) <= 2
    configuration = onelogin.Configuration(host=server.url)
    configuration.access_token = made.access_token
    users = onelogin.UsersV2Api(onelogin.ApiClient(configuration))
    assert isinstance(users.list_users2(limit=1), list)
    gone = oauth.revoke_tokens(revoke_tokens_request=onelogin.RevokeTokensRequest(access_token=made.access_token))
    assert (gone.code, gone.error, gone.type, gone.message) == (200, False, "success", "Success")
    with pytest.raises(UnauthorizedException):
        users.list_users2(limit=1)


def test_the_sdk_reads_the_rate_limit(server, users):
    oauth = onelogin.OAuth2Api(users.api_client)
    answer = oauth.get_rate_limit()
    assert answer.status.code == 200 and answer.status.message
    limit = answer.data
    assert limit.x_rate_limit_limit == 2147483647
    assert type(limit.x_rate_limit_remaining) is int and type(limit.x_rate_limit_reset) is int


def test_the_sdk_raises_when_the_client_is_wrong(server):
    configuration = onelogin.Configuration(host=server.url, username=server.api.client_id, password="wrong")
    oauth = onelogin.OAuth2Api(onelogin.ApiClient(configuration))
    with pytest.raises(UnauthorizedException) as caught:
        oauth.generate_token(onelogin.GenerateTokenRequest(grant_type="client_credentials"))
    assert '"Authentication Failure"' in caught.value.body


def test_the_sdk_makes_reads_changes_lists_and_deletes_a_user(server, users):
    phone = server.phone()
    made = users.create_user2(user=onelogin.User(
        username="sdk-user", email="sdk-user@users.example", firstname="S", lastname="DK", phone=phone,
        external_id="x-1", custom_attributes={"shoe": "38"}))
    assert made.id > 0 and made.state == 1 and made.status == 1 and made.phone == phone
    read = users.get_user2(made.id)
    assert read.to_dict() == made.to_dict()
    changed = users.update_user2(made.id, user=onelogin.User(firstname="Sigrid"))
    assert changed.firstname == "Sigrid" and changed.lastname == "DK" and changed.external_id == "x-1"
    [found] = users.list_users2(username="sdk-user")
    assert found.id == made.id and found.state == 1
    [found] = users.list_users2(user_ids=str(made.id), fields="id,firstname")
    assert found.id == made.id and found.firstname == "Sigrid" and found.email is None
    assert users.delete_user2(made.id) is None
    with pytest.raises(NotFoundException):
        users.get_user2(made.id)


def test_the_sdk_makes_a_user_with_its_query_parameters(server, users):
    made = users.create_user2(mappings="sync", validate_policy=True, user=onelogin.User(username="sdk-policy"))
    assert users.get_user2(made.id).username == "sdk-policy"


def test_the_sdk_pages_through_the_users(server, users):
    ids = [users.create_user2(user=onelogin.User(username=f"sdk-page-{n}", lastname="Sdkpaged")).id for n in range(5)]
    seen, cursor = [], None
    while True:
        answer = users.list_users2_with_http_info(lastname="Sdkpaged", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [user.id for user in answer.data]
        cursor = answer.headers.get("After-Cursor")
        if not cursor:
            break
        assert len(seen) < 20
    assert seen == ids


def test_the_sdk_can_read_every_status_that_we_keep(server, users):
    for status in (0, 1, 2, 3, 4, 5, 7, 8):
        made = users.create_user2(user=onelogin.User(username=f"sdk-status-{status}", status=status))
        assert users.get_user2(made.id).status == status


def test_the_sdk_raises_for_a_user_without_a_name(server, users):
    with pytest.raises(ApiException) as caught:
        users.create_user2(user=onelogin.User(firstname="Nobody"))
    assert caught.value.status == 400


def test_a_password_that_the_sdk_sets_is_kept_nowhere(server, users):
    made = users.create_user2(user=onelogin.User(
        username="sdk-secret", password="hunter2hunter2", password_confirmation="hunter2hunter2"))
    assert made.password is None
    assert "hunter2" not in expect.ok(server.api.get(f"/api/2/users/{made.id}"), 200).__str__()
    for path in server.data.rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes(), path
