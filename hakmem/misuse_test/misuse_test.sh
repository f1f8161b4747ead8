#!/bin/bash
# Commits every misuse of the table in misuse.c under the preloaded library, each in a process of
# its own: SIGABRT and exactly one line on stderr, which begins "hakmem: " and says what it is,
# where, the size class and what to do.
#
#   misuse_test.sh LIBRARY MISUSE
set -eu

ABORTED=134 # 128 + SIGABRT
SHAPE='^hakmem: [^:]+: (block|address) 0x[0-9a-f]+ \(.*size class.*\); .+$'

library=$(realpath "$1")
misuse=$(realpath "$2")
errors=$(mktemp "${TEST_TMPDIR:-/tmp}/stderr.XXXXXX")
trap 'rm -f "$errors"' EXIT

# Prints what is wrong with the end of one case; silent when nothing is.
check_case() {
    local name=$1 message=$2 status=0
    # The shell tells of the signal on its own stderr, hence the subshell around it.
    (env LD_PRELOAD="$library" timeout 20 "$misuse" "$name" >/dev/null 2>"$errors") \
        2>/dev/null || status=$?
    case $status in
        "$ABORTED") ;;
        0) echo "not noticed" ;;
        124) echo "hangs" ;;
        *) echo "exit $status instead of SIGABRT" ;;
    esac
    if [ "$status" = "$ABORTED" ]; then
        [ "$(wc -l <"$errors")" = 1 ] || echo "$(wc -l <"$errors") lines on stderr, not one"
        grep -qE -e "$SHAPE" "$errors" || echo "the line has not the form $SHAPE"
        grep -qiE -e "$message" "$errors" || echo "the line does not say $message"
    fi
}

failures=0
cases=0
while IFS=$'\t' read -r name message; do
    cases=$((cases + 1))
    problem=$(check_case "$name" "$message")
    if [ -z "$problem" ]; then
        echo "PASS $name: $(cat "$errors")"
    else
        echo "FAIL $name: $problem"
        head -n 5 "$errors"
        failures=$((failures + 1))
    fi
done < <("$misuse" --list)
echo "$((cases - failures)) of $cases misuses are stopped as they should be"
[ "$cases" -gt 0 ] && [ "$failures" = 0 ]
