#!/bin/bash
# In a steady state the library asks the system for nothing and gives it nothing back, and slabs
# come from the warm pool.
#
#   steady_state_test.sh LIBRARY WORKLOAD
set -eu

STEPS=4000000
REQUESTS=10000 # so many slab requests make a rate meaningful
LEAST_PERCENT=99
RARE_STEPS=1000000
CALLS=mmap,munmap,madvise,mremap,brk,mprotect

library=$(realpath "$1")
workload=$(realpath "$2")
trace=$(mktemp "${TEST_TMPDIR:-/tmp}/trace.XXXXXX")
trap 'rm -f "$trace"' EXIT
failures=0

verdict() {
    echo "$1 $2"
    [ "$1" = PASS ] || failures=$((failures + 1))
}

# What was called between the workload's two markers.
check_system_calls() {
    local slots=$1 between markers
    strace -f -e "trace=$CALLS,close" -o "$trace" -E LD_PRELOAD="$library" \
        "$workload" steady "$STEPS" "$slots"
    markers=$(grep -c 'close(-1)' "$trace" || true)
    between=$(awk '/close\(-1\)/ { inside = !inside; next } inside' "$trace")
    if [ "$markers" != 2 ]; then
        verdict FAIL "$slots slots: $markers markers in the trace, expected 2"
    elif [ -n "$between" ]; then
        verdict FAIL "$slots slots: $(wc -l <<<"$between") system calls in $STEPS steps:"
        sed -E 's/^[0-9]+ +//; s/\(.*//' <<<"$between" | sort | uniq -c
        head -n 5 <<<"$between"
    else
        verdict PASS "$slots slots: no system call in $STEPS steps"
    fi
}

# A small working set may fit into the front, which then hardly ever needs a slab: there is no rate
# to speak of, and the shared pool may not be asked more than once in RARE_STEPS steps.
check_hit_rate() {
    local slots=$1 line requests hits misses steps
    if ! line=$(LD_PRELOAD=$library "$workload" rate "$REQUESTS" "$slots"); then
        verdict FAIL "$slots slots: $line"
        return
    fi
    read -r requests _ hits _ misses _ steps _ <<<"$line"
    if [ "$requests" -ge "$REQUESTS" ]; then
        if [ $((hits * 100)) -ge $((requests * LEAST_PERCENT)) ]; then
            verdict PASS "$slots slots: at least $LEAST_PERCENT % of slabs are warm: $line"
        else
            verdict FAIL "$slots slots: less than $LEAST_PERCENT % of slabs are warm: $line"
        fi
    elif [ $((misses * RARE_STEPS)) -le "$steps" ]; then
        verdict PASS "$slots slots: the front needs no slabs: $line"
    else
        verdict FAIL "$slots slots: too few requests for a rate, too many misses: $line"
    fi
}

if ! command -v strace >/dev/null; then
    echo "FAIL strace is not installed; tools/bazel installs it"
    exit 1
fi
for slots in 256 8192; do
    check_system_calls "$slots"
    check_hit_rate "$slots"
done
exit $((failures > 0))
