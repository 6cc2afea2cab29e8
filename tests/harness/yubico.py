"""A YubiKey, and a validation server of Yubico's protocol 2.0, written from Yubico's own descriptions and by the `cryptography`
package: no code of ours judges our own."""

import base64
import hashlib
import hmac
import http.server
import itertools
import secrets
import threading
import urllib.parse

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MODHEX = "cbdefghijklnrtuv"
DVORAK = str.maketrans(MODHEX, "jxe.uidchtnbpygk")
_numbers = itertools.count(1)


def modhex(data):
    return "".join(MODHEX[byte >> 4] + MODHEX[byte & 15] for byte in data)


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x8408 if value & 1 else 0)
    return value


class Yubikey:
    """A key with its first slot programmed. Each key is new."""

    def __init__(self):
        self.serial = next(_numbers)
        self.public_id = modhex(secrets.token_bytes(6))
        self.private_id = secrets.token_bytes(6)
        self.key = secrets.token_bytes(16)
        self.session, self.uses = 1, -1

    def line(self):
        """The key as Yubico's programming tools write it."""
        return (f"{self.serial},{self.public_id},{self.private_id.hex()},{self.key.hex()},000000000000,"
                "2026-11-24T15:00:00,")

    def plug_in(self):
        self.session, self.uses = self.session + 1, -1

    def press(self):
        self.uses += 1
        return self.at(self.session, self.uses)

    def at(self, session, uses, private_id=None, damage=0):
        """What the key types with these counters; `damage` changes the checksum."""
        plain = (private_id or self.private_id) + session.to_bytes(2, "little") + secrets.token_bytes(3)
        plain += bytes([uses]) + secrets.token_bytes(2)
        check = crc(plain) ^ 0xFFFF ^ damage
        plain += check.to_bytes(2, "little")
        encryptor = Cipher(algorithms.AES(self.key), modes.ECB()).encryptor()
        return self.public_id + modhex(encryptor.update(plain) + encryptor.finalize())


class ValidationServer:
    """Plays the server. It checks what we sign, and answers as `mode` says; `asked` holds the queries."""

    CLIENT_ID = 87

    def __init__(self):
        self.secret = secrets.token_bytes(20)
        self.keys = {}
        self.seen = set()
        self.asked = []
        self.mode = "honest"
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/wsapi/2.0/verify"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()

    def know(self, key):
        self.keys[key.public_id] = key

    def sign(self, fields, secret=None):
        text = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
        digest = hmac.new(secret or self.secret, text.encode(), hashlib.sha1).digest()
        return base64.b64encode(digest).decode()

    def answer(self, request):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.path).query, strict_parsing=True))
        self.asked.append(query)
        if self.mode == "broken":
            request.send_error(502)
            return
        fields = self.judge(dict(query))
        signature = self.sign(fields, b"another secret altogether" if self.mode == "unsigned" else None)
        body = "".join(f"{name}={value}\r\n" for name, value in {"h": signature, **fields}.items()) + "\r\n"
        if self.mode == "altered":
            body = body.replace("status=BAD_OTP", "status=OK").replace("status=REPLAYED_OTP", "status=OK")
        request.send_response(200)
        request.send_header("Content-Type", "text/plain")
        request.end_headers()
        request.wfile.write(body.encode())

    def judge(self, query):
        signature = query.pop("h", "")
        fields = {"t": "2026-11-24T15:00:00Z0123", "otp": query["otp"], "nonce": query["nonce"], "sl": "100"}
        if query["id"] != str(self.CLIENT_ID):
            return {**fields, "status": "NO_SUCH_CLIENT"}
        if not hmac.compare_digest(signature, self.sign(query)):
            return {**fields, "status": "BAD_SIGNATURE"}
        if self.mode.isupper():
            return {**fields, "status": self.mode}
        counters = self.counters(query["otp"])
        if counters is None:
            return {"t": fields["t"], "status": "BAD_OTP"}
        status = "REPLAYED_OTP" if query["otp"] in self.seen and self.mode != "forgetful" else "OK"
        self.seen.add(query["otp"])
        if self.mode == "other nonce":
            fields["nonce"] = fields["nonce"][::-1]
        if self.mode == "other otp":
            fields["otp"] = fields["otp"][::-1]
        fields |= {"timestamp": "7", "sessioncounter": counters[0], "sessionuse": counters[1]}
        return {**fields, "status": status}

    def counters(self, otp):
        key = self.keys.get(otp[:12])
        if key is None:
            return None
        block = bytes(MODHEX.index(a) << 4 | MODHEX.index(b) for a, b in zip(otp[12::2], otp[13::2]))
        decryptor = Cipher(algorithms.AES(key.key), modes.ECB()).decryptor()
        plain = decryptor.update(block) + decryptor.finalize()
        if crc(plain) != 0xF0B8 or plain[:6] != key.private_id:
            return None
        return int.from_bytes(plain[6:8], "little"), plain[11]
