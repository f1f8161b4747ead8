#!/bin/bash
# A process that may have 8 MiB of address space starts and ends as without the library.
#
#   eight_mib_test.sh LIBRARY
set -eu
library=$(realpath "$1")
for program in /bin/true /bin/echo /bin/ls; do
    without=$(ulimit -v 8192 && "$program" / 2>&1) || without="exit $?"
    with=$(ulimit -v 8192 && LD_PRELOAD=$library "$program" / 2>&1) || with="exit $?: $with"
    if [ "$with" != "$without" ]; then
        echo "FAIL $program: '$with' instead of '$without'"
        exit 1
    fi
done
echo "PASS in 8192 KiB"
