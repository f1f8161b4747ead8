#!/bin/bash
# What the shared library shows and needs: exactly the symbols of the golden list, every function
# of the public header, nothing beyond the C library, its soname, that it is never unloaded, and few
# thread-local bytes.
#
#   symbols_test.sh LIBRARY GOLDEN HEADER
set -eu

TLS_BYTES_MAX=1024

library=$1
golden=$2
header=$3
scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/symbols.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
failures=0

# $1: what holds; $2: what speaks against it, empty when it holds.
verdict() {
    if [ -z "$2" ]; then
        echo "PASS $1"
    else
        echo "FAIL $1:"
        echo "$2"
        failures=$((failures + 1))
    fi
}

grep -Ev '^(#|$)' "$golden" | LC_ALL=C sort >"$scratch/golden"
nm -D --defined-only --extern-only "$library" | awk '{ sub(/@.*/, "", $3); print $3 }' |
    LC_ALL=C sort -u >"$scratch/exported"
verdict "exports the golden list (+ is exported and not listed, - is listed and not exported)" \
    "$(diff -U0 "$scratch/golden" "$scratch/exported" | grep -E '^[+-][^+-]' || true)"

sed -n 's/^HAK_API .*\(hak_[a-z0-9_]*\)(.*/\1/p' "$header" | LC_ALL=C sort -u >"$scratch/declared"
grep '^hak_' "$scratch/golden" >"$scratch/api" || true
verdict "the list's hak_ functions are those of the header" \
    "$(diff -U0 "$scratch/api" "$scratch/declared" | grep -E '^[+-][^+-]' || true)"

dynamic=$(readelf -dW "$library")
verdict "stays loaded: threads end in it" \
    "$(grep -q 'FLAGS_1.*NODELETE' <<<"$dynamic" || echo 'no NODELETE among the flags')"

verdict "needs nothing beyond the C library" \
    "$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic" |
        grep -vxE 'libc\.so\.6|ld-linux-x86-64\.so\.2' || true)"
soname=$(sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' <<<"$dynamic")
case $soname in
    libhakmem.so | libhakmem.so.0) verdict "soname $soname" "" ;;
    *) verdict "soname" "'$soname', expected libhakmem.so" ;;
esac

tls=$(readelf -lW "$library" | awk '$1 == "TLS" { print $6 }')
tls=$((${tls:-0}))
verdict "thread-local storage: $tls bytes of at most $TLS_BYTES_MAX" \
    "$([ "$tls" -le "$TLS_BYTES_MAX" ] || echo "too many for a program that loads it late")"
exit $((failures > 0))
