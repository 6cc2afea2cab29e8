#!/usr/bin/env bash
# Everything quick: the Rust tests, then the suites that drive the built server from outside.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

say 'Rust tests'
cargo test --locked --workspace --quiet

[ -f tests/requirements.txt ] || exit 0
need oathtool oathtool
python_environment venv tests/requirements.txt

say 'suites against the built server'
cargo build --locked --quiet --package factord --package onelogin-cli
FACTORD_BIN=${FACTORD_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/debug/factord}
export FACTORD_BIN
"$TOOLS/venv/bin/python" -m pytest tests -q "$@"

say 'the client, its examples too, against the built server'
FACTORD=$FACTORD_BIN cargo test --locked --quiet --package onelogin --all-features --test live -- --ignored
