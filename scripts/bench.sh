#!/usr/bin/env bash
# Builds for release and measures, after saying on what: scripts/bench.sh run|overload [ARGUMENTS of factord-bench].
#
# `run` measures on SQLite and on a PostgreSQL server of its own, beside pgbench on the same server before and after. The
# rows are also written to target/bench.jsonl. With a --database of the caller's there is no server and no pgbench; with
# FACTORD_BENCH_FOLDER all data is kept in that folder, on whose disk it is then measured.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source scripts/bench-postgres.sh

measurement=$1
shift
cargo build --locked --release --quiet --package factord --package factord-bench
target=$(realpath "${CARGO_TARGET_DIR:-target}")
work=$(mktemp -d "$(realpath "${FACTORD_BENCH_FOLDER:-$target}")/bench-XXXXXX")
trap 'stop_postgres; rm -rf "$work"' EXIT
printf 'commit %s%s, %s, %s processors (%s), %s GiB, Linux %s\n' \
  "$(git rev-parse --short HEAD)" "$(git diff --quiet HEAD || echo ' and changes')" "$(rustc --version)" "$(nproc)" \
  "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" \
  "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(uname -r)"
printf 'data on %s\n' "$(df --output=source,fstype "$work" | tail -n 1)"

measure() {
  "$target/release/factord-bench" "$measurement" --server "$target/release/factord" --folder "$work" \
    --record "$target/bench.jsonl" "$@"
}

# argument NAME DEFAULT ARGUMENTS…: the value that an option has among the arguments.
argument() {
  local name=$1 value=$2
  shift 2
  while [ $# -gt 0 ]; do
    case $1 in
      "$name") value=${2:-} ;;
      "$name="*) value=${1#*=} ;;
    esac
    shift
  done
  printf '%s\n' "$value"
}

if [ "$measurement" != run ] || [ -n "$(argument --database '' "$@")" ]; then
  measure "$@"
  exit
fi
if ! postgres_programs && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  install_package postgresql 'PostgreSQL is not installed'
fi
if ! postgres_programs; then
  say 'SKIPPED: PostgreSQL, which is not installed (Debian, Ubuntu: sudo apt-get install postgresql)'
  measure "$@"
  exit
fi

start_postgres "$work/pg" -c shared_buffers=1GB -c max_wal_size=8GB
printf 'PostgreSQL %s: fsync %s, synchronous_commit %s, shared_buffers %s\n' "$(sql 'SHOW server_version')" \
  "$(sql 'SHOW fsync')" "$(sql 'SHOW synchronous_commit')" "$(sql 'SHOW shared_buffers')"

# What the same server does with nothing around it: one conditional update of a row like a user's, and one insert like an
# audit event's. `transaction` sends them as anybody would, `statement` in one round trip.
devices=$(argument --devices 10000 "$@" | tr ',' '\n' | sort -n | head -n 1)
sql 'CREATE DATABASE reference'
sql "CREATE TABLE devices (id bigint PRIMARY KEY, step bigint NOT NULL, document text NOT NULL) WITH (fillfactor = 70);
     CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, device bigint NOT NULL, at bigint NOT NULL,
                          action text NOT NULL);
     INSERT INTO devices SELECT number, 0, repeat('x', 500) FROM generate_series(1, $devices) AS number" reference
sql 'VACUUM (ANALYZE) devices' reference
sql 'CHECKPOINT' reference
cat >"$work/transaction.sql" <<'SQL'
\set id random(1, :devices)
BEGIN;
UPDATE devices SET step = step + 1 WHERE id = :id AND step < 9000000000;
INSERT INTO events (device, at, action) VALUES (:id, 1800000000, 'complete_verification');
COMMIT;
SQL
cat >"$work/statement.sql" <<'SQL'
\set id random(1, :devices)
WITH kept AS (UPDATE devices SET step = step + 1 WHERE id = :id AND step < 9000000000 RETURNING id) INSERT INTO events (device, at, action) SELECT id, 1800000000, 'complete_verification' FROM kept;
SQL
# reference FORM: what it does a second with 32 clients.
reference() {
  "$pgbin/pgbench" -n -h 127.0.0.1 -p "$pgport" -U postgres -M prepared -c 32 -j 1 -T 5 -D "devices=$devices" \
    -f "$work/$1.sql" reference | awk '/^tps/ { print $3 }'
}
transactions=$(reference transaction)
statements=$(reference statement)
measure --database "postgres://postgres@127.0.0.1:$pgport/postgres" "$@"
python3 - "$target/bench.jsonl" "$devices" "$transactions" "$(reference transaction)" "$statements" "$(reference statement)" <<'PY'
import json, sys
rates = list(map(float, sys.argv[3:]))
lines = [json.loads(line) for line in open(sys.argv[1])]
rows = [line for line in lines if line.get("store") == "PostgreSQL" and line["scenario"] == "verify"
        and line["connections"] == 32 and line["devices"] == int(sys.argv[2])]
record = open(sys.argv[1], "a")
for name, (before, after) in [("a transaction of two statements", rates[:2]), ("the two in one statement", rates[2:])]:
    mean = (before + after) / 2
    print(f"pgbench, {name}, 32 clients: {before:.0f} a second before, {after:.0f} after")
    entry = {"pgbench": name, "before": before, "after": after}
    for row in rows:
        share = row["per_second"] / mean
        print(f"  {row['server']} on PostgreSQL, one-call verify, 32 connections: {row['per_second']:.0f} a second, {share:.3f} of it")
        entry[row["server"]] = share
    print(json.dumps(entry), file=record)
PY
