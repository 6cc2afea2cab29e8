#!/usr/bin/env bash
# Counts the instructions of the hot functions (crates/factord-bench/src/bin/factord-hot.rs), and fails when one takes
# over 5 % more than scripts/instructions.txt says. Counts do not depend on how busy the machine is; they do depend on
# the compiler, on valgrind and on the C library, so the file says for which it was made, and with others nothing fails.
#
#   scripts/instructions.sh            compare
#   scripts/instructions.sh --renew    write the counts of now: in the commit that changes them, which says why
set -euo pipefail
source "$(dirname "$0")/lib.sh"

baseline=scripts/instructions.txt
bound=5
few=60
many=260
need valgrind valgrind
cargo build --locked --profile counted --quiet --package factord-bench --bin factord-hot
binary=${CARGO_TARGET_DIR:-target}/counted/factord-hot
made_for="$(rustc --version), $(valgrind --version), $(ldd --version | sed -n 1p)"

# count FUNCTION TIMES: the instructions of what is measured, and of the store's writer.
count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
    --toggle-collect='factord_hot::measured*' --toggle-collect='*writer::Loop::settle*' \
    "$binary" "$1" "$2" 2>&1 >/dev/null | awk '/Collected/ { print $NF }'
}

functions=$("$binary" --help | sed -n 's/^ *- \([a-z-]*\): .*/\1/p')
results=$(mktemp)
trap 'rm -f "$results"' EXIT
printf '%s\n' "$functions" | xargs -P "$(nproc)" -I FUNCTION bash -c "
  $(declare -f count); binary='$binary'
  echo FUNCTION \$(( (\$(count FUNCTION $many) - \$(count FUNCTION $few)) / ($many - $few) ))" >"$results"

if [ "${1:-}" = --renew ]; then
  { printf '# Instructions of each hot function; renew with scripts/instructions.sh --renew.\n# %s\n' "$made_for"
    sort "$results"; } >"$baseline"
  cat "$baseline"
  exit
fi
same=$(grep -qxF "# $made_for" "$baseline" && echo yes || echo no)
sort "$results" | awk -v bound="$bound" -v same="$same" '
  NR == FNR { if ($1 != "#") before[$1] = $2; next }
  !($1 in before) { printf "%-16s %9d  not in the file\n", $1, $2; bad = 1; next }
  { change = ($2 / before[$1] - 1) * 100
    over = change > bound
    printf "%-16s %9d  %+6.1f %%%s\n", $1, $2, change, over ? "  OVER THE BOUND" : ""
    bad = bad || over }
  END {
    if (same != "yes") { print "instructions not judged: the counts are for another compiler, valgrind or C library"; exit 0 }
    print (bad ? "instructions FAILED" : "instructions ok"); exit bad }' "$baseline" -
