#!/bin/bash
# HAKMEM_* options as a user sees them: what is wrong gets one line of warning and the program
# goes on; what is asked for is printed at exit; otherwise the library is silent.
#
#   options_test.sh LIBRARY WORKLOAD
set -eu

library=$(realpath "$1")
workload=$(realpath "$2")
errors=$(mktemp "${TEST_TMPDIR:-/tmp}/stderr.XXXXXX")
trap 'rm -f "$errors"' EXIT
failures=0

# Runs the workload with the option settings given; what it writes to stderr is kept.
run() {
    local status=0
    output=$(env LD_PRELOAD="$library" "$@" "$workload" mix 300000 256 2>"$errors") || status=$?
    if [ "$status" != 0 ] || [ -n "$output" ]; then
        fail "$*" "exit $status, stdout: $output"
    fi
}

fail() {
    echo "FAIL $1: $2"
    sed 's/^/    /' "$errors" | head -n 20
    failures=$((failures + 1))
}

# $1: setting; the rest: words that its one line of warning has.
warns() {
    local setting=$1 word lines
    shift
    run "$setting"
    lines=$(wc -l <"$errors")
    if [ "$lines" != 1 ]; then
        fail "$setting" "expected one line of warning, got $lines"
        return
    fi
    for word in '^hakmem: ' "${setting%%=*}" "$@"; do
        if ! grep -qE -e "$word" "$errors"; then
            fail "$setting" "the warning lacks '$word'"
            return
        fi
    done
    echo "PASS $setting: $(cat "$errors")"
}

# $1: setting; the rest: words that are printed at exit.
prints() {
    local setting=$1 word
    shift
    run "$setting"
    for word in "$@"; do
        if ! grep -qiE -e "$word" "$errors"; then
            fail "$setting" "'$word' is not printed"
            return
        fi
    done
    echo "PASS $setting: $(wc -l <"$errors") lines"
}

is_silent() {
    run "$@"
    if [ -s "$errors" ]; then
        fail "${*:-no option}" "stderr is not empty"
    else
        echo "PASS ${*:-no option}: silent"
    fi
}

is_silent
is_silent HAKMEM_WARM_POOL_SIZE=1
is_silent HAKMEM_WARM_POOL_SIZE=12
is_silent HAKMEM_WARM_POOL_PREFILL=0
is_silent HAKMEM_STATS=0
is_silent HAKMEM_MODE=default
is_silent HAKMEM_MODE=signals
is_silent HAKMEM_MODE=safe
is_silent HAKMEM_MODE=debug
is_silent HAKMEM_MODE=fast
is_silent HAKMEM_MODE=safe HAKMEM_QUARANTINE_KB=0
is_silent HAKMEM_ON_ERROR=abort
is_silent HAKMEM_ON_ERROR=report HAKMEM_ERROR_JSON=1
is_silent HAKMEM_FRONT_MAX_MB=0
is_silent HAKMEM_MODE=safe HAKMEM_FRONT_MAX_MB=0
warns HAKMEM_MODE=faster 'default\|fast\|signals\|safe\|debug' 'using default'
warns HAKMEM_ON_ERROR=ignore 'abort\|report' 'using abort'
warns HAKMEM_MODE=1 'default\|fast\|signals\|safe\|debug' 'using default'
warns HAKMEM_FRONT_MAX_MB=x '\b32\b'
warns HAKMEM_WARM_POOL_SIZE=abc '\b12\b'
warns HAKMEM_WARM_POOL_SIZE= '\b12\b'
warns HAKMEM_WARM_POOL_SIZE=7x '\b12\b'
warns HAKMEM_WARM_POOL_SIZE=99 '\b12\b'
warns HAKMEM_WARM_POOL_SIZE=0 '\b1\b'
warns HAKMEM_WARM_POOL_SIZE=-3 '\b1\b'
warns HAKMEM_WARM_POOL_SIZE=99999999999999999999999 '\b12\b'
is_silent HAKMEM_LIMIT=64M
is_silent HAKMEM_LIMIT=50%
warns HAKMEM_LIMIT=64Q '\b0\b'
warns HAKMEM_LIMIT=1K '\b8M\b'
is_silent HAKMEM_THP=never
is_silent HAKMEM_THP=always
warns HAKMEM_THP=sometimes 'default\|always\|never' 'using default'
prints HAKMEM_STATS=1 live partial resident purged cached mapped
prints HAKMEM_WARM_POOL_STATS=1 hits misses prefilled
exit $((failures > 0))
