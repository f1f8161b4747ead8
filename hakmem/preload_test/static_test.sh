#!/bin/bash
# Runs programs that are linked statically with //hakmem:malloc, after making sure that the
# allocator in them is hakmem's and the only one.
#
#   static_test.sh PROGRAM...
set -eu
failures=0
for program in "$@"; do
    name=$(basename "$program")
    symbols=$(nm "$program")
    if readelf -lW "$program" | grep -q INTERP; then
        echo "FAIL $name is not statically linked"
        failures=$((failures + 1))
    elif ! grep -qE ' [Tt] hak_malloc$' <<<"$symbols"; then
        echo "FAIL $name has no hak_malloc"
        failures=$((failures + 1))
    elif grep -qE ' _int_malloc$' <<<"$symbols"; then
        echo "FAIL $name has the C library's malloc too"
        failures=$((failures + 1))
    elif ! "$(realpath "$program")"; then
        echo "FAIL $name: a check failed"
        failures=$((failures + 1))
    else
        echo "PASS $name"
    fi
done
exit $((failures > 0))
