"""What messages say, from outside: languages, an operator's templates, the line that binds a code to its site, notices."""

import re

import requests

from harness import expect
from harness.people import EMAIL, SMS, Person
from harness.serve import Installation, refused


def page(server, path):
    return requests.get(f"{server.url}{path}", timeout=10, proxies={"http": None})


def templates(folder, **files):
    for name, text in files.items():
        language, kind, part = name.split("__")
        (folder / language).mkdir(exist_ok=True, parents=True)
        (folder / language / f"{kind}.{part}").write_text(text)
    return folder


def test_a_message_is_in_the_language_that_the_user_prefers(server):
    person = Person(server, preferred_locale_code="fr-CA")
    expect.ok(person.register(EMAIL), 201)
    message = person.message()
    assert message["subject"] == "Votre code factord"
    assert message["code"] in message["body"] and f"<b>{message['code']}</b>" in message["html"]
    changed = server.api.put(f"/api/2/users/{person.id}", {"preferred_locale_code": "ja"})
    expect.ok(changed, 200)
    expect.ok(person.register(EMAIL), 201)
    assert person.message()["subject"] == "factordの認証コード"


def test_a_user_is_told_of_each_change_at_every_address(server):
    person = Person(server)
    device = person.enrol_sms(name="<i>Ada</i>")
    expect.ok(server.api.post(person.path("/mfa_token"), {}), 201)
    assert person.remove(device.id).status_code == 204
    told = []
    while len(told) < 6:
        after = max((notice["id"] for notice in told), default=0)
        told += sorted(server.outbox(person.id, after=after, wait=10, kind="notice"), key=lambda notice: notice["id"])
    assert [notice["channel"] for notice in told] == ["email", "sms"] * 3
    assert {notice["to"] for notice in told} == {person.email, person.phone}
    subjects = [notice["subject"] for notice in told[::2]]
    assert [re.search(r"added|temporary|removed", subject).group() for subject in subjects] == ["added", "temporary", "removed"]
    assert all(notice["code"] is None and notice["link"] is None for notice in told)
    assert "<i>Ada</i> (OneLogin SMS)" in told[0]["body"]
    assert "&lt;i&gt;Ada&lt;/i&gt;" in told[0]["html"] and "<i>" not in told[0]["html"]


def test_templates_of_ones_own_are_used_and_shown(start_dev, tmp_path):
    folder = templates(tmp_path / "templates", en__code__sms="Hello from {{ service }}: {{ code }}", en__code__html="<em>{{ code }}</em>")
    dev = start_dev(extra=["--templates", str(folder)])
    person = Person(dev)
    expect.ok(person.register(SMS), 201)
    message = person.message()
    assert message["body"] == f"Hello from factord: {message['code']}"
    assert "Hello from factord: 123456" in page(dev, "/dev/messages/en/code").text
    preview = page(dev, "/dev/messages/en/code/html")
    assert preview.text == "<em>123456</em>"
    assert preview.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert page(dev, "/dev/messages").status_code == 200


def test_wrong_templates_are_refused_with_file_and_line(tmp_path):
    folder = templates(tmp_path / "templates", en__code__txt="{{ code }}\n{{ minuts }}", de__code__text="{{ code }}")
    installation = Installation(tmp_path, messages={"templates": str(folder)})
    said = refused("serve", "--config", installation.config)
    assert f"{folder}/en/code.txt line 2: there is no variable minuts here (did you mean minutes?)" in said
    assert f"{folder}/de/code.text: there is no such template; did you mean code.txt?" in said
