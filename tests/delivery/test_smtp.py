"""E-mail to a real SMTP server: TLS, login, what is written, and what each refusal means."""

import email
import email.policy
import socket
import threading

import pytest

LOGIN = {"username": "codes"}


def by_mail(player, authority=None, **more):
    trust = f"ca_file = '{authority.path}'\n" if authority else ""
    return f"[delivery]\nemail = ['smtp']\ntimeout = 2\n{trust}{player.settings(**more)}"


def read(envelope):
    return email.message_from_bytes(envelope.content, policy=email.policy.default)


def test_a_letter_arrives_over_starttls_with_login_as_it_was_written(deliver, mail, authority):
    player = mail()
    sender = deliver(by_mail(player, authority, **LOGIN))
    assert sender.send("email", subject="Ihr Schlüssel", body="Schlüssel: 271828\n.\n..\nコード") == "done"
    (envelope,) = player.letters
    assert (envelope.mail_from, envelope.rcpt_tos) == ("codes@example.org", ["ada@example.com"])
    assert player.logins == [("PLAIN", True)], "the password goes over TLS alone"
    letter = read(envelope)
    assert letter["To"] == "ada@example.com"
    assert letter["From"].addresses[0].display_name == "Größe & Co"
    assert letter["Subject"] == "Ihr Schlüssel"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"].endswith("@example.org>")
    assert letter["Date"].datetime.utcoffset().total_seconds() == 0
    assert letter.get_content().replace("\r\n", "\n").rstrip("\n") == "Schlüssel: 271828\n.\n..\nコード"
    assert envelope.content.isascii()


def test_a_letter_arrives_over_implicit_tls(deliver, mail, authority):
    player = mail(security="implicit", login=False)
    assert deliver(by_mail(player, authority, security="implicit")).send("email") == "done"
    assert len(player.letters) == 1


def test_a_server_on_this_machine_needs_no_tls(deliver, mail):
    player = mail(security="none", login=False)
    assert deliver(by_mail(player, host="127.0.0.1", security="none")).send("email") == "done"


def test_connections_are_used_again_also_after_a_server_has_closed_one(deliver, mail, authority):
    player = mail()
    sender = deliver(by_mail(player, authority, **LOGIN))
    assert [sender.send("email") for _ in range(3)] == ["done"] * 3
    assert (len(player.letters), player.connections, len(player.logins)) == (3, 1, 1)
    player.scripts["DATA"].append("421 closing")
    assert sender.send("email") == "later"
    assert sender.send("email") == "done"
    assert player.connections == 2


@pytest.mark.parametrize("case", ["unknown authority", "another name", "no STARTTLS", "a wrong password", "no login offered"])
def test_nothing_is_sent_to_a_server_that_is_not_as_it_must_be(deliver, mail, authority, case):
    trusted = None if case == "unknown authority" else authority
    player = mail(
        name="mail.example.net" if case == "another name" else "localhost",
        security="none" if case == "no STARTTLS" else "starttls",
        login=case == "a wrong password",
    )
    login = {"username": "somebody else"} if case in ("a wrong password", "no login offered") else {}
    sender = deliver(by_mail(player, trusted, **login))
    assert sender.send("email") == "later"
    assert player.letters == []
    expected = {
        "unknown authority": "UnknownIssuer",
        "another name": "certificate not valid for name",
        "no STARTTLS": "the server offers no STARTTLS",
        "a wrong password": "neither the user name nor the password (535)",
        "no login offered": "neither AUTH PLAIN nor AUTH LOGIN",
    }
    sender.stop()
    assert expected[case] in sender.log()


