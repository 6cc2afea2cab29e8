"""A real Chromium, headless, driven by the Chrome DevTools Protocol. Each person has a browser context of their own, and in
it a virtual authenticator of Chromium's (https://w3c.github.io/webauthn/#sctn-automation)."""

import contextlib
import json
import os
import re
import subprocess

from websockets.sync.client import connect

PATIENCE = 30


class Chromium:
    """One process and the connection to it."""

    def __init__(self, folder, *more):
        arguments = ["--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run",
                     "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
                     *more]
        if os.getuid() == 0:
            arguments.append("--no-sandbox")  # Chromium's sandbox refuses to run as root, as in a container
        self.process = subprocess.Popen(["chromium", *arguments, "about:blank"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                break
        else:
            raise AssertionError(f"chromium ended by itself\n{''.join(said)}")
        # What it says from here on is nobody's concern, but the pipe must not fill.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
        self.open = contextlib.ExitStack()
        self.socket = self.open.enter_context(connect(found[1], max_size=None, open_timeout=PATIENCE, proxy=None))
        self.calls, self.events = 0, []

    def call(self, method, session=None, **params):
        """Calls a method; gives its result. Events that come meanwhile are kept."""
        self.calls += 1
        message = {"id": self.calls, "method": method, "params": params}
        self.socket.send(json.dumps({**message, "sessionId": session} if session else message))
        while True:
            answer = self._receive()
            if answer.get("id") == self.calls:
                assert "error" not in answer, f"{method} {params}: {answer['error']}"
                return answer["result"]

    def event(self, method, session):
        """Waits for an event, or takes one that has come."""
        while True:
            for index, event in enumerate(self.events):
                if event["method"] == method and event.get("sessionId") == session:
                    return self.events.pop(index)["params"]
            self._receive()

    def _receive(self):
        message = json.loads(self.socket.recv(timeout=PATIENCE))
        if "id" not in message:
            self.events.append(message)
        return message

    def person(self, **authenticator):
        return Browser(self, authenticator)

    def stop(self):
        self.open.close()
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        self.drain.wait(timeout=PATIENCE)


class Browser:
    """One person's browser: their own cookies, one page, and a key that verifies them unless it is said otherwise."""

    def __init__(self, chromium, authenticator):
        self.chromium = chromium
        self.context = chromium.call("Target.createBrowserContext")["browserContextId"]
        target = chromium.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = chromium.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "usb", "hasUserVerification": True, "isUserVerified": True,
                   "automaticPresenceSimulation": True, **authenticator}
        self.key = self.call("WebAuthn.addVirtualAuthenticator", options=options)["authenticatorId"]

    def call(self, method, **params):
        return self.chromium.call(method, session=self.session, **params)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.chromium.event("Page.loadEventFired", self.session)

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True,
                           userGesture=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def text(self):
        return self.evaluate("document.body.innerText")

    def press(self):
        """Presses the page's button."""
        self.evaluate("document.getElementById('go').click()")

    def told(self):
        """What the page says when the ceremony is over."""
        return self.evaluate("""new Promise((resolve) => {
            const told = document.getElementById("told");
            const look = () => told.textContent && resolve(told.textContent);
            new MutationObserver(look).observe(told, { childList: true, subtree: true, characterData: true });
            look();
        })""")

    def arrive(self):
        """Waits for the next page; gives its address."""
        self.chromium.event("Page.loadEventFired", self.session)
        return self.evaluate("location.href")

    def credentials(self):
        """What the virtual authenticator holds."""
        return self.call("WebAuthn.getCredentials", authenticatorId=self.key)["credentials"]

    def put(self, credential):
        self.call("WebAuthn.addCredential", authenticatorId=self.key, credential=credential)

    def complaints(self):
        """What the browser has logged: a breach of the page's own policy would be here."""
        return [e["params"]["entry"]["text"] for e in self.chromium.events
                if e["method"] == "Log.entryAdded" and e.get("sessionId") == self.session]
