#!/bin/bash
# Runs one program under the preloaded library; its output tells what failed.
#
#   preload_test.sh LIBRARY PROGRAM [ARGUMENT...]
set -eu
library=$(realpath "$1")
program=$(realpath "$2")
shift 2
if ! LD_PRELOAD=$library /bin/cat /proc/self/maps | grep -qF "$library"; then
    echo "FAIL $library cannot be preloaded"
    exit 1
fi
status=0
LD_PRELOAD=$library "$program" "$@" || status=$?
[ "$status" = 0 ] || echo "FAIL $(basename "$program"): exit $status"
exit "$status"
