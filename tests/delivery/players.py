"""A mail server and an HTTP server that do as they are told: each attempt takes the next line of its script, and once the
script has ended everything is taken."""

import http.server
import socket
import ssl
import threading

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

    def __init__(self, authority, script=(), tls=False):
        self.script, self.requests = list(script), []
        self.let_go = threading.Event()
        player = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                player.requests.append((self.path, self.headers, body))
                answer = player.script.pop(0) if player.script else 200
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
