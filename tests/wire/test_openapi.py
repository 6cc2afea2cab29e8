"""schemathesis (PyPI) reads /openapi.json and attacks what it describes: fixed seed, bounded examples."""

import json
import os
import subprocess
import sys

from harness.people import Person
from harness.server import clean_env

SEED = "20240229"
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance",
]


def test_no_answer_breaks_the_description_and_none_is_a_5xx(server, tmp_path):
    person = Person(server)
    device = person.enrol_sms()
    verification, _ = person.sms_challenge(device)
    registration = person.register(58961).json()["id"]
    # Ids that exist, so that more than the 404s is reached. The user of the MFA operations is none that the users
    # API deletes in the same run: that one works on a user of its own.
    victim = Person(server)
    config = tmp_path / "schemathesis.toml"
    config.write_text(f"""
[phases.stateful]
enabled = false

[[operations]]
include-path-regex = "/mfa/"
parameters = {{ "path.user_id" = {person.id}, "path.registration_id" = "{registration}", "path.verification_id" = "{verification}" }}

[[operations]]
include-path-regex = "^/api/2/users/"
parameters = {{ "path.user_id" = {victim.id}, "path.id" = {victim.id} }}
""")
    examples = os.environ.get("FACTORD_EXAMPLES", "12")
    run = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", str(config), "run",
         f"{server.url}/openapi.json", "--seed", SEED, "--max-examples", examples, "--workers", "1",
         "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--request-timeout", "20",
         "--exclude-path-regex", "^/dev/", "--warnings", "off", "--continue-on-failure", "--no-color",
         "-H", f"Authorization: Bearer {server.api.token}"],
        capture_output=True, text=True, timeout=300, cwd=tmp_path,
        env=clean_env(PYTHONIOENCODING="utf-8", COLUMNS="120"),
    )
    assert run.returncode == 0, run.stdout[-12000:] + run.stderr[-2000:]
    assert server.process.poll() is None


def test_every_refusal_that_the_suites_expect_is_described(server):
    description = server.api.get("/openapi.json", token=None).json()
    expected = {
        ("/registrations", "post"): {"201", "400", "401", "403", "404", "413", "415", "422", "429"},
        ("/registrations/{registration_id}", "put"): {"200", "400", "401", "403", "404", "413", "415", "422"},
        ("/verifications", "post"): {"200", "201", "400", "401", "403", "404", "413", "415", "422", "429"},
        ("/verifications/{verification_id}", "put"): {"200", "400", "401", "403", "404", "413", "415", "422"},
        ("/mfa_token", "post"): {"201", "400", "401", "403", "404", "413", "415", "422"},
        ("/devices", "get"): {"200", "400", "401", "403", "404"},
        ("/devices/{device_id}", "delete"): {"204", "400", "401", "403", "404"},
    }
    for (tail, method), statuses in expected.items():
        operation = description["paths"][f"/api/2/mfa/users/{{user_id}}{tail}"][method]
        missing = statuses - set(operation["responses"])
        assert not missing, f"{method} {tail} does not describe {sorted(missing)}"


def test_the_examples_of_the_description_match_their_schemas(server):
    import jsonschema_rs

    description = server.api.get("/openapi.json", token=None).json()
    checked = 0
    for path, item in description["paths"].items():
        for method, operation in item.items():
            bodies = list(operation.get("responses", {}).values())
            if "requestBody" in operation:
                bodies.append(operation["requestBody"])
            for body in bodies:
                media = body.get("content", {}).get("application/json")
                if not media or "schema" not in media:
                    continue
                examples = [media["example"]] if "example" in media else []
                examples += [e["value"] for e in media.get("examples", {}).values() if "value" in e]
                schema = {**media["schema"], "components": description.get("components", {})}
                for example in examples:
                    checked += 1
                    assert jsonschema_rs.is_valid(schema, example), f"{method} {path}: {json.dumps(example)[:300]}"
    assert checked >= 10, "the description has hardly any example"
