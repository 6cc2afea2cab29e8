#!/usr/bin/env bash
# The cluster tests, and the kills of one server on SQLite, with their full counts. FACTORD_SEED makes a run that can be repeated.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

need python3 python3
need oathtool oathtool
cluster_programs
postgres_programs || install_package postgresql 'PostgreSQL is not installed'
python_environment venv tests/requirements.txt
cargo build --locked --quiet --package factord
export FACTORD_BIN=${FACTORD_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/debug/factord} FACTORD_FULL=1 FACTORD_NEEDS_POSTGRES=1
export FACTORD_CRASHES=${FACTORD_CRASHES:-200}
"$TOOLS/venv/bin/python" -m pytest tests/cluster tests/process/test_crash.py -q -s -o faulthandler_timeout=1800 "$@"
