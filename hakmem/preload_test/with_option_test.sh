#!/bin/bash
# Runs one program under the preloaded library with options set.
#
#   with_option_test.sh LIBRARY PROGRAM NAME=VALUE...
set -eu
library=$(realpath "$1")
program=$(realpath "$2")
shift 2
exec env LD_PRELOAD="$library" "$@" "$program"
