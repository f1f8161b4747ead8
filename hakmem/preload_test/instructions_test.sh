#!/bin/bash
# Counts the instructions of a malloc/free pair through the preloaded library with callgrind, as
# the difference of N and 2N pairs, less what the loop itself takes. A count, unlike a time, is the
# same on every machine and every run.
#
#   instructions_test.sh LIBRARY WORKLOAD
set -eu

LIFO_BUDGET=55 # malloc(64) and free at once, with the calls through the PLT and all checks
MIX_BUDGET=61  # 8192 slots of 16 to 1024 bytes, slow paths included
MIX_SLOTS=8192

library=$(realpath "$1")
workload=$(realpath "$2")

if ! command -v valgrind >/dev/null; then
    echo "FAIL valgrind is not installed; tools/bazel installs it"
    exit 1
fi

# Instructions that a whole run of the workload takes.
count_instructions() {
    local log
    log=$(LD_PRELOAD=$library valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$workload" "$@" 2>&1) || { echo "$log" >&2; return 1; }
    sed -n 's/.*Collected : *\([0-9]*\).*/\1/p' <<<"$log"
}

# Hundredths of an instruction that the steps after the first $2 take each, in mode $1.
per_step() {
    local mode=$1 steps=$2 once twice
    shift 2
    once=$(count_instructions "$mode" "$steps" "$@")
    twice=$(count_instructions "$mode" $((2 * steps)) "$@")
    echo $(((twice - once) * 100 / steps))
}

# $1: name; $2: budget; $3: mode; $4: steps; $5: steps a pair; the rest: arguments of the mode.
check_budget() {
    local name=$1 budget=$2 mode=$3 steps=$4 steps_a_pair=$5 full empty pair verdict=PASS
    shift 5
    empty=$(per_step "$mode-empty" "$steps" "$@")
    # Where the machine is busy a run lasts longer, and slow paths find more to do as time passes.
    for _ in 1 2 3; do
        full=$(per_step "$mode" "$steps" "$@")
        pair=$(((full - empty) * steps_a_pair))
        [ "$pair" -gt $((budget * 100)) ] || break
    done
    [ "$pair" -le $((budget * 100)) ] || verdict=FAIL
    printf '%s %s: %d.%02d instructions a pair, budget %d (loop: %d.%02d a step)\n' \
        "$verdict" "$name" $((pair / 100)) $((pair % 100)) "$budget" \
        $((empty / 100)) $((empty % 100))
    [ "$verdict" = PASS ]
}

failures=0
check_budget "LIFO pairs of 64 bytes" "$LIFO_BUDGET" pairs 200000 1 ||
    failures=$((failures + 1))
check_budget "mix of $MIX_SLOTS slots" "$MIX_BUDGET" mix 2000000 2 "$MIX_SLOTS" ||
    failures=$((failures + 1))
exit $((failures > 0))
