"""An application with a login of its own, as anybody would write it with the official SDK: it can only start, poll and send a
code. It completes a verification in the browser in which it began, and in no other."""

import http.cookies
import http.server
import secrets
import ssl
import threading
import urllib.parse

import onelogin


class Application:
    """Serves `/login?user=&device=` and `/in` on a loopback port of its own."""

    def __init__(self, mfa, certificate=None):
        self.mfa = mfa
        self.sessions = {}  # cookie -> (user id, verification id)
        self.refused = []  # addresses that came with the verification of another browser
        application = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                application.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def begin(self, user_id, device_id):
        """Starts a login; gives the session's cookie and the id of its verification."""
        started = self.mfa.create_device_verification(
            user_id, create_device_verification_request=onelogin.CreateDeviceVerificationRequest(
                device_id=int(device_id), redirect_to=f"{self.url}/in?from=login"))
        cookie = secrets.token_hex(16)
        self.sessions[cookie] = (user_id, started.id)
        return cookie, started.id

    def answer(self, request):
        url = urllib.parse.urlsplit(request.path)
        query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
        cookies = http.cookies.SimpleCookie(request.headers.get("Cookie", ""))
        if url.path == "/login":
            cookie, verification = self.begin(int(query["user"]), query["device"])
            request.send_response(303)
            request.send_header("Set-Cookie", f"login={cookie}; HttpOnly; SameSite=Lax")
            # All it knows is the id, and where the API is.
            request.send_header("Location", f"{self.mfa.api_client.configuration.host}/verify/{verification}")
            request.end_headers()
            return
        if url.path == "/favicon.ico":
            request.send_response(204)
            request.end_headers()
            return
        known = self.sessions.get(cookies["login"].value) if "login" in cookies else None
        if url.path != "/in" or known is None or known[1] != query.get("verification_id"):
            if url.path == "/in":
                self.refused.append(request.path)
            return self.say(request, 403, "This login was not begun here")
        user_id, verification = known
        result = self.mfa.verify_user_verification(
            user_id, verification, verify_user_verification_request=onelogin.VerifyUserVerificationRequest(otp=query["otp"]))
        self.say(request, 200, f"Welcome: {result.message}")

    @staticmethod
    def say(request, status, text):
        request.send_response(status)
        request.send_header("Content-Type", "text/html")
        request.end_headers()
        request.wfile.write(f"<p>{text}".encode())

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
