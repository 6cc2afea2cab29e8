"""Many requests at one moment: all are sent but for their last byte, then the last bytes follow in one go."""

import dataclasses
import json
import socket
import time

MOST_TRIES = 10


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


def request(server, token, method, path, body):
    payload = json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + payload


def burst(server, requests):
    """The answers to `requests` (bytes), which reach the server as nearly together as one machine can.

    A machine that is slow may turn some away before it looks at them: they are sent again, as a client would."""
    answers = together(server, requests)
    tries = 1
    while turned_away := [at for at, answer in enumerate(answers) if answer.status == 503]:
        assert tries < MOST_TRIES, f"still turned away: {tally(answers)}"
        tries += 1
        time.sleep(max(int(answers[at].headers["retry-after"]) for at in turned_away))
        for at, answer in zip(turned_away, together(server, [requests[at] for at in turned_away])):
            answers[at] = answer
    return answers


def together(server, requests):
    sockets = []
    try:
        for data in requests:
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(data[:-1])
            sockets.append(connection)
        for connection, data in zip(sockets, requests):
            connection.send(data[-1:])
        return [read(connection) for connection in sockets]
    finally:
        for connection in sockets:
            connection.close()


def read(connection):
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return parse(data)


def parse(data):
    assert data, "the connection was closed without an answer"
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = unchunk(body)
    return Answer(int(first.split()[1]), headers, body)


def unchunk(data):
    out = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        out, data = out + rest[:length], rest[length + 2:]
    return out


def tally(answers):
    counts = {}
    for answer in answers:
        counts[answer.status] = counts.get(answer.status, 0) + 1
    return counts
