"""A PostgreSQL database is put back by its own tools, and made safe by `factord restore`, also while nodes run on it."""

import json
import secrets

from harness import expect
from harness.people import RECOVERY, Person
from harness.serve import refused, run


def test_nothing_that_was_used_since_works_again(postgres, start_dev, tmp_path):
    name = f"restored_{secrets.token_hex(6)}"
    server = start_dev(database=postgres.database(name))
    keeps, gone, stripped = Person(server), Person(server), Person(server)
    device, lost = keeps.enrol_totp(), stripped.enrol_totp()
    recovery = expect.ok(keeps.register(RECOVERY), 201)
    codes = recovery["factor_data"]["recovery_codes"]
    paper = expect.ok(keeps.confirm(recovery["id"], codes[9]), 200)["device_id"]
    made = json.loads(run("credential", "create", "--id", "stolen", "--scope", "Manage All", "--output", "json",
                          *server.storage_flags()))
    at = server.clock.fresh_step()
    started = expect.ok(keeps.challenge(device), 201)["id"]
    bearer = server.api.token
    backup = postgres.base / "backup.dump"
    postgres.run("pg_dump", "-h", "127.0.0.1", "-p", postgres.port, "-U", "factord", "-Fc", "-f", backup, name)

    used = device.code(at)
    expect.accepted(keeps.verify(used, device))
    expect.accepted(keeps.verify(codes[0], paper))
    assert server.api.delete(f"/api/2/users/{gone.id}").status_code == 204
    assert stripped.remove(lost.id).status_code == 204
    run("credential", "revoke", "stolen", "--yes", *server.storage_flags())
    events = tmp_path / "events.json"
    events.write_text(run("audit", "list", "--limit", "10000", "--output", "json", *server.storage_flags()))
    server.stop()

    postgres.sql(f"DROP DATABASE {name}")
    postgres.sql(f"CREATE DATABASE {name}")
    postgres.run("pg_restore", "-h", "127.0.0.1", "-p", postgres.port, "-U", "factord", "-d", name, backup)
    # Somebody has started a node too early: it can change nothing until the data is safe, and ends if it notices.
    server.restart()
    flags = ["--yes", "--output", "json", *server.storage_flags()]
    done = json.loads(run("restore", "--audit", events, *flags))
    server.stop()
    assert done["users"] == 3 and done["users_deleted"] == 1 and done["devices_deleted"] == 1
    assert done["credentials_revoked"] == 1 and done["devices_disabled"] == 1

    server.restart()
    assert server.api.get("/api/2/users", token=bearer).status_code == 401
    expect.refused_code(keeps.verify(used, device))
    expect.forbidden(keeps.verify(codes[0], paper))
    assert expect.ok(keeps.poll(started), 200)["status"] == "rejected"
    expect.not_found(gone.list_devices())
    assert stripped.device_ids() == []
    [stolen] = [each for each in json.loads(run("credential", "list", "--output", "json", *server.storage_flags()))
                if each["client_id"] == made["client_id"]]
    assert stolen["revoked_at"]
    at = server.clock.fresh_step(3)
    expect.accepted(keeps.verify(device.code(at), device))
    server.stop()
    assert "--accept-lost-revocations" in refused("restore", *flags)
