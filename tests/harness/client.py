"""A plain client of the wire: it sends what it is told, byte for byte, and hides nothing."""

import threading

import requests

ABSENT = object()
JSON = "application/json"


class Api:
    def __init__(self, server, client_id, client_secret):
        self.server = server
        self.client_id = client_id
        self.client_secret = client_secret
        self._lock = threading.Lock()
        self.reset()

    def reset(self):
        """Forgets connections and tokens: the server was started anew."""
        self._local = threading.local()
        self._token = None
        self._age = 0

    def aged(self, seconds):
        """The service's clock was moved: a bearer token lives for 36000 s of it."""
        self._age += seconds
        if self._age > 30_000:
            self._token = None

    @property
    def session(self):
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
            if self.server.verify:
                self._local.session.verify = self.server.verify
        return self._local.session

    @property
    def token(self):
        with self._lock:
            if self._token is None:
                self._token = self.new_token()["access_token"]
                self._age = 0
            return self._token

    def new_token(self):
        answer = self.session.post(
            f"{self.server.url}/auth/oauth2/v2/token", json={"grant_type": "client_credentials"},
            auth=(self.client_id, self.client_secret), timeout=30,
        )
        assert answer.status_code == 200, f"no token: {answer.status_code} {answer.text}"
        return answer.json()

    def call(self, method, path, *, json=ABSENT, body=None, headers=None, token=ABSENT, params=None, auth=None):
        """`json` is sent as JSON; `body` as it is (with no Content-Type of ours); `token=None` sends no bearer."""
        sent = dict(headers or {})
        if auth is None and token is not None and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self.token if token is ABSENT else token}"
        keywords = {"json": json} if json is not ABSENT else {"data": body}
        return self.session.request(
            method, self.server.url + path, headers=sent, params=params, auth=auth, timeout=30,
            allow_redirects=False, **keywords,
        )

    def get(self, path, **keywords):
        return self.call("GET", path, **keywords)

    def post(self, path, json=ABSENT, **keywords):
        return self.call("POST", path, json=json, **keywords)

    def put(self, path, json=ABSENT, **keywords):
        return self.call("PUT", path, json=json, **keywords)

    def delete(self, path, **keywords):
        return self.call("DELETE", path, **keywords)
