"""Exact expectations of answers, with the whole exchange in the message when one fails."""

import re

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

UNAUTHORIZED = {"error": True, "code": 401, "type": "Unauthorized", "message": "Authentication Failure"}
SUCCESS = {
    "status": {"type": "success", "code": 200, "message": "Success", "error": False},
    "type": "success", "code": 200, "message": "Success", "error": False,
}


def story(response):
    request = response.request
    sent = request.body
    return (
        f"\n  {request.method} {request.url}\n  sent: {sent!r}\n"
        f"  got: {response.status_code} {dict(response.headers)}\n  body: {response.text[:1500]!r}"
    )


def ok(response, status):
    """The answer's JSON, when the status is exactly `status`."""
    assert response.status_code == status, f"expected {status}{story(response)}"
    envelope(response)
    if status == 204:
        assert response.content == b"", story(response)
        return None
    assert response.headers["Content-Type"].split(";")[0] == "application/json", story(response)
    return response.json()


def envelope(response):
    """The headers that every response carries (contract, Errors)."""
    assert response.headers.get("X-Request-Id"), f"no X-Request-Id{story(response)}"
    assert response.headers.get("Cache-Control") == "no-store", f"Cache-Control{story(response)}"
    assert response.headers.get("X-Content-Type-Options") == "nosniff", f"nosniff{story(response)}"


def error(response, status, name, *, message=None, mentions=None, parameters=None):
    """A refusal in the contract's v2 shape; gives its body."""
    assert response.status_code == status, f"expected {status} {name}{story(response)}"
    envelope(response)
    body = response.json()
    assert body["statusCode"] == status, story(response)
    assert body["name"] == name, f"expected {name}{story(response)}"
    assert isinstance(body["message"], str) and body["message"].strip(), story(response)
    if message is not None:
        assert body["message"] == message, story(response)
    if mentions is not None:
        assert mentions in body["message"], f"the message does not name {mentions}{story(response)}"
    if parameters is not None:
        assert body["message"] == "Validations failed", story(response)
        assert body["details"]["parameters"] == list(parameters), f"expected {parameters}{story(response)}"
    return body


def invalid(response, *parameters):
    return error(response, 422, "ValidationError", parameters=parameters)


def bad_request(response, mentions=None):
    return error(response, 400, "BadRequest", mentions=mentions)


def not_found(response):
    return error(response, 404, "NotFound")


def refused_code(response):
    """A wrong, used or late code: 401 Unauthorized, which says no more than that."""
    body = error(response, 401, "Unauthorized")
    assert body["status"] == UNAUTHORIZED, story(response)
    assert "WWW-Authenticate" not in response.headers, story(response)
    return body


def bad_token(response):
    body = error(response, 401, "InvalidCredentials", message="Please provide valid credentials")
    assert response.headers.get("WWW-Authenticate", "").startswith("Bearer"), story(response)
    return body


def forbidden(response):
    body = error(response, 403, "ForbiddenAction")
    assert "Retry-After" not in response.headers, f"nothing to wait for{story(response)}"
    return body


def delayed(response, seconds=None):
    """A locked device or user: 403 with `Retry-After`. The clock runs on, so up to two seconds may have gone by."""
    error(response, 403, "ForbiddenAction")
    after = response.headers.get("Retry-After", "")
    assert after.isdigit(), f"Retry-After must be whole seconds{story(response)}"
    if seconds is not None:
        assert seconds - 2 <= int(after) <= seconds, f"expected Retry-After {seconds}{story(response)}"
    return int(after)


def too_many(response, at_most=None):
    error(response, 429, "TooManyRequests")
    after = response.headers.get("Retry-After", "")
    assert after.isdigit(), f"Retry-After must be whole seconds{story(response)}"
    if at_most is not None:
        assert 0 < int(after) <= at_most, story(response)
    return int(after)


def accepted(response):
    body = ok(response, 200)
    assert body == SUCCESS, story(response)
    return body


def v1_error(response, status, message=None):
    """A refusal of the OAuth endpoints: v1-shaped."""
    assert response.status_code == status, f"expected {status}{story(response)}"
    envelope(response)
    body = response.json()
    assert body["status"]["error"] is True, story(response)
    assert body["status"]["code"] == status, story(response)
    assert isinstance(body["status"]["type"], str) and isinstance(body["status"]["message"], str), story(response)
    if message is not None:
        assert body["status"]["message"] == message, story(response)
    return body["status"]
