"""Load whose whole history is written down, and afterwards held against a model: what was acknowledged is there, no code
is accepted twice, no wrong guess is under-counted. The lives of people and the model are those of the crash test."""

import random
import threading
import time

import requests

from harness import expect, oath
from process.test_crash import UNKNOWN, Dead, Episode, Model, Told

WORKERS = 6


class Life(Episode):
    """One person's life on a cluster: whatever is not answered, or answered with 503, may have happened or not, and ends
    the life."""

    def ask(self, what, call, **args):
        line = Told(what, args=args)
        self.history.append(line)
        began = time.monotonic()
        try:
            response = call()
        except (requests.RequestException, OSError) as error:
            raise Dead from error
        finally:
            self.world.took(time.monotonic() - began)
        if response.status_code == 503:
            self.world.unavailable(response)
            raise Dead
        line.status = response.status_code
        line.body = response.json() if response.content else {}
        assert response.status_code < 500, expect.story(response)
        self.world.acknowledged()
        return line

    def codes(self, secret):
        """As the clock runs on while servers are lost, late in a time step those two that stay valid for another 30 s."""
        now = self.world.now()
        if 2 <= now % 30 < 15:
            return oath.codes(secret, now - 30, 3)
        return oath.codes(secret, now if now % 30 >= 15 else now - 30, 2)


class Load:
    """Workers who live one life after the other until they are told to stop. `longest` is the longest that an answer took,
    and `silence` the longest time of the last round in which nothing was acknowledged to any of them, both in seconds."""

    def __init__(self, server, seed, workers=WORKERS):
        self.server, self.seed, self.workers = server, seed, workers
        self.lock = threading.Lock()
        self.failures, self.refusals = [], []
        self.longest = 0.0
        self.rounds = 0

    def __enter__(self):
        self.time = self.server.clock.fresh_step()
        self.lives, self.told = [], 0
        self.began = self.heard = time.monotonic()
        self.silence = 0.0
        self.progress = threading.Condition(self.lock)
        self.over = threading.Event()
        self.rounds += 1
        self.server.api.token  # before anything is lost
        self.threads = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(self.workers)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(90)
            assert not thread.is_alive()
        if self.failures:
            raise self.failures[0]

    def work(self, number):
        chance = random.Random(f"{self.seed} {self.rounds} {number}")
        while not self.over.is_set():
            life = Life(self, chance.random())
            with self.lock:
                self.lives.append(life)
            try:
                life.live()
            except Dead:
                pass
            except BaseException as error:  # noqa: BLE001: reported by the main thread
                if self.is_outage(error):
                    continue
                self.failures.append(error)
                return

    @staticmethod
    def is_outage(error):
        """Creating a person, or reading the outbox, outside what is written down."""
        text = str(error)
        return isinstance(error, (requests.RequestException, OSError)) or (
            isinstance(error, AssertionError) and ("503" in text or "came in 10 s" in text))

    def now(self):
        """The service's time, up to two seconds ago."""
        return self.time + int(time.monotonic() - self.began)

    def acknowledged(self):
        with self.lock:
            now = time.monotonic()
            self.silence, self.heard = max(self.silence, now - self.heard), now
            self.told += 1
            self.progress.notify_all()

    def unavailable(self, response):
        with self.lock:
            self.refusals.append(response)

    def took(self, seconds):
        with self.lock:
            self.longest = max(self.longest, seconds)

    def wait_for(self, more, patience=90):
        """Waits for so many more acknowledgements."""
        with self.lock:
            wanted = self.told + more
            reached = self.progress.wait_for(lambda: self.told >= wanted or self.failures, patience)
        if self.failures:
            raise self.failures[0]
        assert reached, f"{more} more answers did not come in {patience} s\n{self.server.logs()}"

    def check(self):
        """Holds every life against the model; gives how many lines there were, and how many of unknown outcome."""
        lines = unknown = 0
        for life in self.lives:
            if life.person is None:
                continue
            Model(life).check()
            lines += len(life.history)
            unknown += sum(line.status is UNKNOWN for line in life.history)
        return lines, unknown
