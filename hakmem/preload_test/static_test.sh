#!/bin/bash
# Runs programs that are linked statically with //hakmem:malloc, after making sure that the
# allocator in them is hakmem's and the only one.
#
#   static_test.sh PROGRAM...
set -eu

errors=$(mktemp "${TEST_TMPDIR:-/tmp}/stderr.XXXXXX")
trap 'rm -f "$errors"' EXIT
failures=0

# Prints what is wrong with the program $1; silent when nothing is.
check_program() {
    local status=0
    if readelf -lW "$1" | grep -q INTERP; then
        echo "not statically linked"
    fi
    if nm "$1" | grep -qE ' _int_malloc$'; then
        echo "the C library's malloc is in it too"
    fi
    # Only hakmem answers to this option, so its summary shows whose malloc it is.
    HAKMEM_STATS=1 "$1" >&2 2>"$errors" || status=$?
    [ "$status" = 0 ] || echo "exit $status"
    grep -q live "$errors" || echo "HAKMEM_STATS=1 prints no summary: not hakmem's malloc"
}

for program in "$@"; do
    problem=$(check_program "$(realpath "$program")")
    if [ -z "$problem" ]; then
        echo "PASS $(basename "$program")"
    else
        echo "FAIL $(basename "$program"): $problem"
        tail -n 5 "$errors"
        failures=$((failures + 1))
    fi
done
exit $((failures > 0))
