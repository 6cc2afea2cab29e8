#!/usr/bin/env bash
# Everything quick: the Rust tests, then the suites that drive the built server from outside.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# The same for every build, so that nothing is built twice.
everything=(--locked --quiet --workspace --all-features)

need python3 python3
say 'Rust tests'
on_postgres cargo test "${everything[@]}"

[ -f tests/requirements.txt ] || exit 0
need oathtool oathtool
need chromium chromium
python_environment venv tests/requirements.txt

say 'suites against the built server'
cargo build "${everything[@]}" --all-targets
FACTORD_BIN=${FACTORD_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/debug/factord}
export FACTORD_BIN
cluster_programs
"$TOOLS/venv/bin/python" -m pytest tests -q "$@"

if postgres_programs; then
  say 'the suites of the rules and the wire once more, on PostgreSQL'
  FACTORD_SUITE_POSTGRES=1 on_postgres "$TOOLS/venv/bin/python" -m pytest -q tests/rules tests/wire tests/process/test_race.py
fi

say 'the client, its examples too, against the built server'
FACTORD=$FACTORD_BIN cargo test "${everything[@]}" --test live -- --ignored