@pytest.mark.parametrize("script, expected", [
    ({"recipient": ["550 5.1.1 <ADDRESS>: no such user"]}, "never"),
    ({"recipient": ["553 5.1.3 ADDRESS"]}, "never"),
    ({"data": ["554 5.7.1 looks like spam to ada@example.com"]}, "never"),
    ({"recipient": ["450 4.2.0 <ADDRESS>: greylisted"]}, "later"),
    ({"recipient": ["421 going down"]}, "later"),
    ({"data": ["452 disk full"]}, "later"),
    ({"sender": ["553 not your address"]}, "later"),
    ({"recipient": ["530 5.7.0 log in first"]}, "later"),
])
def test_a_refusal_is_for_good_only_where_it_is_about_the_message(deliver, mail, authority, script, expected):
    player = mail(login=False, **script)
    sender = deliver(by_mail(player, authority))
    assert sender.send("email") == expected
    assert sender.send("email") == "done", "the next one is taken"


@pytest.mark.parametrize("to", [
    "ada@example.com\r\nRCPT TO:<eve@example.net>", "ada@example.com>\r\nDATA", "ada@example.com, eve@example.net",
    "ada", "", "Ada <ada@example.com>", "ada@example.com\x00",
])
def test_an_address_that_is_more_or_less_than_one_address_is_refused_before_anybody_is_asked(deliver, mail, authority, to):
    player = mail(login=False)
    assert deliver(by_mail(player, authority)).send("email", to=to) == "never"
    assert player.connections == 0


def test_a_subject_and_a_text_cannot_bring_headers_or_commands(deliver, mail, authority):
    player = mail(login=False)
    sender = deliver(by_mail(player, authority))
    assert sender.send("email", subject="Hi\r\nBcc: eve@example.net\r\n\r\nnew body",
                       body="one\r\n.\r\nMAIL FROM:<eve@example.net>\r\n") == "done"
    (envelope,) = player.letters
    letter = read(envelope)
    assert letter["Bcc"] is None and letter["Subject"].startswith("Hi  Bcc")
    assert "MAIL FROM" in letter.get_content()
    assert envelope.rcpt_tos == ["ada@example.com"]


@pytest.mark.parametrize("utf8, expected", [(True, "done"), (False, "never")])
def test_an_address_beyond_ascii_needs_a_server_that_knows_them(deliver, mail, authority, utf8, expected):
    player = mail(login=False, utf8=utf8)
    assert deliver(by_mail(player, authority)).send("email", to="ada+größe@example.com") == expected
    assert [envelope.rcpt_tos for envelope in player.letters] == [["ada+größe@example.com"]] * utf8


def test_a_server_that_is_not_there_or_never_answers_is_asked_again_later(deliver, authority, nowhere):
    settings = "[delivery]\nemail = ['smtp']\ntimeout = 1\n[delivery.smtp]\nhost = '127.0.0.1'\nsecurity = 'none'\nfrom = 'a@example.org'\n"
    assert deliver(f"{settings}port = {nowhere}").send("email") == "later"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = deliver(f"{settings}port = {silent.getsockname()[1]}")
        assert sender.send("email") == "later"
        sender.stop()
        assert "no answer in time" in sender.log()


def test_replies_that_were_slipped_in_before_tls_pass_for_none_after_it(deliver, authority):
    """Somebody in between adds replies to the one to STARTTLS: they must not be taken for those of the server."""
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    heard = []

    def serve(listener):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 hello\r\n")
            connection.recv(1000)
            connection.sendall(b"250-localhost\r\n250 STARTTLS\r\n")
            connection.recv(1000)
            connection.sendall(b"220 go on\r\n250 injected\r\n")
            try:
                with context.wrap_socket(connection, server_side=True) as secret:
                    for reply in (b"250 localhost\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 go on\r\n", b"250 OK\r\n"):
                        heard.append(secret.recv(1000))
                        secret.sendall(reply)
            except (OSError, ssl.SSLError):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        sender = deliver(f"[delivery]\nemail = ['smtp']\ntimeout = 2\nca_file = '{authority.path}'\n"
                         f"[delivery.smtp]\nhost = 'localhost'\nport = {port}\nfrom = 'a@example.org'\n")
        assert sender.send("email") == "later"
        thread.join(10)
    assert not any(b"271828" in command for command in heard)
