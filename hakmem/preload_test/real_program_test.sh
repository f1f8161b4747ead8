#!/bin/bash
# Runs one real program's work twice, without and with the library preloaded, and compares
# what it printed and every file it left in result/.
#
#   real_program_test.sh LIBRARY [HAKMEM_NAME=VALUE...] SCRIPT...
#
# A script works in the directory it is started in, prints what must not differ and puts files
# to compare into result/. It exits 77 where the program it needs is optional and missing.
set -eu

TIME_LIMIT_SECONDS=120
SKIPPED=77

library=$(realpath "$1")
shift
options=()
while [[ ${1-} == HAKMEM_*=* ]]; do
    options+=("$1")
    shift
done
scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/real_program.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# The system's own programs, not a user's wrappers; nothing of the user's settings.
export PATH=/usr/local/bin:/usr/bin:/bin HOME="$scratch" LC_ALL=C TZ=UTC
PATH=/usr/bin:/bin:$PATH

# Runs SCRIPT in a fresh directory of the same name both times, as paths may end up in output.
# $1: where the outcome is kept; the rest: how the work is started.
run_work() {
    local kept=$1 status=0
    shift
    mkdir -p "$scratch/work/result"
    (cd "$scratch/work" && exec timeout -k 5 "$TIME_LIMIT_SECONDS" "$@" \
        >"$scratch/stdout" 2>"$scratch/stderr" </dev/null) || status=$?
    mkdir "$kept"
    mv "$scratch/work/result" "$scratch/stdout" "$scratch/stderr" "$kept/"
    rm -rf "$scratch/work"
    return "$status"
}

# Prints why the two runs in $1 and $2 are not alike; silent when they are.
explain_difference() {
    diff -q "$1/stdout" "$2/stdout" >/dev/null ||
        diff "$1/stdout" "$2/stdout" | head -n 20
    diff -rq "$1/result" "$2/result" || true
    grep -E -m 5 '^hakmem: |cannot be preloaded' "$2/stderr" || true
}

test_program() {
    local script=$1 name status=0 difference
    name=$(basename "$script" .sh)
    rm -rf "$scratch/without" "$scratch/with"
    run_work "$scratch/without" bash "$script" || status=$?
    if [ "$status" = "$SKIPPED" ]; then
        echo "SKIP $name: not installed"
        return 0
    fi
    if [ "$status" != 0 ]; then
        echo "FAIL $name: exit $status already without the library:"
        tail -n 5 "$scratch/without/stderr"
        return 1
    fi
    run_work "$scratch/with" env LD_PRELOAD="$library" "${options[@]}" bash "$script" || status=$?
    if [ "$status" != 0 ]; then
        echo "FAIL $name: exit $status with the library (124: out of time):"
        tail -n 20 "$scratch/with/stderr"
        return 1
    fi
    difference=$(explain_difference "$scratch/without" "$scratch/with")
    if [ -n "$difference" ]; then
        echo "FAIL $name: differs with the library:"
        echo "$difference"
        return 1
    fi
    echo "PASS $name"
}

failures=0
for script in "$@"; do
    test_program "$(realpath "$script")" || failures=$((failures + 1))
done
exit $((failures > 0))
