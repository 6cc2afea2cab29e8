#!/usr/bin/env bash
# What takes too long for every change: mutants of the rules and the cryptography, compatibility of the client
# library with the last release, and the suites with their full counts.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# tool NAME VERSION: a Cargo tool, compiled once into .tools.
tool() {
  if [ "$("$TOOLS/bin/$1" --version 2>/dev/null | awk '{ print $2 }')" != "$2" ]; then
    say "compiling $1 $2"
    cargo install --locked --root "$TOOLS" --version "$2" "$1"
  fi
}

tool cargo-mutants 27.1.0
say 'mutants that no test notices (exceptions with their reasons: .cargo/mutants.toml)'
"$TOOLS/bin/cargo-mutants" mutants --package factord --output "$TOOLS" --jobs 2

if tag=$(git describe --tags --abbrev=0 2>/dev/null); then
  tool cargo-semver-checks 0.51.0
  say "compatibility of the client library with $tag"
  "$TOOLS/bin/cargo-semver-checks" semver-checks --package onelogin --baseline-rev "$tag"
fi

say 'the suites with their full counts'
PROPTEST_CASES=${PROPTEST_CASES:-20000} FACTORD_CRASHES=${FACTORD_CRASHES:-20} scripts/test.sh "$@"

say 'a soak of the client: 100,000 calls'
cargo test --locked --quiet --package onelogin --all-features --test soak -- --ignored --nocapture
