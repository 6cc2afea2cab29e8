#!/usr/bin/env bash
# Measures privacyIDEA 3.14 and factord in turn on this machine, and prints by how much factord is faster.
#
#   scripts/bench-peer.sh [SECONDS] [CONNECTIONS...]      default: 12 1 32; 2 seconds at least
#
# privacyIDEA runs as its manual says: gunicorn with 4 workers on a PostgreSQL cluster of its own, synchronous_commit
# on; 200 HOTP tokens, every code used once and every answer checked. All of it lives in a folder that is deleted at the
# end, and listens on 127.0.0.1 alone.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source scripts/bench-postgres.sh

seconds=${1:-12}
shift || true
[ "$seconds" -ge 2 ] || fail 'SECONDS must be 2 at least'
connections=("${@:-1 32}")
read -ra connections <<<"${connections[*]}"
need wrk wrk
need psql postgresql
need curl curl
python3 -c 'import ensurepip, venv' 2>/dev/null || install_package python3-venv 'Python has no venv module'
cargo build --locked --release --quiet --package factord --package factord-bench
target=$(realpath "${CARGO_TARGET_DIR:-target}")

work=$(mktemp -d "$target/bench-peer-XXXXXX")
port=${PEER_PORT:-8801}
gunicorn=
stop() {
  if [ -n "$gunicorn" ]; then
    kill "$gunicorn" 2>/dev/null && wait "$gunicorn" 2>/dev/null || true
  fi
  stop_postgres
  rm -rf "$work"
}
trap stop EXIT
say 'installing privacyIDEA'
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'privacyidea==3.14' gunicorn psycopg2-binary
start_postgres "$work/pg"
sql 'CREATE DATABASE pi'
cat >"$work/pi.cfg" <<CFG
SUPERUSER_REALM=['super']
SQLALCHEMY_DATABASE_URI='postgresql+psycopg2://postgres@127.0.0.1:$pgport/pi'
SECRET_KEY='benchmark only'
PI_PEPPER='benchmark only'
PI_ENCFILE='$work/enckey'
PI_AUDIT_KEY_PRIVATE='$work/private.pem'
PI_AUDIT_KEY_PUBLIC='$work/public.pem'
PI_LOGFILE='$work/pi.log'
PI_LOGLEVEL=30
CFG
export PRIVACYIDEA_CONFIGFILE=$work/pi.cfg
for step in 'setup create_enckey' 'setup create_audit_keys' 'setup create_tables' 'admin add admin -e admin@localhost -p admin'; do
  # shellcheck disable=SC2086 # words of a command
  "$work/venv/bin/pi-manage" $step >"$work/manage.log" 2>&1 || { cat "$work/manage.log" >&2; fail "pi-manage $step"; }
done
cat >"$work/wsgi.py" <<PY
from privacyidea.app import create_app
application = create_app(config_name="production", config_file="$work/pi.cfg", silent=True)
PY
(cd "$work" && exec "$work/venv/bin/gunicorn" -w 4 -b "127.0.0.1:$port" wsgi:application >"$work/gunicorn.log" 2>&1) &
gunicorn=$!
for _ in $(seq 120); do
  [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/token/")" = 401 ] && break
  sleep 0.5
done
python3 - "$port" "$work/codes" <<'PY'
import hashlib, hmac, json, os, struct, sys, urllib.parse, urllib.request
base, out = f"http://127.0.0.1:{sys.argv[1]}", sys.argv[2]
def post(path, form, **headers):
    request = urllib.request.Request(base + path, urllib.parse.urlencode(form).encode(), headers)
    return json.load(urllib.request.urlopen(request))["result"]["value"]
def hotp(key, counter):
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return "%06d" % ((struct.unpack(">I", digest[offset:offset + 4])[0] & 0x7FFFFFFF) % 10**6)
token = post("/auth", {"username": "admin", "password": "admin"})["token"]
keys = {f"BEN{i:05d}": os.urandom(20) for i in range(200)}
for serial, key in keys.items():
    post("/token/init", {"type": "hotp", "serial": serial, "otpkey": key.hex(), "genkey": 0}, Authorization=token)
with open(out, "w") as codes:
    for counter in range(60):
        for serial, key in keys.items():
            codes.write(f"serial={serial}&pass={hotp(key, counter)}\n")
PY
cat >"$work/load.lua" <<'LUA'
local lines, next_line, good, bad, report = {}, 0, 0, 0, nil
function init(args)
  report, next_line = args[2], tonumber(args[3])
  for line in io.lines(args[1]) do lines[#lines + 1] = line end
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
end
function request() next_line = next_line + 1; return wrk.format("POST", "/validate/check", nil, lines[next_line]) end
function response(status, headers, body)
  if body:find('"value": ?true') then good = good + 1 else bad = bad + 1 end
  local file = io.open(report, "w"); file:write(good, " ", bad, "\n"); file:close()
end
LUA

offset=0
for count in "${connections[@]}"; do
  wrk -t1 -c"$count" -d"${seconds}s" --latency --timeout 10s -s "$work/load.lua" "http://127.0.0.1:$port" \
    -- "$work/codes" "$work/report" "$offset" >"$work/wrk"
  read -r good bad <"$work/report"
  offset=$((offset + good + bad + 64))
  peer=$(awk '/Requests\/sec/ { print $2 }' "$work/wrk")
  [ "$bad" -le 1 ] || fail "privacyIDEA refused $bad right codes"
  printf 'privacyIDEA, %s connections: %s verified codes a second (p50 %s, p99 %s)\n' "$count" "$peer" \
    "$(awk '$1 == "50%" { print $2 }' "$work/wrk")" "$(awk '$1 == "99%" { print $2 }' "$work/wrk")"
  "$target/release/factord-bench" run --server "$target/release/factord" --folder "$work" --scenario verify \
    --connections "$count" --seconds "$((seconds / 2))" --rounds 1 --json >"$work/factord"
  python3 - "$work/factord" "$count" "$peer" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
row = next(row for row in rows if row.get("store") == "SQLite")
rate = row["per_second"]
print(f"factord, {sys.argv[2]} connections: {rate:.0f} verified codes a second: {rate / float(sys.argv[3]):.0f} times as many")
PY
done
