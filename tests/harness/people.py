"""People with devices: each test makes its own, so that tests can share a server."""

import dataclasses

from harness import expect, oath

AUTHENTICATOR, PROTECT, SMS, VOICE, EMAIL = 58957, 58958, 58959, 58960, 58961
MAGIC_LINK, WEBAUTHN, YUBIKEY, RECOVERY = 58962, 58963, 58964, 58965


@dataclasses.dataclass
class Device:
    """A confirmed device. `id` is the string that /devices shows."""

    id: str
    registration: dict

    @property
    def number(self):
        return int(self.id)


@dataclasses.dataclass
class Totp(Device):
    secret: str

    def code(self, at, steps=0):
        return oath.code(self.secret, at + steps * oath.STEP)

    def wrong(self, at, salt=0):
        return oath.wrong_code(self.secret, at, salt)


class Person:
    def __init__(self, server, api=None, **fields):
        self.server = server
        self.api = api or server.api
        n = server.number()
        given = {
            "username": f"person{n}@people.example", "email": f"person{n}@people.example",
            "firstname": "Per", "lastname": f"Son{n}", "phone": f"+1202556{n:04d}",
        }
        given.update(fields)
        self.fields = {k: v for k, v in given.items() if v is not None}
        self.phone = self.fields.get("phone")
        self.email = self.fields.get("email")
        self.user = expect.ok(self.api.post("/api/2/users", self.fields), 201)
        self.id = self.user["id"]
        self.seen = 0

    def path(self, tail=""):
        return f"/api/2/mfa/users/{self.id}{tail}"

    # One method an operation; each gives the response as it came

    def factors(self):
        return self.api.get(self.path("/factors"))

    def register(self, factor_id, **fields):
        body = {"factor_id": factor_id, "display_name": "mine", **fields}
        return self.api.post(self.path("/registrations"), body)

    def registration(self, registration_id):
        return self.api.get(self.path(f"/registrations/{registration_id}"))

    def confirm(self, registration_id, otp, **fields):
        return self.api.put(self.path(f"/registrations/{registration_id}"), {"otp": otp, **fields})

    def list_devices(self):
        return self.api.get(self.path("/devices"))

    def remove(self, device_id):
        return self.api.delete(self.path(f"/devices/{device_id}"))

    def challenge(self, device, **fields):
        device_id = device.id if isinstance(device, Device) else device
        return self.api.post(self.path("/verifications"), {"device_id": device_id, **fields})

    def poll(self, verification_id):
        return self.api.get(self.path(f"/verifications/{verification_id}"))

    def answer(self, verification_id, otp, **fields):
        return self.api.put(self.path(f"/verifications/{verification_id}"), {"otp": otp, **fields})

    def verify(self, otp, device=None, **fields):
        """POST /verifications with an otp: all in one call."""
        body = {"otp": otp, **fields}
        if device is not None:
            body["device_id"] = device.id if isinstance(device, Device) else device
        return self.api.post(self.path("/verifications"), body)

    def temporary_token(self, **fields):
        return self.api.post(self.path("/mfa_token"), fields)

    def update(self, **fields):
        return self.api.put(f"/api/2/users/{self.id}", fields)

    # Several operations at once, for what is not under test

    def devices(self):
        return expect.ok(self.list_devices(), 200)

    def device_ids(self):
        return [d["device_id"] for d in self.devices()]

    def message(self):
        """The next message to this person that was not seen yet."""
        message = self.server.next_message(self.id, self.seen)
        self.seen = message["id"]
        return message

    def events(self):
        return self.server.events(self.id)

    def enrol_totp(self, name="phone app"):
        """Registers the Authenticator with a code of the step before now's, so that now's is still unused."""
        at = self.server.clock.fresh_step()
        made = expect.ok(self.register(AUTHENTICATOR, display_name=name), 201)
        secret = made["factor_data"]["verification_token"]
        done = expect.ok(self.confirm(made["id"], oath.code(secret, at - oath.STEP)), 200)
        return Totp(id=done["device_id"], registration=made, secret=secret)

    def enrol_sms(self, name="mobile"):
        """The stored phone taken as proven: sends nothing, so that every budget is whole."""
        made = expect.ok(self.register(SMS, display_name=name, verified=True), 201)
        return Device(id=made["device_id"], registration=made)

    def enrol_email(self, name="mail"):
        made = expect.ok(self.register(EMAIL, display_name=name, verified=True), 201)
        return Device(id=made["device_id"], registration=made)

    def sms_challenge(self, device, **fields):
        """A started verification and its code."""
        started = expect.ok(self.challenge(device, **fields), 201)
        return started["id"], self.message()["code"]


def silence(server, person):
    """Every message that was sent to `person` up to now, in the order of sending: whatever was committed before this
    call is sent before a message that somebody else is sent now."""
    other = Person(server)
    expect.ok(other.register(SMS), 201)
    other.message()
    return sorted(server.outbox(person.id), key=lambda m: m["id"])
