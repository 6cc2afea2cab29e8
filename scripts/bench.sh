#!/usr/bin/env bash
# Builds for release and measures: scripts/bench.sh run|overload [ARGUMENTS of factord-bench]. Says first on what.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

measurement=$1
shift
cargo build --locked --release --quiet --package factord --package factord-bench
target=${CARGO_TARGET_DIR:-target}
printf 'commit %s%s, %s, %s processors (%s), Linux %s\n' \
  "$(git rev-parse --short HEAD)" "$(git diff --quiet HEAD || echo ' and changes')" "$(rustc --version)" "$(nproc)" \
  "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(uname -r)"
"$target/release/factord-bench" "$measurement" --server "$target/release/factord" --folder "$target" "$@"
