#!/usr/bin/env bash
# Runs each broken twin on the scenario that must catch it: TWIN SCENARIO...
set -uo pipefail

failures=0
while [ $# -ne 0 ]; do
    echo "== $1"
    "$1" --broken --gtest_filter="$2" --gtest_brief=1 || failures=$((failures + 1))
    shift 2
done
echo "$failures twins were not caught"
[ "$failures" -eq 0 ]
