"""A mail server and an HTTP server that do as they are told: each attempt takes the next line of its script, and once the
script has ended everything is taken."""

import base64
import hashlib
import hmac
import http.server
import queue
import socket
import ssl
import threading
import urllib.parse
import xml.etree.ElementTree

import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"codes", b"correct horse"
HANG = "hang"


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class MailPlayer:
    """A mail server by aiosmtpd. `security` is "starttls", "implicit" or "none"; `recipient` and `data` are scripts of
    replies, or None for a reply of its own."""

    def __init__(self, authority, security="starttls", login=True, recipient=(), data=(), sender=(), name="localhost",
                 utf8=False):
        self.scripts = {"RCPT": list(recipient), "DATA": list(data), "MAIL": list(sender)}
        self.letters, self.connections, self.logins = [], 0, []
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        self.controller = _Controller(
            self,
            hostname="127.0.0.1",
            port=closed_port(),
            ssl_context=context if security == "implicit" else None,
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            auth_required=login,
            auth_require_tls=security == "starttls",
            authenticator=self.authenticate if login else None,
            auth_exclude_mechanism=() if login else ("PLAIN", "LOGIN"),
            enable_SMTPUTF8=utf8,
        )
        self.controller.start()
        self.connections = 0  # aiosmtpd has tried it once itself
        self.port = self.controller.port

    def settings(self, **more):
        lines = {"host": "localhost", "port": self.port, "from": "Größe & Co <codes@example.org>", **more}
        values = "\n".join(f"{key} = {value!r}" for key, value in lines.items() if value is not None)
        return f"[delivery.smtp]\n{values}\n"

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((mechanism, session.ssl is not None))
        return AuthResult(success=(data.login, data.password) == (USER, PASSWORD), handled=False)

    def _next(self, command):
        return self.scripts[command].pop(0) if self.scripts[command] else None

    async def handle_MAIL(self, server, session, envelope, address, options):
        reply = self._next("MAIL")
        if reply is not None:
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        reply = self._next("RCPT")
        if reply is not None:
            return reply.replace("ADDRESS", address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        reply = self._next("DATA")
        if reply is not None:
            return reply
        self.letters.append(envelope)
        return "250 OK"

    def stop(self):
        self.controller.stop(no_assert=True)


class _Controller(Controller):
    def factory(self):
        self.handler.connections += 1
        return SMTP(self.handler, **self.SMTP_kwargs)


class HttpPlayer:
    """An HTTP server that remembers what was posted. Its script says how to answer: a status, a status and a body, HANG."""

    usual = 200

    def __init__(self, authority, script=(), tls=False):
        self.script, self.requests = list(script), []
        self.arrived = queue.Queue()
        self.let_go = threading.Event()
        player = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                player.requests.append((self.path, self.headers, body))
                player.arrived.put(player.requests[-1])
                answer = player.script.pop(0) if player.script else player.usual
                if answer == HANG:
                    player.let_go.wait(30)
                    self.close_connection = True
                    return
                status, text = answer if isinstance(answer, tuple) else (answer, "{}")
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                if status in (301, 302, 307, 308):
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        scheme = "http"
        if tls:
            scheme = "https"
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert("localhost").configure_cert(context)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{scheme}://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()


class Call:
    """A call that a gateway in Twilio's shape was asked to make: it rings until the test says what happens."""

    def __init__(self, form, token):
        self.form, self.token = form, token
        self.action, self.page = None, None

    @property
    def to(self):
        return self.form["To"]

    @property
    def link(self):
        return self.form["Url"]

    def sign(self, url, form):
        """As https://www.twilio.com/docs/usage/security says."""
        signed = url + "".join(name + value for name, value in sorted(form.items()))
        return base64.b64encode(hmac.new(self.token.encode(), signed.encode(), hashlib.sha1).digest()).decode()

    def post(self, url, signature=None, **form):
        form = {"AccountSid": "AC0", "CallSid": "CA1", "To": self.to, "From": self.form["From"], **form}
        headers = {"X-Twilio-Signature": self.sign(url, form) if signature is None else signature}
        session = requests.Session()
        session.trust_env = False
        return session.post(url, data=form, headers=headers, timeout=30)

    def follow(self, answer):
        """Reads TwiML as a gateway would, and gives what the person hears before the phone listens or hangs up."""
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("application/xml")
        self.page = xml.etree.ElementTree.fromstring(answer.content)
        assert self.page.tag == "Response"
        *verbs, last = self.page
        assert last.tag == "Hangup"
        gather = self.page.find("Gather")
        if gather is None:
            self.action = None
            assert {verb.tag for verb in verbs} == {"Say"}
            return " ".join(verb.text for verb in verbs)
        assert verbs[0] is gather and [verb.tag for verb in verbs[1:]] == ["Say"]
        assert (gather.get("input"), gather.get("numDigits"), gather.get("method")) == ("dtmf", "6", "POST")
        self.action = urllib.parse.urljoin(self.link, gather.get("action"))
        return " ".join(say.text for say in gather)

    def pick_up(self):
        return self.follow(self.post(self.link, CallStatus="in-progress"))

    def type(self, digits):
        assert self.action, "the phone does not listen"
        return self.follow(self.post(self.action, CallStatus="in-progress", Digits=digits))

    def end(self, status="completed"):
        answer = self.post(self.form["StatusCallback"], CallStatus=status)
        assert answer.status_code == 204, answer.text


class PhonePlayer(HttpPlayer):
    """A gateway in Twilio's shape that calls."""

    usual = 201, '{"sid": "CA1"}'

    def __init__(self, authority, token, script=()):
        super().__init__(authority, script)
        self.token = token

    def call(self):
        """The next call that it is asked to make."""
        path, _, body = self.arrived.get(timeout=20)
        assert path.endswith("/Calls.json"), path
        return Call(dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True)), self.token)
