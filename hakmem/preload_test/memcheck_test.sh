#!/bin/bash
# Valgrind's memcheck finds the mistakes of a program that uses hakmem, each where it was made, and
# none in a program without any: preloaded, with memcheck's own malloc in its place (which is what
# Valgrind does unless told otherwise) and with hakmem's; and linked in, by hak_*.
#
#   memcheck_test.sh LIBRARY PROGRAM PROGRAM_BY_HAK_NAMES
set -u

library=$(realpath "$1")
by_malloc=$(realpath "$2")
by_hak=$(realpath "$3")

if ! command -v valgrind >/dev/null; then
    echo "SKIP valgrind is not installed; tools/bazel installs it"
    exit 0
fi

failures=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# $1: way; $2: case; $3: size. Leaves memcheck's report in $log.
memcheck() {
    local run=(valgrind --leak-check=full --error-exitcode=9)
    case $1 in
    preloaded)
        LD_PRELOAD=$library "${run[@]}" "$by_malloc" "$2" "$3"
        ;;
    preloaded_kept)
        LD_PRELOAD=$library "${run[@]}" --soname-synonyms=somalloc=nouserintercepts \
            "$by_malloc" "$2" "$3"
        ;;
    linked)
        "${run[@]}" "$by_hak" "$2" "$3"
        ;;
    esac >"$log" 2>&1
}

# $1: way; $2: case; $3: size; $4: errors; the rest: what the report says, each a regex of its own.
expect() {
    local way=$1 mistake=$2 size=$3 errors=$4 status expected=9 verdict=PASS text
    shift 4
    memcheck "$way" "$mistake" "$size"
    status=$?
    # Of the random numbers that lie about, one in a hundred runs looks like an address in 3 MB.
    for _ in 1 2 3; do
        [ "$mistake" = lose ] && grep -q 'are possibly lost in' "$log" || break
        memcheck "$way" "$mistake" "$size"
        status=$?
    done
    [ "$errors" = 0 ] && expected=0
    [ "$mistake" = free_twice ] && [ "$way" != preloaded ] && expected=134
    [ "$status" = "$expected" ] || { verdict=FAIL; echo "exit status $status, not $expected"; }
    for text in "ERROR SUMMARY: $errors errors" "$@"; do
        grep -qE -- "$text" "$log" || { verdict=FAIL; echo "not in the report: $text"; }
    done
    echo "$verdict $way $mistake $size"
    [ "$verdict" = PASS ] || { cat "$log"; failures=$((failures + 1)); }
}

for way in preloaded preloaded_kept linked; do
    expect $way nothing_wrong small 0 'no leaks are possible'
    for size in small large; do
        [ $size = small ] && bytes=100 last=99 || { bytes=3,145,728 last=3,?145,?727; }
        expect $way read_after_free $size 1 'Invalid read of size 1' ': read_after_free' \
            "is $last bytes inside a block of size $bytes free'd"
        expect $way write_after_free $size 1 'Invalid write of size 1' ': write_after_free' \
            "is 0 bytes inside a block of size $bytes free'd"
        expect $way write_a_byte_too_many $size 1 'Invalid write of size 1' \
            ': write_a_byte_too_many' "is 0 bytes after a block of size $bytes alloc'd"
        expect $way decide_by_what_was_never_written $size 1 \
            'depends on uninitialised value' ': decide_by_what_was_never_written'
        expect $way decide_by_what_realloc_added $size 1 \
            'depends on uninitialised value' ': decide_by_what_realloc_added'
        expect $way lose $size 1 "$bytes bytes in 1 blocks are definitely lost" ': lose'
        expect $way read_what_realloc_left $size 1 'Invalid read of size 1' \
            ': read_what_realloc_left'
        if [ $way = preloaded ]; then
            expect $way free_twice $size 1 'Invalid free' ': free_twice'
        else
            expect $way free_twice $size 1 'Invalid free' ': free_twice' 'hakmem: double free'
        fi
    done
    expect $way read_a_byte_before small 1 'Invalid read of size 1' ': read_a_byte_before' \
        "is 1 bytes before a block of size 100 alloc'd"
done
[ "$failures" = 0 ]
